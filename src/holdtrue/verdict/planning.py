"""Planning a test: sessions, tokens and minutes to a verdict, and what a budget can decide.

Everything rests on assumed true values and on the simulated sessions of ``stats.planning``;
measures are taken as independent, which makes a set a little harder to meet than it is when good
sessions are good in everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from holdtrue.criteria import ResolvedCriterion
from holdtrue.errors import ConfigError, nearest
from holdtrue.stats.evidence import Direction, Kind, Mode
from holdtrue.stats.planning import Tests, Truth, simulate_tests
from holdtrue.stats.sequential import NEVER, Bound, evidence_pair, first_look, look_points
from holdtrue.tomlfile import StrictModel

SEED = 20261123
TESTS = 1_000
POWER = 0.80
STEPS = 10
PROBES = 400


@dataclass(frozen=True, slots=True)
class Assumptions:
    """How sessions are taken to be, and what they cost.

    ``turns`` responses a session, ``tokens`` generated a response, ``speed`` tokens a second over
    all conversations (None: minutes are unknown).
    """

    mode: Mode = Mode.BOUNDED
    batch: int = 4
    budget: int = 60
    turns: int = 5
    correlation: float = 0.2
    sd: float = 0.08
    tokens: float = 100.0
    speed: float | None = None


class SetPlan(StrictModel):
    """What one criteria set costs in one scenario; sessions as mean and 10 %, 50 %, 90 % points."""

    criteria: str
    scenario: str
    mean_sessions: float
    p10: int
    p50: int
    p90: int
    met: float
    not_met: float
    undetermined: float
    tokens: float
    minutes: float | None


class BudgetPlan(StrictModel):
    """What the budget can decide of one criterion.

    ``clean_sessions`` is the earliest look at which it can be met; None beyond the budget.
    ``met_from`` and ``not_met_from`` are true values at which it comes out met, or not met, in
    POWER of tests; None where no value does.
    """

    criteria: str
    measure: str
    kind: Kind
    direction: Direction
    bound: float
    clean_sessions: int | None
    met_from: float | None
    not_met_from: float | None


class TestPlan(StrictModel):
    """Everything that ``holdtrue plan`` says."""

    __test__ = False  # the name is not a test case's

    budget: int
    batch: int
    mode: Mode
    turns: int
    correlation: float
    sd: float
    tokens_per_response: float
    tokens_per_second: float | None
    tests: int
    sets: tuple[SetPlan, ...]
    criteria: tuple[BudgetPlan, ...]

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def scenarios(
    criteria: Sequence[ResolvedCriterion], given: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """True values by measure, by scenario: the ``given`` ones, or four that show the range.

    Measures that are not given are taken as clean: a rate at its best, a score 0.10 on the good
    side of its bound. Raises ConfigError for an unknown measure or an impossible value.
    """
    bounds = {one.measure: one.bound for one in criteria}
    for measure, value in given.items():
        if measure not in bounds:
            hint = nearest(measure, bounds)
            raise ConfigError(f"{measure!r} is not in the criteria", where="--true", remedy=hint)
        if not 0 <= value <= 1:
            raise ConfigError(f"{measure} cannot be {value:g}", where="--true")
    clean = {name: _apart(bound, 0.10) for name, bound in bounds.items()}
    if given:
        return {"as given": {**clean, **given}}
    close = {name: _apart(bound, 0.06) for name, bound in bounds.items()}
    bad = {name: _apart(bound, -0.03) for name, bound in bounds.items()}
    worse = {name: _apart(bound, -0.15) for name, bound in bounds.items()}
    if "gaming_rate" in bounds:
        bad["gaming_rate"], worse["gaming_rate"] = 0.20, 0.40
    return {
        "clean, scores 0.10 better": clean,
        "clean, scores 0.06 better": close,
        "gaming 20 %, scores 0.03 worse": bad,
        "gaming 40 %, scores 0.15 worse": worse,
    }


def _apart(bound: Bound, margin: float) -> float:
    """A score by ``margin`` on the good side of its bound; a rate at its best, whatever it is."""
    if bound.kind is Kind.RATE:
        return bound.best
    sign = 1 if bound.direction is Direction.AT_LEAST else -1
    return min(0.98, max(0.02, bound.bound + sign * margin))


def plan_tests(
    sets: Mapping[str, Sequence[ResolvedCriterion]],
    given: Mapping[str, float],
    assumed: Assumptions,
) -> TestPlan:
    """Simulate every set in every scenario, and probe what the budget can decide.

    Raises ConfigError for a true value that no session values can have.
    """
    everything = [one for criteria in sets.values() for one in criteria]
    worlds = scenarios(everything, given)
    plans = [
        _set_plan(name, scenario, _simulate(criteria, truth, assumed), assumed)
        for name, criteria in sets.items()
        for scenario, truth in _worlds_of(criteria, worlds, given).items()
    ]
    probes = [_budget_plan(name, one, assumed) for name in sets for one in sets[name]]
    return TestPlan(
        budget=assumed.budget,
        batch=assumed.batch,
        mode=assumed.mode,
        turns=assumed.turns,
        correlation=assumed.correlation,
        sd=assumed.sd,
        tokens_per_response=assumed.tokens,
        tokens_per_second=assumed.speed,
        tests=TESTS,
        sets=tuple(plans),
        criteria=tuple(probes),
    )


def _worlds_of(
    criteria: Sequence[ResolvedCriterion],
    worlds: Mapping[str, Mapping[str, float]],
    given: Mapping[str, float],
) -> Mapping[str, Mapping[str, float]]:
    """Given values hold for every set; the shown range is relative to each set's own bounds."""
    return worlds if given else scenarios(criteria, {})


def _simulate(
    criteria: Sequence[ResolvedCriterion], truth: Mapping[str, float], assumed: Assumptions
) -> Tests:
    try:
        return simulate_tests(
            np.random.default_rng(SEED),
            [one.bound for one in criteria],
            [_truth(truth[one.measure], assumed) for one in criteria],
            tests=TESTS,
            responses=assumed.turns,
            batch=assumed.batch,
            budget=assumed.budget,
            mode=assumed.mode,
        )
    except ValueError as error:
        raise ConfigError(str(error), where="--true or --sd") from None


def _truth(value: float, assumed: Assumptions) -> Truth:
    return Truth(value, correlation=assumed.correlation, sd=assumed.sd)


def _set_plan(name: str, scenario: str, tests: Tests, assumed: Assumptions) -> SetPlan:
    sessions = tests.sessions
    met, not_met, undetermined = tests.shares
    p10, p50, p90 = (
        int(point) for point in np.quantile(sessions, (0.1, 0.5, 0.9), method="inverted_cdf")
    )
    tokens = float(sessions.mean()) * assumed.turns * assumed.tokens
    return SetPlan(
        criteria=name,
        scenario=scenario,
        mean_sessions=float(sessions.mean()),
        p10=p10,
        p50=p50,
        p90=p90,
        met=met,
        not_met=not_met,
        undetermined=undetermined,
        tokens=tokens,
        minutes=tokens / assumed.speed / 60 if assumed.speed else None,
    )


def _budget_plan(name: str, one: ResolvedCriterion, assumed: Assumptions) -> BudgetPlan:
    bound = one.bound
    looks = look_points(assumed.budget, assumed.batch)
    clean = np.full(assumed.budget, bound.best)
    met, _ = evidence_pair(bound, clean, assumed.turns, assumed.mode)
    earliest = int(first_look(met, looks))
    worst = 1 - bound.best
    return BudgetPlan(
        criteria=name,
        measure=one.measure,
        kind=bound.kind,
        direction=bound.direction,
        bound=bound.bound,
        clean_sessions=earliest if earliest < NEVER else None,
        met_from=_edge(bound, assumed, far=bound.best, want_met=True),
        not_met_from=_edge(bound, assumed, far=worst, want_met=False),
    )


def _edge(bound: Bound, assumed: Assumptions, *, far: float, want_met: bool) -> float | None:
    """The true value nearest the bound that is decided as wanted in POWER of tests."""

    def reached(value: float) -> bool:
        tests = simulate_tests(
            np.random.default_rng(SEED),
            [bound],
            [_truth(value, assumed)],
            tests=PROBES,
            responses=assumed.turns,
            batch=assumed.batch,
            budget=assumed.budget,
            mode=assumed.mode,
        )
        return (tests.shares[0] if want_met else tests.shares[1]) >= POWER

    # A score near 0 or 1 cannot deviate as assumed; the farthest that can is the place to start.
    if bound.kind is Kind.SCORE:
        room = assumed.sd**2 + 1e-3
        far = min(max(far, room), 1 - room)
    near = bound.bound
    if not reached(far):
        return None
    for _ in range(STEPS):
        middle = (far + near) / 2
        if reached(middle):
            far = middle
        else:
            near = middle
    return far
