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
CELLS = 2_000_000
"""Numbers held at once while resampling values."""
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
    known, places = _numbered(clusters)
    times = _times(known, rng, draws)
    few = "fewer than three values" if len(x) else "no value to compare"
    few = few if len(x) < 3 else "one of the two never varies"
    step = max(1, CELLS // max(len(x), 1))
    ranked, told_more = np.empty(draws), np.empty(draws)
    for start in range(0, draws, step):
        piece = times[start : start + step][:, places]
        ranked[start : start + step] = spearman(x, y, piece)
        told_more[start : start + step] = _ratio(piece @ (y - x), piece.sum(axis=1))
    bias = None
    if same_scale:
        mean = float(np.mean(y - x)) if len(x) else np.nan
        bias = _estimate(mean, told_more, known, "nothing to compare")
    correlation = _estimate(spearman(x, y)[0], ranked, known, few)
    return ValueAgreement(correlation, bias, None, pairs=len(x), transcripts=known)


def rating_kappa(
    labelled: Sequence[int],
    told: Sequence[int],
    clusters: Sequence[int],
    scale: tuple[int, int],
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
) -> Estimate:
    """Kappa with quadratic weights of two ratings on one scale (lowest, highest)."""
    lowest, highest = scale
    rows = [rating - lowest for rating in labelled]
    each = _matrices(rows, [rating - lowest for rating in told], clusters, highest - lowest + 1)
    weights = quadratic_weights(highest - lowest + 1)
    return _estimate(
        kappa(each.sum(axis=0), weights),
        kappa(_resampled(each, rng, draws), weights),
        len(each),
        "both readers use one rating only",
    )


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


def spearman(x: Reals, y: Reals, times: Counts | None = None) -> Reals:
    """Rank correlation with mean ranks for ties: shape (draws,), or (1,) without ``times``.

    Pearson's correlation of the ranks (Spearman 1904). ``times`` (draws, n) says how often each
    pair counts in each draw. Not-a-number under three pairs or where one of the two is flat.
    """
    counts = _once(x) if times is None else times
    total = counts.sum(axis=1, keepdims=True)
    ranks_x = _mean_ranks(x, counts) - (total + 1) / 2
    ranks_y = _mean_ranks(y, counts) - (total + 1) / 2
    together = (counts * ranks_x * ranks_y).sum(axis=1)
    spread = (counts * ranks_x**2).sum(axis=1) * (counts * ranks_y**2).sum(axis=1)
    enough = (total[:, 0] >= 3) & (spread > 1e-9)
    return _ratio(together, np.where(enough, np.sqrt(spread), 0.0))


def mean_ranks(values: Reals) -> Reals:
    """Ranks from 1, equal values sharing the mean of theirs: shape (n,)."""
    return np.asarray(_mean_ranks(values, _once(values))[0])


def _once(values: Reals) -> Counts:
    return np.ones((1, len(values)), dtype=np.int64)


def _mean_ranks(values: Reals, counts: Counts) -> Reals:
    """Mean ranks from 1 of ``values`` (n,) when each counts ``counts`` (draws, n) times."""
    _distinct, inverse, held = np.unique(values, return_inverse=True, return_counts=True)
    upto = counts[:, np.argsort(inverse, kind="stable")].cumsum(axis=1)[:, held.cumsum() - 1]
    before = np.pad(upto, ((0, 0), (1, 0)))[:, :-1]
    return np.asarray(((before + upto + 1) / 2)[:, inverse])


# ---- parts ----


def _matrices(
    labelled: Sequence[int], told: Sequence[int], clusters: Sequence[int], size: int
) -> Counts:
    """One confusion matrix per cluster: shape (clusters, size, size)."""
    known, places = _numbered(clusters)
    each = np.zeros((known, size, size), dtype=np.int64)
    rows, columns = np.asarray(labelled, dtype=np.intp), np.asarray(told, dtype=np.intp)
    np.add.at(each, (places, rows, columns), 1)
    return each


def _numbered(clusters: Sequence[int]) -> tuple[int, NDArray[np.intp]]:
    """How many clusters there are, and the number of each pair's (from 0)."""
    named, places = np.unique(np.asarray(clusters, dtype=np.int64), return_inverse=True)
    return len(named), places


def _times(clusters: int, rng: np.random.Generator, draws: int) -> Counts:
    """How often each cluster is drawn, with replacement: shape (draws, clusters)."""
    if clusters == 0:
        return np.zeros((draws, 0), dtype=np.int64)
    return rng.multinomial(clusters, [1 / clusters] * clusters, size=draws)


def _resampled(each: Counts, rng: np.random.Generator, draws: int) -> Counts:
    """Sums of matrices over clusters drawn with replacement: shape (draws, k, k)."""
    return np.asarray(np.tensordot(_times(len(each), rng, draws), each, axes=1))


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
