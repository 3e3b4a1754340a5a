"""E-processes: arithmetic shown, properties, exact figures, and E[e] at most 1."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdtrue.stats.evidence import (
    Direction,
    Kind,
    Mode,
    Side,
    bets,
    log_average,
    log_evidence,
    rate_variance,
    threshold,
)

AT_MOST, AT_LEAST = Direction.AT_MOST, Direction.AT_LEAST
RATE, SCORE = Kind.RATE, Kind.SCORE


def rate(values, bound, side, mode=Mode.BOUNDED, responses=5):
    return log_evidence(
        values, bound, kind=RATE, direction=AT_MOST, side=side, mode=mode, responses=responses
    )


def score(values, bound, side, mode=Mode.BOUNDED):
    return log_evidence(values, bound, kind=SCORE, direction=AT_LEAST, side=side, mode=mode)


def test_a_rate_met_in_bounded_mode_follows_the_formula_by_hand():
    # c = 0.05, K = 5: D = 1/5 + 4/5 * 0.5 = 0.6, v = 0.05 * 0.95 * 0.6 = 0.0285.
    # delta = 0.05:  t = 0.57,    Q(0) = 0.62^2 / (0.57^2 + 0.0285)    = 0.3844 / 0.3534
    # delta = 0.035: t = 0.81429, Q(0) = 0.86429^2 / (0.81429^2 + 0.0285)
    # L(0) = 1 + 0.95 * 0.05 / 0.95 = 1.05
    t = 0.0285 / 0.035
    by_hand = 0.6 * (0.3844 / 0.3534) + 0.2 * (0.05 + t) ** 2 / (t**2 + 0.0285) + 0.2 * 1.05
    assert exp(rate([0.0], 0.05, Side.MET)[0]) == pytest.approx(by_hand, rel=1e-12)


def test_two_sessions_multiply_inside_each_bet_and_add_over_the_bets():
    q1, line = 0.3844 / 0.3534, 1.05
    t = 0.0285 / 0.035
    q2 = (0.05 + t) ** 2 / (t**2 + 0.0285)
    by_hand = 0.6 * q1**2 + 0.2 * q2**2 + 0.2 * line**2
    assert exp(rate([0.0, 0.0], 0.05, Side.MET)[1]) == pytest.approx(by_hand, rel=1e-12)


def test_a_rate_not_met_follows_the_formula_by_hand_in_both_modes():
    # x = 0.2 at c = 0.05: 1 + 3 f for f = 0.8, 0.4, 0.2, 0.1, 0.05.
    by_hand = (3.4 + 2.2 + 1.6 + 1.3 + 1.15) / 5
    for mode in Mode:
        assert exp(rate([0.2], 0.05, Side.NOT_MET, mode)[0]) == pytest.approx(by_hand, rel=1e-12)


def test_a_rate_met_in_free_mode_is_the_linear_bet_alone():
    assert exp(rate([0.4], 0.1, Side.MET, Mode.FREE)[0]) == pytest.approx(1 - 0.95 * 0.3 / 0.9)


def test_a_score_met_follows_the_formula_by_hand():
    # c = 0.75, x = 0.85, v = 0.0225; delta = 0.04: t = 0.5625; delta = 0.10: t = 0.225.
    q1 = 0.6625**2 / (0.5625**2 + 0.0225)
    q2 = 0.325**2 / (0.225**2 + 0.0225)
    assert exp(score([0.85], 0.75, Side.MET)[0]) == pytest.approx((q1 + q2) / 2, rel=1e-12)
    free = 1 + 0.95 * 0.1 / 0.75
    assert exp(score([0.85], 0.75, Side.MET, Mode.FREE)[0]) == pytest.approx(free, rel=1e-12)


def test_a_score_not_met_follows_the_formula_by_hand():
    # c = 0.75, x = 0.60: z = 0.40, d = 0.25; delta = 0.15: t = 0.15.
    q = 0.30**2 / (0.15**2 + 0.0225)
    bounded = 0.4 * q + 0.3 * (1 + 0.9 * 0.6) + 0.3 * (1 + 0.4 * 0.6)
    free = 0.4 * (1 + 0.95 * 0.6) + 0.3 * (1 + 0.5 * 0.6) + 0.3 * (1 + 0.25 * 0.6)
    assert exp(score([0.6], 0.75, Side.NOT_MET)[0]) == pytest.approx(bounded, rel=1e-12)
    assert exp(score([0.6], 0.75, Side.NOT_MET, Mode.FREE)[0]) == pytest.approx(free, rel=1e-12)


@pytest.mark.parametrize(
    ("mode", "ceiling", "sessions"),
    [
        *zip(["bounded"] * 7, (2, 3, 5, 8, 10, 15, 20), (97, 64, 39, 24, 19, 13, 10), strict=True),
        *zip(["free"] * 7, (2, 3, 5, 8, 10, 15, 20), (157, 104, 62, 38, 30, 20, 15), strict=True),
    ],
)
def test_clean_sessions_meet_a_ceiling_after_the_published_number(mode, ceiling, sessions):
    logs = rate(np.zeros(200), ceiling / 100, Side.MET, Mode(mode))
    assert logs[sessions - 1] >= threshold()
    assert logs[sessions - 2] < threshold()


values = st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]), min_size=1, max_size=30)
bounds = st.floats(0.01, 0.99)
everything = st.tuples(
    st.sampled_from(list(Kind)),
    st.sampled_from(list(Direction)),
    st.sampled_from(list(Side)),
    st.sampled_from(list(Mode)),
)


def run(x, bound, case, responses=5):
    kind, direction, side, mode = case
    return log_evidence(
        x, bound, kind=kind, direction=direction, side=side, mode=mode, responses=responses
    )


@settings(deadline=None, derandomize=True)
@given(values, bounds, everything, st.randoms(use_true_random=False))
def test_the_order_of_sessions_does_not_matter(x, bound, case, random):
    shuffled = list(x)
    random.shuffle(shuffled)
    first, second = run(x, bound, case)[-1], run(shuffled, bound, case)[-1]
    assert first == pytest.approx(second, rel=1e-9, abs=1e-9) or first == second


@settings(deadline=None, derandomize=True)
@given(values, bounds, everything)
def test_rows_of_a_matrix_are_what_they_are_alone(x, bound, case):
    pair = run([x, x[::-1]], bound, case)
    np.testing.assert_array_equal(pair[0], run(x, bound, case))
    np.testing.assert_array_equal(pair[1], run(x[::-1], bound, case))


@settings(deadline=None, derandomize=True)
@given(values, bounds, everything)
def test_the_mirror_of_a_measure_has_the_same_evidence(x, bound, case):
    kind, direction, side, mode = case
    other = AT_LEAST if direction is AT_MOST else AT_MOST
    here = run(x, bound, case)
    mirrored = run(1 - np.asarray(x), 1 - bound, (kind, other, side, mode))
    np.testing.assert_allclose(here, mirrored, rtol=1e-7, atol=1e-7)


def test_a_missing_value_leaves_the_evidence_as_it_is():
    logs = rate([0.0, np.nan, 0.0], 0.05, Side.MET)
    assert logs[1] == logs[0]
    assert logs[2] == rate([0.0, 0.0], 0.05, Side.MET)[1]


def test_each_session_enters_with_its_own_number_of_responses():
    mixed = rate([0.0, 0.0], 0.05, Side.MET, responses=[5, 1])
    one, five = rate([0.0], 0.05, Side.MET, responses=1), rate([0.0], 0.05, Side.MET)
    assert mixed[0] == five[0]
    assert one[0] < five[0], "one clean response says less than five"
    parts = []
    for k in (5, 1):
        weights, factors = bets(
            [0.0], 0.05, kind=RATE, direction=AT_MOST, side=Side.MET, responses=k
        )
        parts.append([float(factor[0]) for factor in factors])
    by_hand = sum(w * a * b for w, a, b in zip(weights, *parts, strict=True))
    assert mixed[1] == pytest.approx(log(by_hand), rel=1e-12)


def test_the_variance_of_a_session_rate_at_the_assumed_correlation():
    # Beta-binomial with correlation 0.5 and K = 5: p (1 - p) (1 + 4 * 0.5) / 5.
    assert rate_variance(0.05, 5) == pytest.approx(0.05 * 0.95 * 3 / 5)
    assert rate_variance(0.3, 1) == pytest.approx(0.3 * 0.7)


def test_evidence_of_thousands_of_sessions_neither_overflows_nor_turns_into_nan():
    for case in [(k, d, s, m) for k in Kind for d in Direction for s in Side for m in Mode]:
        for x in (np.zeros(5_000), np.ones(5_000)):
            logs = run(x, 0.05, case)
            assert not np.isnan(logs).any()


def test_the_average_is_that_of_the_processes_and_not_of_their_logarithms():
    logs = np.log([[1.0, 30.0], [3.0, 10.0]])
    np.testing.assert_allclose(np.exp(log_average(logs)), [2.0, 20.0])
    assert log_average([[-np.inf], [log(4.0)]])[0] == pytest.approx(log(2.0))


@pytest.mark.parametrize("bound", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_an_impossible_bound_is_refused(bound):
    with pytest.raises(ValueError, match="strictly between"):
        rate([0.0], bound, Side.MET)


def test_values_outside_their_range_are_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        rate([1.2], 0.05, Side.MET)
    with pytest.raises(ValueError, match="at least one response"):
        rate([0.2], 0.05, Side.MET, responses=0)
    with pytest.raises(ValueError, match="axis"):
        rate(0.2, 0.05, Side.MET)
