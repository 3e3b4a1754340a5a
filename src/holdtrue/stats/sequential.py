"""From evidence to decisions at looks: one criterion, and a set of criteria on one stream.

Vectorised over replications, so that the same code decides one run, forecasts by bootstrap and
measures error rates. Counts of sessions are integers; ``NEVER`` stands for no decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from holdtrue.stats.evidence import (
    ALPHA,
    Array,
    Direction,
    Kind,
    Mode,
    Side,
    log_average,
    log_evidence,
    threshold,
)

NEVER = np.iinfo(np.int64).max
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bound:
    """A criterion as the statistics see it."""

    kind: Kind
    direction: Direction
    bound: float

    @property
    def best(self) -> float:
        """The value that a session can at best have."""
        return 0.0 if self.direction is Direction.AT_MOST else 1.0


@dataclass(frozen=True, slots=True)
class Decided:
    """Sessions at the look that decided for and against, NEVER where none did."""

    met_at: Counts
    not_met_at: Counts

    @property
    def met(self) -> NDArray[np.bool_]:
        """Decided for; where both are reached the first counts, at once against."""
        result: NDArray[np.bool_] = self.met_at < self.not_met_at
        return result

    @property
    def not_met(self) -> NDArray[np.bool_]:
        result: NDArray[np.bool_] = (self.not_met_at <= self.met_at) & (self.not_met_at < NEVER)
        return result

    @property
    def at(self) -> Counts:
        """The look that decided either way, NEVER without a decision."""
        return np.minimum(self.met_at, self.not_met_at)


def look_points(sessions: int, batch: int = 4) -> Counts:
    """Session counts at which one looks: every ``batch``, and at the end; none before the first.

    The last look need not complete a batch, since the evidence holds at any stopping time.
    """
    points = list(range(batch, sessions + 1, batch))
    if points and points[-1] != sessions:
        points.append(sessions)
    return np.asarray(points, dtype=np.int64)


def first_look(logs: ArrayLike, looks: Counts, alpha: float = ALPHA) -> Counts:
    """The first of ``looks`` at which ``logs`` (..., n sessions) reach 1/alpha: shape (...)."""
    paths = np.asarray(logs, dtype=np.float64)
    if not looks.size:
        return np.full(paths.shape[:-1], NEVER, dtype=np.int64)
    reached = paths[..., looks - 1] >= threshold(alpha)
    found = looks[np.argmax(reached, axis=-1)]
    result: Counts = np.where(reached.any(axis=-1), found, NEVER)
    return result


def evidence_pair(
    bound: Bound, values: ArrayLike, responses: ArrayLike, mode: Mode
) -> tuple[Array, Array]:
    """Natural logs of the met and the not-met process of one criterion, shape of ``values``."""

    def run(side: Side) -> Array:
        return log_evidence(
            values,
            bound.bound,
            kind=bound.kind,
            direction=bound.direction,
            side=side,
            mode=mode,
            responses=responses,
        )

    return run(Side.MET), run(Side.NOT_MET)


def decide_set(
    pairs: Sequence[tuple[Array, Array]],
    looks: Counts,
    alpha: float = ALPHA,
    met_alpha: float | None = None,
) -> tuple[Decided, list[Decided]]:
    """The decision on a set, and on each of its criteria.

    ``pairs`` are ``evidence_pair`` per criterion, each (..., n). The set is met when every
    criterion is met (intersection-union, no correction), not met when the average of the not-met
    processes reaches 1/alpha. ``met_alpha`` is asked for *met* instead of ``alpha``, where several
    tests compete for it.
    """
    for_met = alpha if met_alpha is None else met_alpha
    singles = [
        Decided(first_look(met, looks, for_met), first_look(against, looks, alpha))
        for met, against in pairs
    ]
    met_at = np.max([np.where(one.met, one.met_at, NEVER) for one in singles], axis=0)
    average = log_average(np.stack([against for _, against in pairs]))
    return Decided(np.asarray(met_at), first_look(average, looks, alpha)), singles
