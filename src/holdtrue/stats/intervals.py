"""Estimates of one measure from session values: interval, correlation, deviation.

The interval inverts the e-processes: it holds every bound that neither side rejects at any look.
Each of its ends holds with confidence 1 - alpha at all looks together (both ends together with
1 - 2 alpha), under the assumptions of the mode. It is wider than an interval for a number of
sessions fixed beforehand; that is what looking early costs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv
from scipy.stats import norm
from scipy.stats import t as student_t

from holdtrue.stats.evidence import (
    ALPHA,
    Array,
    Direction,
    Kind,
    Mode,
    Side,
    log_evidence,
    threshold,
)
from holdtrue.stats.sequential import Counts

EDGE = 1e-6
GRID = np.concatenate([[EDGE], np.arange(1, 200) / 200, [1 - EDGE]])
REFINEMENTS = 14
NO_SPREAD = 1e-12  # what rounding leaves of equal values


def anytime_interval(
    values: ArrayLike,
    looks: Counts,
    *,
    kind: Kind,
    direction: Direction,
    mode: Mode = Mode.BOUNDED,
    responses: ArrayLike = 1,
    alpha: float = ALPHA,
) -> tuple[float, float] | None:
    """All bounds that neither side rejects at any of ``looks`` (session counts, at least one).

    ``values`` (n,) in [0, 1], nan without a value; ``direction`` is that of the criterion, since
    the two sides bet differently. None where every bound is rejected: the sessions seen early
    and late are too unlike to have one mean.
    """
    x = np.asarray(values, dtype=np.float64)

    def rejected(bounds: Array, side: Side) -> NDArray[np.bool_]:
        logs = log_evidence(
            np.broadcast_to(x, (len(bounds), x.size)),
            bounds,
            kind=kind,
            direction=direction,
            side=side,
            mode=mode,
            responses=responses,
        )
        result: NDArray[np.bool_] = logs[:, looks - 1].max(axis=1) >= threshold(alpha)
        return result

    # Evidence for "met" rejects the bounds beyond the data on the bad side, "not met" the others.
    upper, lower = Side.MET, Side.NOT_MET
    if direction is Direction.AT_LEAST:
        upper, lower = lower, upper
    too_high, too_low = rejected(GRID, upper), rejected(GRID, lower)
    open_ = np.flatnonzero(~(too_high | too_low))
    if not open_.size:
        return None
    first, last = int(open_[0]), int(open_[-1])
    low, high = 0.0, 1.0
    if first > 0:
        low = _edge(lambda c: bool(rejected(np.array([c]), lower)[0]), GRID[first - 1], GRID[first])
    if last < len(GRID) - 1:
        high = _edge(lambda c: bool(rejected(np.array([c]), upper)[0]), GRID[last + 1], GRID[last])
    return low, high


def _edge(is_rejected: Callable[[float], bool], outside: float, inside: float) -> float:
    """The last rejected bound on the way from ``outside`` (rejected) to ``inside`` (not)."""
    for _ in range(REFINEMENTS):
        middle = (outside + inside) / 2
        if is_rejected(middle):
            outside = middle
        else:
            inside = middle
    return float(outside)


def mean(values: ArrayLike) -> float | None:
    """Mean over the sessions with a value; None without any."""
    x = _known(values)
    return float(x.mean()) if x.size else None


def deviation(values: ArrayLike) -> float | None:
    """Standard deviation between sessions (n - 1); None for fewer than two."""
    x = _known(values)
    return float(x.std(ddof=1)) if x.size > 1 else None


def intra_session_correlation(values: ArrayLike, responses: ArrayLike) -> float | None:
    """Correlation between two responses of one session, of a rate: the ANOVA estimator.

    ``values`` are rates per session, ``responses`` their K. None where it cannot be estimated:
    fewer than two sessions, one response each, or no variation at all. It can be negative.
    Source: Ridout, Demetrio and Firth (1999), Biometrics 55, 137-148.
    """
    x = np.asarray(values, dtype=np.float64)
    k = np.broadcast_to(np.asarray(responses, dtype=np.float64), x.shape)
    x, k = x[~np.isnan(x)], k[~np.isnan(x)]
    n, total = x.size, k.sum()
    if n < 2 or total <= n:
        return None
    grand = (k * x).sum() / total
    within = (k * x * (1 - x)).sum() / (total - n)
    between = (k * (x - grand) ** 2).sum() / (n - 1)
    size = (total - (k**2).sum() / total) / (n - 1)
    spread = between + (size - 1) * within
    return float((between - within) / spread) if spread > 0 else None


def fixed_interval(values: ArrayLike, alpha: float = ALPHA) -> tuple[float, float] | None:
    """Student's t interval for the mean over sessions, for a number of sessions fixed beforehand.

    None for fewer than two sessions or without variation, where it would claim too much. Not
    clipped to any range.
    """
    x = _known(values)
    spread = deviation(x)
    if spread is None or spread < NO_SPREAD:
        return None
    half = float(student_t.ppf(1 - alpha / 2, x.size - 1)) * spread / float(np.sqrt(x.size))
    return float(x.mean()) - half, float(x.mean()) + half


def rate_interval(values: ArrayLike, alpha: float = ALPHA) -> tuple[float, float] | None:
    """Interval of the mean of session rates, for a number of sessions fixed beforehand.

    Clopper-Pearson with the effective number of observations that the spread between sessions
    implies, at least the number of sessions (Korn and Graubard 1998, Survey Methodology 24,
    193-201). None for fewer than two sessions.
    """
    x = _known(values)
    if x.size < 2:
        return None
    p, n = float(x.mean()), x.size
    spread = float(x.var(ddof=1))
    effective = float(n)
    if spread > NO_SPREAD:
        normal, student = float(norm.ppf(1 - alpha / 2)), float(student_t.ppf(1 - alpha / 2, n - 1))
        effective = max(effective, n * p * (1 - p) / spread * (normal / student) ** 2)
    return exact_binomial(p * effective, effective, alpha)


def exact_binomial(events: float, trials: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Clopper-Pearson interval for a rate if all ``trials`` were independent.

    Responses of one session are not, so for them this is the least that is left open. Numbers
    that are not whole are allowed, as effective counts are.
    """
    low, high = 0.0, 1.0
    if events > 0:
        low = float(betaincinv(events, trials - events + 1, alpha / 2))
    if events < trials:
        high = float(betaincinv(events + 1, trials - events, 1 - alpha / 2))
    return low, high


def _known(values: ArrayLike) -> Array:
    x = np.asarray(values, dtype=np.float64)
    return x[~np.isnan(x)]
