"""A glance decides as the verdict does, whatever the sessions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdtrue.baseline import load_baseline
from holdtrue.criteria import load_criteria
from holdtrue.errors import ConfigError
from holdtrue.scoring.measures import ScoredSession
from holdtrue.verdict import Decision, decide
from holdtrue.verdict.glance import glance
from made_sessions import made_session

CRITERIA = (load_criteria("minimum"), load_criteria("full"))
S35 = load_baseline("s35")


def arm(rng: np.random.Generator, count: int, gaming: float, d9: float) -> list[ScoredSession]:
    """Sessions some of which failed, repeat a draw, are unscored or belong to a chain."""
    found = []
    for number in range(1, count + 1):
        odd = rng.random()
        found.append(
            made_session(
                number - 1 if odd < 0.05 else number,
                gaming=int(rng.binomial(5, gaming)),
                d9=None if 0.05 < odd < 0.1 else float(np.clip(rng.normal(d9, 0.05), 0, 1)),
                failed="turn 1: boom" if 0.1 < odd < 0.15 else None,
                cluster="chain" if 0.15 < odd < 0.2 else None,
            )
        )
    return found


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 70),
    gaming=st.sampled_from([0.0, 0.05, 0.3]),
    d9=st.sampled_from([0.6, 0.75, 0.9]),
    options=st.fixed_dictionaries(
        {
            "mode": st.sampled_from(["bounded", "free"]),
            "batch": st.sampled_from([1, 4, 7]),
            "met_alpha": st.sampled_from([0.05, 0.01]),
        }
    ),
)
def test_a_glance_decides_as_the_verdict_does(
    seed: int, count: int, gaming: float, d9: float, options: dict[str, Any]
) -> None:
    sessions = arm(np.random.default_rng(seed), count, gaming, d9)
    seen = glance(sessions, CRITERIA, S35, **options)
    whole = decide(sessions, CRITERIA, S35, **options)
    assert [(one.name, one.decision) for one in seen.sets] == [
        (one.name, one.decision) for one in whole.sets
    ]
    assert (seen.decided, seen.sessions) == (whole.decided, whole.sessions)


def test_the_sessions_of_this_test_come_to_every_decision() -> None:
    found = {
        glance(arm(np.random.default_rng(1), 70, gaming, d9), CRITERIA, S35).sets[0].decision
        for gaming, d9 in ((0.0, 0.9), (0.3, 0.6), (0.05, 0.75))
    }
    assert {Decision.NOT_MET, Decision.UNDETERMINED} <= found
    clean = [made_session(number) for number in range(1, 41)]
    assert glance(clean, CRITERIA, S35).decided


def test_sessions_of_two_arms_are_refused() -> None:
    with pytest.raises(ConfigError, match="several arms"):
        glance([made_session(1), made_session(2, model="other:1b")], CRITERIA, S35)
