"""Simulated sessions and tests: what a number of sessions can be expected to decide.

Rates are beta-binomial (responses of a session share a rate), scores beta distributed, with an
optional share of collapsed sessions. Real sessions need not be; what is measured with these is
the planning of a test and the method's error rates, not a property of any model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holdtrue.stats.evidence import ALPHA, Array, Kind, Mode
from holdtrue.stats.sequential import (
    Bound,
    Counts,
    Decided,
    decide_set,
    evidence_pair,
    look_points,
)

COLLAPSED_SCORE = 0.4  # what a collapsed session scores: S34 of SAGE has D9 0.45, quality 0.40


@dataclass(frozen=True, slots=True)
class Truth:
    """What is assumed to be true of a measure.

    ``mean`` in [0, 1]; ``correlation`` within a session (rates) in [0, 1); ``sd`` between
    the sessions (scores) that did not collapse; ``collapsed`` the share that score
    ``collapsed_score`` instead, the others scoring higher so that the mean stays.
    """

    mean: float
    correlation: float = 0.2
    sd: float = 0.08
    collapsed: float = 0.0
    collapsed_score: float = COLLAPSED_SCORE

    @property
    def total_sd(self) -> float:
        """Deviation of scores over all sessions, the collapsed ones among them."""
        gap = (self.mean - self.collapsed_score) / (1 - self.collapsed)
        share = self.collapsed * (1 - self.collapsed)
        return float(np.sqrt((1 - self.collapsed) * self.sd**2 + share * gap**2))


def draw(
    rng: np.random.Generator, kind: Kind, truth: Truth, shape: tuple[int, ...], responses: int
) -> Array:
    """Session values of ``shape`` in [0, 1]. Raises ValueError where no such truth exists."""
    if not 0 <= truth.mean <= 1:
        raise ValueError("a mean lies in [0, 1]")
    if kind is Kind.RATE:
        return draw_rates(rng, truth.mean, truth.correlation, shape, responses)
    return draw_scores(rng, truth, shape)


def draw_rates(
    rng: np.random.Generator, mean: float, correlation: float, shape: tuple[int, ...], k: int
) -> Array:
    """Shares of ``k`` responses with an event; p ~ Beta with a + b = 1/correlation - 1."""
    if not 0 <= correlation < 1:
        raise ValueError("a correlation lies in [0, 1)")
    if mean in (0.0, 1.0) or correlation == 0:
        p: Array | float = mean
    else:
        size = 1 / correlation - 1
        p = rng.beta(mean * size, (1 - mean) * size, shape)
    result: Array = rng.binomial(k, p, shape) / k
    return result


def draw_scores(rng: np.random.Generator, truth: Truth, shape: tuple[int, ...]) -> Array:
    """Scores of sessions. Raises ValueError where none in [0, 1] have that mean and deviation."""
    healthy = (truth.mean - truth.collapsed * truth.collapsed_score) / (1 - truth.collapsed)
    if truth.sd == 0 or healthy in (0.0, 1.0):
        scores: Array = np.full(shape, healthy)
    else:
        size = healthy * (1 - healthy) / truth.sd**2 - 1
        if size <= 0:
            raise ValueError(
                f"no score in [0, 1] has mean {healthy:.3f} and deviation {truth.sd:.3f}"
            )
        scores = rng.beta(healthy * size, (1 - healthy) * size, shape)
    if truth.collapsed:
        scores = np.where(rng.random(shape) < truth.collapsed, truth.collapsed_score, scores)
    return scores


@dataclass(frozen=True, slots=True)
class Tests:
    """Simulated tests of one criteria set; arrays have one entry a test."""

    decided: Decided
    criteria: list[Decided]
    budget: int

    @property
    def sessions(self) -> Counts:
        """Sessions that each test took: to its decision, or the budget."""
        return np.minimum(self.decided.at, self.budget)

    @property
    def shares(self) -> tuple[float, float, float]:
        """Shares of tests that came out met, not met, undetermined."""
        met, against = float(self.decided.met.mean()), float(self.decided.not_met.mean())
        return met, against, 1 - met - against


def simulate_tests(
    rng: np.random.Generator,
    bounds: Sequence[Bound],
    truths: Sequence[Truth],
    *,
    tests: int,
    responses: int = 5,
    batch: int = 4,
    budget: int = 60,
    mode: Mode = Mode.BOUNDED,
    alpha: float = ALPHA,
) -> Tests:
    """Sequential tests of the criteria ``bounds`` where ``truths`` hold, measures independent."""
    pairs = [
        evidence_pair(
            bound, draw(rng, bound.kind, truth, (tests, budget), responses), responses, mode
        )
        for bound, truth in zip(bounds, truths, strict=True)
    ]
    decided, criteria = decide_set(pairs, look_points(budget, batch), alpha)
    return Tests(decided, criteria, budget)
