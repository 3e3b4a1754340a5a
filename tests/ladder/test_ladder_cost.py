"""The ladder's table in reduced form; benchmarks/ladder_cost.py runs it whole."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "ladder_cost.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ladder_cost", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["ladder_cost"] = module
    spec.loader.exec_module(module)
    return module


bench = load()


@pytest.mark.parametrize("name", list(bench.CASES))
def test_the_search_keeps_to_the_cost_and_correctness_of_the_table(name: str) -> None:
    case = bench.CASES[name]
    found = bench.measure(case, ladders=100, seed=7)
    assert bench.holds(case, found), found


def test_a_bound_can_fail() -> None:
    """The check itself: a truth whose right answer is named wrongly does not pass."""
    case = bench.Case(bench.from_size(1.0), 0.5, cost=0.02)
    assert not bench.holds(case, bench.measure(case, ladders=20, seed=7))


def test_the_stated_truths_have_the_right_answer_they_are_given() -> None:
    limits = bench.bounds()
    for name, case in bench.CASES.items():
        viable = [
            size
            for size, level in zip(bench.SIZES, case.levels, strict=True)
            if level.gaming <= limits["gaming_rate"].bound
            and level.generic <= limits["generic_ai_rate"].bound
            and level.d9 >= limits["d9"].bound
        ]
        assert min(viable) == case.answer, name


def test_strict_costs_more_and_is_no_less_right() -> None:
    case = bench.CASES["sharp, smallest viable 1 B"]
    plain = bench.measure(case, ladders=40, seed=3)
    strict = bench.measure(case, ladders=40, seed=3, strict=True)
    assert strict.cost > plain.cost
    assert strict.right >= 0.99
