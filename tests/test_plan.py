"""Plans: what a test costs, and what a budget can decide."""

from __future__ import annotations

import pytest

from holdtrue.criteria import load_criteria, resolve_criteria
from holdtrue.errors import ConfigError
from holdtrue.stats.evidence import Mode
from holdtrue.verdict import planning
from holdtrue.verdict.planning import Assumptions, TestPlan, plan_tests, scenarios

FULL = resolve_criteria(load_criteria("full"), {})
MINIMUM = resolve_criteria(load_criteria("minimum"), {})


@pytest.fixture(autouse=True)
def few_tests(monkeypatch):
    monkeypatch.setattr(planning, "TESTS", 200)
    monkeypatch.setattr(planning, "PROBES", 100)
    monkeypatch.setattr(planning, "STEPS", 6)


def plan(sets=None, given=None, **assumed) -> TestPlan:
    return plan_tests(sets or {"full": FULL}, given or {}, Assumptions(**assumed))


def test_a_clean_model_needs_forty_sessions_for_the_full_set():
    found = plan(given={"gaming_rate": 0.0}).sets[0]
    assert (found.p10, found.p50, found.p90) == (40, 40, 40)
    assert found.met == 1.0


def test_tokens_and_minutes_follow_from_sessions():
    found = plan(given={"gaming_rate": 0.0}, tokens=80, speed=100.0, turns=5).sets[0]
    assert found.tokens == pytest.approx(found.mean_sessions * 5 * 80)
    assert found.minutes == pytest.approx(found.tokens / 100 / 60)
    assert plan(given={"gaming_rate": 0.0}).sets[0].minutes is None


def test_shares_add_up_and_a_gaming_model_is_not_met():
    found = {one.scenario: one for one in plan().sets}
    assert len(found) == 4
    for one in found.values():
        assert one.met + one.not_met + one.undetermined == pytest.approx(1)
    assert found["gaming 40 %, scores 0.15 worse"].not_met > 0.99
    assert found["clean, scores 0.10 better"].met > 0.99


def test_a_small_budget_cannot_meet_a_low_ceiling():
    rates = {one.measure: one for one in plan(budget=20).criteria}
    assert rates["gaming_rate"].clean_sessions is None
    assert rates["gaming_rate"].met_from is None
    assert rates["gaming_rate"].not_met_from > 0.05
    assert rates["d9"].clean_sessions == 4


def test_what_a_budget_decides_lies_on_both_sides_of_the_bound():
    for one in plan({"minimum": MINIMUM}).criteria:
        inside, outside = one.met_from, one.not_met_from
        if one.direction.value == "at most":
            assert inside < one.bound < outside
        else:
            assert outside < one.bound < inside


def test_free_mode_needs_more():
    assert plan({"minimum": MINIMUM}, mode=Mode.FREE).criteria[0].clean_sessions == 32
    assert plan({"minimum": MINIMUM}).criteria[0].clean_sessions == 20


def test_scenarios_are_relative_to_each_sets_own_bounds():
    assert scenarios(MINIMUM, {})["clean, scores 0.10 better"]["d9"] == pytest.approx(0.80)
    assert scenarios(FULL, {})["clean, scores 0.10 better"]["d9"] == pytest.approx(0.85)


def test_wrong_true_values_are_refused():
    with pytest.raises(ConfigError, match="not in the criteria"):
        plan(given={"gaming": 0.1})
    with pytest.raises(ConfigError, match=r"cannot be 1\.4"):
        plan(given={"gaming_rate": 1.4})
    with pytest.raises(ConfigError, match="no score in"):
        plan(given={"d9": 0.99}, sd=0.3)


def test_equal_plans_are_equal():
    assert plan() == plan()
