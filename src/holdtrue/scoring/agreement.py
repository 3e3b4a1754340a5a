"""How far two readers agree: confusion, precision, recall, F1, kappa and rank correlation.

Either reader may be a person, a detector, a score or a judge. It knows nothing of files or
transcripts, and says nothing about who is right: agreement with labels is not truth. Intervals
come from a bootstrap over whole transcripts, because responses of one conversation are alike.

Whatever is undefined is None with its reason, never zero and never not-a-number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]

DRAWS = 2_000
LEVEL = 0.95
FEWEST_CLUSTERS = 5
FEWEST_DEFINED = 0.9
"""Share of bootstrap draws in which a figure must be defined for its interval to be given."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; what is None has its reason in ``reason``."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        if self.reason:
            body["reason"] = self.reason
        return body


@dataclass(frozen=True, slots=True)
class OfClass:
    """How one class is found: of those called so, right; of those that are so, found."""

    name: str
    labelled: int
    told: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True, slots=True)
class ClassAgreement:
    """Agreement on classes. ``confusion[i][j]`` counts those labelled i and told j."""

    names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[OfClass, ...]
    macro_f1: Estimate
    accuracy: Estimate
    kappa: Estimate
    transcripts: int

    @property
    def pairs(self) -> int:
        return sum(map(sum, self.confusion))

    def of(self, name: str) -> OfClass:
        return self.classes[self.names.index(name)]

    def as_dict(self) -> dict[str, Any]:
        return {
            "pairs": self.pairs,
            "transcripts": self.transcripts,
            "confusion": {
                label: dict(zip(self.names, row, strict=True))
                for label, row in zip(self.names, self.confusion, strict=True)
            },
            "classes": {
                found.name: {
                    "labelled": found.labelled,
                    "told": found.told,
                    "precision": found.precision.as_dict(),
                    "recall": found.recall.as_dict(),
                    "f1": found.f1.as_dict(),
                }
                for found in self.classes
            },
            "macro_f1": self.macro_f1.as_dict(),
            "accuracy": self.accuracy.as_dict(),
            "kappa": self.kappa.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class ValueAgreement:
    """Agreement of two numbers: rank correlation, and the mean of told minus labelled.

    ``kappa`` (quadratic weights) is given for two ratings on one scale, else None.
    """

    spearman: Estimate
    bias: Estimate | None
    kappa: Estimate | None
    pairs: int
    transcripts: int

    def as_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "pairs": self.pairs,
            "transcripts": self.transcripts,
            "spearman": self.spearman.as_dict(),
        }
        for name in ("bias", "kappa"):
            estimate = getattr(self, name)
            if estimate is not None:
                body[name] = estimate.as_dict()
        return body


def on_classes(
    labelled: Sequence[int],
    told: Sequence[int],
    clusters: Sequence[int],
    names: Sequence[str],
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
) -> ClassAgreement:
    """Agreement of two sequences of class numbers (0 to len(names) - 1).

    ``clusters`` says which transcript each pair is of. Macro-F1 is the mean over the classes that
    either reader uses.
    """
    each = _matrices(labelled, told, clusters, len(names))
    whole = each.sum(axis=0)
    resampled = _resampled(each, rng, draws)
    count = len(each)

    def overall(figure: Callable[[Counts], Reals], why: str) -> Estimate:
        return _estimate(figure(whole), figure(resampled), count, why)

    def of_class(figure: Callable[[Counts], Reals], number: int, why: str) -> Estimate:
        return _estimate(figure(whole)[number], figure(resampled)[:, number], count, why)

    used = (whole.sum(axis=0) + whole.sum(axis=1)) > 0
    classes = tuple(
        OfClass(
            name=name,
            labelled=int(whole[number].sum()),
            told=int(whole[:, number].sum()),
            precision=of_class(precision, number, f"nothing told {name}"),
            recall=of_class(recall, number, f"nothing labelled {name}"),
            f1=of_class(f1, number, f"nothing labelled or told {name}"),
        )
        for number, name in enumerate(names)
    )
    return ClassAgreement(
        names=tuple(names),
        confusion=tuple(tuple(int(cell) for cell in row) for row in whole),
        classes=classes,
        macro_f1=overall(lambda m: _mean_of(f1(m), used), "nothing to compare"),
        accuracy=overall(accuracy, "nothing to compare"),
        kappa=overall(kappa, "both readers use one class only"),
        transcripts=count,
    )


def on_values(
    labelled: Sequence[float],
    told: Sequence[float],
    clusters: Sequence[int],
    rng: np.random.Generator,
    *,
    same_scale: bool = False,
    draws: int = DRAWS,
) -> ValueAgreement:
    """Rank agreement of two sequences of numbers; with ``same_scale`` their mean difference too."""
    x, y = np.asarray(labelled, dtype=float), np.asarray(told, dtype=float)
    members = _members(clusters)
    correlations, differences = np.empty(draws), np.empty(draws)
    for draw in range(draws):
        if not members:
            break
        chosen = rng.integers(len(members), size=len(members))
        rows = np.concatenate([members[number] for number in chosen])
        correlations[draw] = spearman(x[rows], y[rows])
        differences[draw] = float(np.mean(y[rows] - x[rows]))
    count = len(members)
    correlation = _estimate(
        np.asarray(spearman(x, y)),
        correlations,
        count,
        "fewer than three values" if len(x) < 3 else "one of the two never varies",
    )
    bias = None
    if same_scale:
        mean = np.asarray(np.mean(y - x) if len(x) else np.nan)
        bias = _estimate(mean, differences, count, "nothing to compare")
    return ValueAgreement(correlation, bias, None, pairs=len(x), transcripts=count)


def on_ratings(
    labelled: Sequence[int],
    told: Sequence[int],
    clusters: Sequence[int],
    scale: tuple[int, int],
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
) -> ValueAgreement:
    """Agreement of two ratings on one scale (lowest, highest): kappa with quadratic weights too."""
    lowest, highest = scale
    size = highest - lowest + 1
    each = _matrices(
        [rating - lowest for rating in labelled], [r - lowest for r in told], clusters, size
    )
    whole = each.sum(axis=0)
    weights = quadratic_weights(size)
    agreed = _estimate(
        kappa(whole, weights),
        kappa(_resampled(each, rng, draws), weights),
        len(each),
        "both readers use one rating only",
    )
    ranked = on_values(labelled, told, clusters, rng, same_scale=True, draws=draws)
    return ValueAgreement(ranked.spearman, ranked.bias, agreed, ranked.pairs, ranked.transcripts)


# ---- the figures, for one matrix (k, k) or many (..., k, k); undefined is not-a-number ----


def precision(matrix: Counts) -> Reals:
    """Right among those told so, per class: shape (..., k)."""
    return _ratio(_diagonal(matrix), matrix.sum(axis=-2))


def recall(matrix: Counts) -> Reals:
    """Found among those labelled so, per class: shape (..., k)."""
    return _ratio(_diagonal(matrix), matrix.sum(axis=-1))


def f1(matrix: Counts) -> Reals:
    """2 TP / (2 TP + FP + FN), per class: shape (..., k)."""
    return _ratio(2 * _diagonal(matrix), matrix.sum(axis=-1) + matrix.sum(axis=-2))


def accuracy(matrix: Counts) -> Reals:
    """Share of equal pairs: shape (...)."""
    return _ratio(_diagonal(matrix).sum(axis=-1), matrix.sum(axis=(-1, -2)))


def kappa(matrix: Counts, weights: Reals | None = None) -> Reals:
    """Cohen's kappa, 1 - observed / expected disagreement: shape (...).

    ``weights`` (k, k) are the costs of disagreements: 1 off the diagonal without them (Cohen
    1960), ``quadratic_weights`` for ratings (Cohen 1968).
    """
    cost = 1.0 - np.eye(matrix.shape[-1]) if weights is None else weights
    total = matrix.sum(axis=(-1, -2))
    observed = (matrix * cost).sum(axis=(-1, -2))
    chance = matrix.sum(axis=-1)[..., :, None] * matrix.sum(axis=-2)[..., None, :]
    expected = _ratio((chance * cost).sum(axis=(-1, -2)), total)
    return 1.0 - _ratio(observed, expected)


def quadratic_weights(size: int) -> Reals:
    """(i - j)² / (size - 1)² for ratings i and j: shape (size, size)."""
    steps = np.arange(size, dtype=float)
    return (steps[:, None] - steps[None, :]) ** 2 / max(size - 1, 1) ** 2


def spearman(x: Reals, y: Reals) -> float:
    """Rank correlation with mean ranks for ties; not-a-number under three pairs or if one is flat.

    Pearson's correlation of the ranks (Spearman 1904).
    """
    from scipy.stats import rankdata

    if len(x) < 3:
        return float("nan")
    ranks_x, ranks_y = rankdata(x) - (len(x) + 1) / 2, rankdata(y) - (len(y) + 1) / 2
    spread = float(np.sqrt((ranks_x @ ranks_x) * (ranks_y @ ranks_y)))
    return float(ranks_x @ ranks_y) / spread if spread > 0 else float("nan")


# ---- parts ----


def _matrices(
    labelled: Sequence[int], told: Sequence[int], clusters: Sequence[int], size: int
) -> Counts:
    """One confusion matrix per cluster: shape (clusters, size, size)."""
    known = {cluster: position for position, cluster in enumerate(dict.fromkeys(clusters))}
    each = np.zeros((len(known), size, size), dtype=np.int64)
    places = [known[cluster] for cluster in clusters]
    np.add.at(each, (places, list(labelled), list(told)), 1)
    return each


def _resampled(each: Counts, rng: np.random.Generator, draws: int) -> Counts:
    """Sums of matrices over clusters drawn with replacement: shape (draws, k, k)."""
    count = len(each)
    if count == 0:
        return np.zeros((draws, *each.shape[1:]), dtype=np.int64)
    times = rng.multinomial(count, [1 / count] * count, size=draws)
    return np.asarray(np.tensordot(times, each, axes=1))


def _members(clusters: Sequence[int]) -> list[NDArray[np.intp]]:
    named = np.asarray(clusters)
    return [np.flatnonzero(named == cluster) for cluster in dict.fromkeys(clusters)]


def _estimate(value: Any, resampled: Any, clusters: int, why: str) -> Estimate:
    """``value`` with percentiles of ``resampled`` (not-a-number where undefined)."""
    figure = float(value)
    if np.isnan(figure):
        return Estimate(None, reason=why)
    if clusters < FEWEST_CLUSTERS:
        return Estimate(figure, reason=f"no interval from {clusters} transcripts")
    defined = np.asarray(resampled)[~np.isnan(resampled)]
    if len(defined) < FEWEST_DEFINED * np.size(resampled):
        return Estimate(figure, reason="no interval: too few transcripts hold such responses")
    if np.ptp(defined) < 1e-12:
        return Estimate(figure, reason="no interval: every resample of transcripts says the same")
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(figure, float(low), float(high))


def _mean_of(values: Reals, used: NDArray[np.bool_]) -> Reals:
    """Mean over the classes in use; a class that a draw lacks is left out of that draw's mean."""
    there = used & ~np.isnan(values)
    return _ratio(np.where(there, values, 0.0).sum(axis=-1), there.sum(axis=-1))


def _diagonal(matrix: Counts) -> Counts:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _ratio(above: Any, below: Any) -> Reals:
    over = np.asarray(below, dtype=float)
    return np.asarray(above, dtype=float) / np.where(over == 0, np.nan, over)
