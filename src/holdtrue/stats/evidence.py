"""Evidence about one criterion: mixtures of constant bets, for *met* and for *not met*.

The value of a session, x in [0, 1], is the share of its responses with an event (a rate) or its
score. The null of the *met* process is that the mean of x is on the wrong side of the bound or on
it, the null of the *not met* process that it is on the right side or on it. Under its null a
process W starts at 1 and has expectation at most 1 at any stopping time, so that W >= 1/alpha
happens with probability at most alpha however often one looks (Ville). It does not depend on the
order of sessions.

Bounded mode assumes for *met* of rates that responses of one session are correlated by at most
``MAX_CORRELATION``, and for scores that sessions deviate by at most ``MAX_SD``; free mode assumes
nothing but the range. Whether the assumptions hold is not checked here (see ``intervals``).

Source: betting after Waudby-Smith and Ramdas (2024); the quadratic bets are Cantelli's inequality
turned into an e-value, E[max(t - (x - m), 0)^2] <= t^2 + var(x).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

ALPHA = 0.05
MAX_CORRELATION = 0.5
MAX_SD = 0.15
BOLD = 0.95

Array = NDArray[np.float64]


class Kind(StrEnum):
    """RATE: share of a session's responses with an event. SCORE: any session value in [0, 1]."""

    RATE = "rate"
    SCORE = "score"


class Direction(StrEnum):
    """On which side of its bound a measure has to be."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


class Side(StrEnum):
    """What the evidence is for."""

    MET = "met"
    NOT_MET = "not met"


class Mode(StrEnum):
    """BOUNDED assumes a bound on correlation and deviation; FREE only the range [0, 1]."""

    BOUNDED = "bounded"
    FREE = "free"


def log_evidence(
    values: ArrayLike,
    bound: ArrayLike,
    *,
    kind: Kind,
    direction: Direction,
    side: Side,
    mode: Mode = Mode.BOUNDED,
    responses: ArrayLike = 1,
) -> Array:
    """Natural log of W after each session: the shape of ``values``, sessions on the last axis.

    ``values`` (..., n) in [0, 1], nan where a session has no value (it leaves W as it is);
    ``bound`` in (0, 1), broadcast against the leading axes; ``responses`` the K of each session
    (for rates), broadcast against ``values``. Raises ValueError outside these ranges.
    """
    weights, factors = bets(
        values, bound, kind=kind, direction=direction, side=side, mode=mode, responses=responses
    )
    missing = np.isnan(np.asarray(values, dtype=np.float64))
    total: Array | None = None
    with np.errstate(divide="ignore"):
        for weight, factor in zip(weights, factors, strict=True):
            steps = np.log(np.where(missing, 1.0, factor))
            path = np.log(weight) + np.cumsum(steps, axis=-1)
            total = path if total is None else np.logaddexp(total, path)
    assert total is not None
    return total


def bets(
    values: ArrayLike,
    bound: ArrayLike,
    *,
    kind: Kind,
    direction: Direction,
    side: Side,
    mode: Mode = Mode.BOUNDED,
    responses: ArrayLike = 1,
) -> tuple[tuple[float, ...], list[Array]]:
    """The weights of the constant bets, and for each the factor that a session multiplies it by.

    Arguments and errors are those of ``log_evidence``, shapes too. Under the null every factor
    has expectation at most 1.
    """
    x = np.asarray(values, dtype=np.float64)
    limit = np.asarray(bound, dtype=np.float64)[..., np.newaxis]
    k = np.asarray(responses, dtype=np.float64)
    if x.ndim == 0:
        raise ValueError("values need an axis of sessions")
    if not np.all((limit > 0) & (limit < 1)):
        raise ValueError("a bound lies strictly between 0 and 1")
    if np.any((x < 0) | (x > 1)):
        raise ValueError("session values lie in [0, 1]")
    if kind is Kind.RATE and np.any((k < 1) & ~np.isnan(x)):
        raise ValueError("a session with a rate has at least one response")
    # A rate's bets are written for a ceiling and a score's for a floor; mirror the other two.
    if (direction is Direction.AT_MOST) is not (kind is Kind.RATE):
        x, limit = 1 - x, 1 - limit
    k = np.maximum(k, 1)
    if kind is Kind.RATE:
        return _rate_met(x, limit, k, mode) if side is Side.MET else _rate_not_met(x, limit)
    return _score_met(x, limit, mode) if side is Side.MET else _score_not_met(x, limit, mode)


def rate_variance(ceiling: ArrayLike, responses: ArrayLike) -> Any:
    """Largest variance of a session's rate at mean ``ceiling`` under MAX_CORRELATION."""
    k = np.asarray(responses, dtype=np.float64)
    c = np.asarray(ceiling, dtype=np.float64)
    return c * (1 - c) * (1 / k + (1 - 1 / k) * MAX_CORRELATION)


def _rate_met(x: Array, c: Array, k: Array, mode: Mode) -> tuple[tuple[float, ...], list[Array]]:
    linear = 1 + BOLD * (c - x) / (1 - c)
    if mode is Mode.FREE:
        return (1.0,), [linear]
    v = rate_variance(c, k)
    return (0.6, 0.2, 0.2), [_quadratic(c - x, v, c), _quadratic(c - x, v, 0.7 * c), linear]


def _rate_not_met(x: Array, c: Array) -> tuple[tuple[float, ...], list[Array]]:
    return (0.2,) * 5, [1 + f * (x - c) / c for f in (0.8, 0.4, 0.2, 0.1, 0.05)]


def _score_met(x: Array, c: Array, mode: Mode) -> tuple[tuple[float, ...], list[Array]]:
    if mode is Mode.FREE:
        return (1.0,), [1 + BOLD * (x - c) / c]
    v = np.asarray(MAX_SD**2)
    return (0.5, 0.5), [_quadratic(x - c, v, 0.04), _quadratic(x - c, v, 0.10)]


def _score_not_met(x: Array, c: Array, mode: Mode) -> tuple[tuple[float, ...], list[Array]]:
    z, d = 1 - x, 1 - c
    if mode is Mode.FREE:
        return (0.4, 0.3, 0.3), [1 + f * (z - d) / d for f in (0.95, 0.5, 0.25)]
    v = np.asarray(MAX_SD**2)
    bold = _quadratic(z - d, v, 0.15)
    return (0.4, 0.3, 0.3), [bold, *(1 + f * (z - d) / d for f in (0.9, 0.4))]


def _quadratic(gain: Array, v: Array, delta: ArrayLike) -> Array:
    """Cantelli's bet for a gain of ``delta`` a session, variance at most ``v`` at the bound."""
    t = v / np.asarray(delta)
    result: Array = np.maximum(gain + t, 0) ** 2 / (t**2 + v)
    return result


def log_average(log_evidences: ArrayLike, axis: int = 0) -> Array:
    """Natural log of the average of e-processes over ``axis``: again an e-process."""
    logs = np.asarray(log_evidences, dtype=np.float64)
    result: Array = logsumexp(logs, axis=axis) - np.log(logs.shape[axis])
    return result


def threshold(alpha: float = ALPHA) -> float:
    """Natural log of the evidence that decides."""
    return float(np.log(1 / alpha))
