"""Two arms side by side: difference of session means, interval, p-value, effect size.

The unit is the session (or the chain). The number of sessions is taken as fixed beforehand: these
are not the anytime-valid statistics of a verdict, and an arm whose size was chosen by looking at
the values compared has smaller p-values than it should.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student_t

from holdtrue.stats.evidence import ALPHA, Array
from holdtrue.stats.intervals import rate_interval

MOST_EXACT = 20_000
RESAMPLES = 9_999
SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """Arm B minus arm A. Counts are sessions, pairs where ``paired``.

    ``low`` to ``high`` is the 1 - alpha interval of the difference, ``p_value`` two-sided;
    None where an arm has fewer than two sessions. ``exact`` is whether all permutations were
    tried. ``effect`` is Hedges' g, or Cohen's h for rates.
    """

    mean_a: float
    mean_b: float
    sessions_a: int
    sessions_b: int
    paired: bool
    low: float | None
    high: float | None
    p_value: float | None
    exact: bool
    effect: float | None

    @property
    def difference(self) -> float:
        return self.mean_b - self.mean_a


def compare_means(
    a: ArrayLike,
    b: ArrayLike,
    rng: np.random.Generator,
    *,
    paired: bool = False,
    rate: bool = False,
    alpha: float = ALPHA,
    resamples: int = RESAMPLES,
) -> Difference:
    """Compare session values (n,) of two arms in [0, 1], without nan.

    ``paired``: position i of both is one pair. ``rate``: the values are shares of responses with
    an event. Raises ValueError for no values, or for pairs of unequal number.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if not x.size or not y.size:
        raise ValueError("an arm without a value cannot be compared")
    if paired and x.size != y.size:
        raise ValueError("pairs need as many values in one arm as in the other")
    interval = difference_interval(x, y, alpha, paired=paired, rate=rate)
    p_value: float | None = None
    exact = False
    if min(x.size, y.size) > 1:
        if paired:
            p_value, exact = sign_flip_test(y - x, rng, resamples)
        else:
            p_value, exact = permutation_test(x, y, rng, resamples)
    return Difference(
        mean_a=float(x.mean()),
        mean_b=float(y.mean()),
        sessions_a=x.size,
        sessions_b=y.size,
        paired=paired,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        p_value=p_value,
        exact=exact,
        effect=cohens_h(float(x.mean()), float(y.mean())) if rate else hedges_g(x, y),
    )


def difference_interval(
    a: Array, b: Array, alpha: float = ALPHA, *, paired: bool = False, rate: bool = False
) -> tuple[float, float] | None:
    """Interval of mean(b) - mean(a); None where an arm has fewer than two values."""
    if min(a.size, b.size) < 2:
        return None
    return paired_interval(b - a, alpha) if paired else unpaired_interval(a, b, alpha, rate=rate)


def unpaired_interval(
    a: Array, b: Array, alpha: float = ALPHA, *, rate: bool = False
) -> tuple[float, float]:
    """Interval of mean(b) - mean(a) of unpaired arms, each at least two values in [0, 1].

    Welch's for scores. For rates, which are skewed near 0, and where an arm does not vary, so
    that Welch would take its mean as known, the arms' own intervals are combined (MOVER; Zou and
    Donner 2008, Statistics in Medicine 27, 1693-1702).
    """
    difference = float(b.mean() - a.mean())
    va, vb = a.var(ddof=1) / a.size, b.var(ddof=1) / b.size
    if not rate and min(va, vb) > SLACK**2:
        freedom = (va + vb) ** 2 / (va**2 / (a.size - 1) + vb**2 / (b.size - 1))
        half = float(student_t.ppf(1 - alpha / 2, freedom) * np.sqrt(va + vb))
        return difference - half, difference + half
    reach = _rate_reach if rate else _reach
    (down_a, up_a), (down_b, up_b) = reach(a, alpha), reach(b, alpha)
    return difference - float(np.hypot(down_b, up_a)), difference + float(np.hypot(up_b, down_a))


def _rate_reach(x: Array, alpha: float) -> tuple[float, float]:
    interval = rate_interval(x, alpha)
    assert interval is not None
    low, high = interval
    return float(x.mean()) - low, high - float(x.mean())


def paired_interval(differences: Array, alpha: float = ALPHA) -> tuple[float, float]:
    """Student's interval of the mean of paired differences in [-1, 1], at least two."""
    down, up = _reach(differences, alpha, least=-1.0)
    return float(differences.mean()) - down, float(differences.mean()) + up


def _reach(x: Array, alpha: float, least: float = 0.0) -> tuple[float, float]:
    """How far the mean of values in [least, 1] may lie below and above the one seen.

    Without variation: of n equal values, a share u = 1 - (alpha/2)^(1/n) of others could have
    been missed, and these could lie anywhere.
    """
    spread = float(x.std(ddof=1))
    if spread > SLACK:
        half = float(student_t.ppf(1 - alpha / 2, x.size - 1)) * spread / float(np.sqrt(x.size))
        return half, half
    unseen = 1 - (alpha / 2) ** (1 / x.size)
    value = float(x[0])
    return unseen * (value - least), unseen * (1 - value)


def permutation_test(
    a: Array, b: Array, rng: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[float, bool]:
    """Two-sided p-value that sessions of both arms are exchangeable; whether it is exact.

    The statistic is Welch's t, so that unequal spread alone is no difference for large arms
    (Chung and Romano 2013). All splits are tried up to MOST_EXACT, else ``resamples`` random ones,
    the one seen counted among them. At least two values an arm.
    """
    pooled = np.concatenate([a, b])
    total, size = pooled.size, a.size
    exact = comb(total, size) <= MOST_EXACT
    if exact:
        chosen: NDArray[np.int64] = np.array(list(combinations(range(total), size)))
    else:
        chosen = np.argsort(rng.random((resamples, total)), axis=1)[:, :size]
    first = pooled[chosen]
    statistic = np.abs(_welch(first, first.sum(axis=1), pooled))
    seen = abs(float(_welch(a[np.newaxis], a[np.newaxis].sum(axis=1), pooled)[0]))
    return _share_as_large(statistic, seen, exact), exact


def _welch(first: Array, sums: Array, pooled: Array) -> Array:
    """Welch's t of every split: ``first`` (splits, n) against the rest of ``pooled``."""
    n, m = first.shape[1], pooled.size - first.shape[1]
    squares = (first**2).sum(axis=1)
    mean_a, mean_b = sums / n, (pooled.sum() - sums) / m
    var_a = np.maximum(squares - n * mean_a**2, 0) / (n - 1)
    var_b = np.maximum((pooled**2).sum() - squares - m * mean_b**2, 0) / (m - 1)
    error = np.sqrt(var_a / n + var_b / m)
    gap = mean_b - mean_a
    gap[np.abs(gap) < SLACK] = 0.0
    # Without any variation inside the arms, any gap at all is as large as can be.
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Array = np.where(gap == 0, 0.0, np.where(error < SLACK, np.inf, gap / error))
    return result


def sign_flip_test(
    differences: Array, rng: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[float, bool]:
    """Two-sided p-value that paired differences are symmetric about 0; whether it is exact."""
    nonzero = differences[np.abs(differences) > SLACK]
    if not nonzero.size:
        return 1.0, True
    exact = 2**nonzero.size <= MOST_EXACT
    if exact:
        bits = (np.arange(2**nonzero.size)[:, np.newaxis] >> np.arange(nonzero.size)) & 1
        signs = 1 - 2 * bits
    else:
        signs = rng.choice((-1, 1), (resamples, nonzero.size))
    statistic = np.abs((signs * nonzero).sum(axis=1))
    return _share_as_large(statistic, abs(float(nonzero.sum())), exact), exact


def _share_as_large(statistic: Array, seen: float, exact: bool) -> float:
    if np.isinf(seen):
        as_large = int(np.isinf(statistic).sum())
    else:
        as_large = int((statistic >= seen - SLACK * max(1.0, seen)).sum())
    return as_large / statistic.size if exact else (as_large + 1) / (statistic.size + 1)


def hedges_g(a: Array, b: Array) -> float | None:
    """Standardised difference with the small-sample correction; None without variation.

    Source: Hedges (1981), J = 1 - 3 / (4 df - 1) with df = n + m - 2; pooled deviation.
    """
    freedom = a.size + b.size - 2
    if min(a.size, b.size) < 2:
        return None
    pooled = ((a.size - 1) * a.var(ddof=1) + (b.size - 1) * b.var(ddof=1)) / freedom
    if pooled <= SLACK**2:
        return None
    correction = 1 - 3 / (4 * freedom - 1)
    return float(correction * (b.mean() - a.mean()) / np.sqrt(pooled))


def cohens_h(a: float, b: float) -> float:
    """Difference of two rates on the arcsine scale, in [-pi, pi]. Source: Cohen (1988), ch. 6."""
    return float(2 * np.arcsin(np.sqrt(b)) - 2 * np.arcsin(np.sqrt(a)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted so that any false finding among them has at most the level (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda position: p_values[position])
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, position in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = running
    return adjusted
