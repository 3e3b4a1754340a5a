"""Intervals and estimates: by hand, against scipy, and by coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from holdtrue.stats.evidence import Direction, Kind, Mode, Side, log_evidence, threshold
from holdtrue.stats.intervals import (
    anytime_interval,
    deviation,
    exact_binomial,
    fixed_interval,
    intra_session_correlation,
    mean,
    rate_interval,
)
from holdtrue.stats.planning import Truth, draw_rates, draw_scores
from holdtrue.stats.sequential import look_points

RATE = {"kind": Kind.RATE, "direction": Direction.AT_MOST, "responses": 5}
SCORE = {"kind": Kind.SCORE, "direction": Direction.AT_LEAST}


def test_clean_sessions_show_the_ceiling_that_they_are_needed_for():
    low, high = anytime_interval(np.zeros(39), look_points(39), **RATE)
    assert low == 0
    assert high == pytest.approx(0.05, abs=0.0015)
    assert high <= 0.05


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    st.lists(st.sampled_from([0.0, 0.2, 0.4, 1.0]), min_size=4, max_size=40),
    st.floats(0.01, 0.99),
    st.sampled_from(list(Mode)),
)
def test_a_bound_is_outside_exactly_when_a_side_rejects_it(x, bound, mode):
    looks = look_points(len(x))
    interval = anytime_interval(x, looks, mode=mode, **RATE)
    rejected = False
    for side in Side:
        logs = log_evidence(x, bound, side=side, mode=mode, **RATE)
        rejected = rejected or bool(logs[looks - 1].max() >= threshold())
    if interval is None:
        assert rejected
        return
    low, high = interval
    if low + 1e-6 < bound < high - 1e-6:
        assert not rejected
    elif bound < low - 1e-6 or bound > high + 1e-6:
        assert rejected


def test_the_interval_of_the_mirrored_measure_is_the_mirrored_interval():
    x = np.array([0.0, 0.2, 0.4, 0.2, 0.0, 0.0, 0.2, 0.6])
    low, high = anytime_interval(x, look_points(8), **RATE)
    mirrored = {**RATE, "direction": Direction.AT_LEAST}
    assert anytime_interval(1 - x, look_points(8), **mirrored) == pytest.approx((1 - high, 1 - low))


def test_sessions_that_change_in_the_middle_have_no_single_mean():
    x = np.r_[np.zeros(60), np.ones(60)]
    assert anytime_interval(x, look_points(120), **RATE) is None


@pytest.mark.parametrize("truth", [0.02, 0.05, 0.2, 0.5])
def test_intervals_of_rates_hold_the_truth_at_every_look(truth):
    rng = np.random.default_rng(11)
    tests, missed_low, missed_high = 150, 0, 0
    for x in draw_rates(rng, truth, 0.4, (tests, 40), 5):
        low, high = anytime_interval(x, look_points(40), **RATE) or (1.0, 0.0)
        missed_low += low > truth
        missed_high += high < truth
    # At most 5 % on either side: of 150 tests, 15 or more would happen once in 100.
    assert missed_low < 15
    assert missed_high < 15


def test_intervals_of_scores_hold_the_truth_at_every_look():
    rng = np.random.default_rng(12)
    missed = 0
    for x in draw_scores(rng, Truth(0.75, sd=0.12), (150, 40)):
        low, high = anytime_interval(x, look_points(40), **SCORE) or (1.0, 0.0)
        missed += not low <= 0.75 <= high
    assert missed < 22


def test_the_correlation_follows_the_analysis_of_variance():
    # F = MSB / MSW of a one-way analysis of variance over the responses, by scipy.
    rng = np.random.default_rng(5)
    rates = draw_rates(rng, 0.3, 0.3, (25,), 6)
    groups = [[1.0] * round(6 * x) + [0.0] * (6 - round(6 * x)) for x in rates]
    f = scipy_stats.f_oneway(*groups).statistic
    assert intra_session_correlation(rates, 6) == pytest.approx((f - 1) / (f - 1 + 6))


def test_the_correlation_by_hand_for_sessions_of_different_size():
    # Sessions 2 of 2 and 0 of 4: grand mean 1/3; MSB = 2 (2/3)^2 + 4 (1/3)^2 = 4/3, MSW = 0.
    assert intra_session_correlation([1.0, 0.0], [2, 4]) == pytest.approx(1.0)
    # 1 of 2 and 2 of 4: no difference between sessions. MSB = 0, MSW = (0.5 + 1) / 4 = 0.375,
    # n0 = 6 - 20/6 = 2.667: (0 - 0.375) / (0 + 1.667 * 0.375) = -0.6.
    assert intra_session_correlation([0.5, 0.5], [2, 4]) == pytest.approx(-0.6)


def test_the_correlation_is_near_the_simulated_one():
    rng = np.random.default_rng(6)
    found = [intra_session_correlation(draw_rates(rng, 0.3, 0.4, (60,), 5), 5) for _ in range(100)]
    assert np.mean(found) == pytest.approx(0.4, abs=0.03)


def test_what_cannot_be_estimated_is_none():
    assert intra_session_correlation([0.2], 5) is None
    assert intra_session_correlation([0.0, 0.0, 0.0], 5) is None
    assert intra_session_correlation([1.0, 0.0], 1) is None
    assert mean([np.nan]) is None
    assert deviation([0.5]) is None
    assert fixed_interval([0.5]) is None
    assert fixed_interval([0.2, 0.2, 0.2]) is None
    assert rate_interval([0.2]) is None


def test_the_fixed_interval_is_students():
    x = np.array([0.7, 0.8, 0.75, 0.9])
    wanted = scipy_stats.ttest_1samp(x, 0.5).confidence_interval()
    assert fixed_interval(x) == pytest.approx((wanted.low, wanted.high))


@pytest.mark.parametrize(("events", "trials"), [(0, 5), (1, 5), (5, 5), (3, 40)])
def test_the_exact_interval_is_that_of_scipy(events, trials):
    wanted = scipy_stats.binomtest(events, trials).proportion_ci(0.95, method="exact")
    assert exact_binomial(events, trials) == pytest.approx((wanted.low, wanted.high))


def test_one_event_of_five_leaves_the_published_range_open():
    assert exact_binomial(1, 5) == pytest.approx((0.0051, 0.7164), abs=5e-5)  # Clopper-Pearson


@pytest.mark.parametrize(("truth", "correlation"), [(0.05, 0.2), (0.2, 0.0), (0.2, 0.5)])
def test_clustered_rate_intervals_cover_the_truth(truth, correlation):
    rng = np.random.default_rng(7)
    held = 0
    for x in draw_rates(rng, truth, correlation, (400, 20), 5):
        low, high = rate_interval(x)
        held += low <= truth <= high
    assert held / 400 >= 0.94


def test_equal_rates_leave_as_much_open_as_their_number_of_sessions():
    assert rate_interval([0.2, 0.2, 0.2]) == pytest.approx(exact_binomial(0.6, 3))
    assert rate_interval(np.zeros(20))[1] == pytest.approx(1 - 0.025 ** (1 / 20))
