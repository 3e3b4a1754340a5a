"""Comparison statistics: by hand, against scipy, and by simulated error rates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from holdtrue.stats.compare import (
    cohens_h,
    compare_means,
    hedges_g,
    holm,
    paired_interval,
    permutation_test,
    sign_flip_test,
    unpaired_interval,
)
from holdtrue.stats.planning import Truth, draw_rates, draw_scores

A = np.array([0.62, 0.71, 0.55, 0.80, 0.66])
B = np.array([0.78, 0.85, 0.69, 0.88, 0.92, 0.81])


def rng() -> np.random.Generator:
    return np.random.default_rng(20261123)


def test_the_permutation_test_is_exact_and_that_of_scipy():
    def welch(x, y):
        return abs(scipy_stats.ttest_ind(x, y, equal_var=False).statistic)

    wanted = scipy_stats.permutation_test(
        (A, B), welch, alternative="greater", n_resamples=np.inf
    ).pvalue
    found, exact = permutation_test(A, B, rng())
    assert exact
    assert found == pytest.approx(wanted)


def test_the_permutation_test_by_hand_on_four_sessions():
    # 0, 0 against 1, 1: of six splits, the one seen and its mirror are as extreme.
    assert permutation_test(np.zeros(2), np.ones(2), rng()) == (pytest.approx(2 / 6), True)


def test_equal_sessions_have_a_p_value_of_one():
    assert permutation_test(np.zeros(8), np.zeros(9), rng())[0] == 1.0
    assert sign_flip_test(np.zeros(8), rng()) == (1.0, True)


def test_a_large_permutation_test_draws_splits_and_never_claims_zero():
    low, high = np.linspace(0, 0.1, 30), np.linspace(0.8, 0.9, 30)
    found, exact = permutation_test(low, high, rng(), resamples=999)
    assert not exact
    assert found == pytest.approx(1 / 1000)


def test_random_splits_agree_with_all_of_them(monkeypatch):
    all_of_them, _ = permutation_test(A, B, rng())
    monkeypatch.setattr("holdtrue.stats.compare.MOST_EXACT", 0)
    drawn, exact = permutation_test(A, B, rng(), resamples=20_000)
    assert not exact
    assert drawn == pytest.approx(all_of_them, abs=0.004)


def test_the_sign_flip_test_by_hand():
    # Of 2^3 signs of 0.1, 0.2, 0.3, only all plus and all minus reach a sum of 0.6.
    assert sign_flip_test(np.array([0.1, 0.2, 0.3]), rng()) == (pytest.approx(2 / 8), True)


def test_the_sign_flip_test_is_that_of_scipy():
    d = np.array([0.05, -0.02, 0.11, 0.07, 0.01, -0.04, 0.09])
    wanted = scipy_stats.permutation_test(
        (d,),
        lambda x: abs(np.mean(x)),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    ).pvalue
    assert sign_flip_test(d, rng())[0] == pytest.approx(wanted)


def test_the_unpaired_interval_of_scores_is_welchs():
    wanted = scipy_stats.ttest_ind(B, A, equal_var=False).confidence_interval()
    assert unpaired_interval(A, B) == pytest.approx((wanted.low, wanted.high))


def test_the_paired_interval_is_students_on_the_differences():
    wanted = scipy_stats.ttest_rel(B[:5], A).confidence_interval()
    assert paired_interval(B[:5] - A) == pytest.approx((wanted.low, wanted.high))


def test_arms_without_variation_are_not_taken_as_known():
    # Twenty sessions of 0 each: a share of 1 - 0.025^(1/20) = 0.168 may have been missed in both.
    unseen = 1 - 0.025 ** (1 / 20)
    low, high = unpaired_interval(np.zeros(20), np.zeros(20))
    assert (low, high) == pytest.approx((-unseen, unseen))
    assert paired_interval(np.zeros(20)) == pytest.approx((-unseen, unseen))


@pytest.mark.parametrize(("p", "q", "n"), [(0.02, 0.10, 20), (0.0, 0.05, 20), (0.2, 0.2, 8)])
def test_intervals_of_rate_differences_cover_the_truth(p, q, n):
    source, held = rng(), 0
    for _ in range(400):
        x = draw_rates(source, p, 0.2, (n,), 5)
        y = draw_rates(source, q, 0.2, (n,), 5)
        low, high = unpaired_interval(x, y, rate=True)
        held += low <= q - p <= high
    assert held / 400 >= 0.93


def test_intervals_of_score_differences_cover_the_truth():
    source, held = rng(), 0
    for _ in range(500):
        x = draw_scores(source, Truth(0.75, sd=0.12), (12,))
        y = draw_scores(source, Truth(0.80, sd=0.05), (20,))
        low, high = unpaired_interval(x, y)
        held += low <= 0.05 <= high
    assert held / 500 >= 0.93


def test_permutation_p_values_are_uniform_enough_under_the_null():
    source = rng()
    p = [
        permutation_test(*np.split(draw_scores(source, Truth(0.7, sd=0.1), (16,)), 2), source)[0]
        for _ in range(200)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.09
    assert 0.4 < np.mean(p) < 0.6


def test_hedges_g_by_hand():
    # Means 2 and 4, pooled variance 1 (n = 3 each): d = 2, J = 1 - 3 / (4 * 4 - 1) = 0.8.
    assert hedges_g(np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0])) == pytest.approx(1.6)


def test_cohens_h_of_published_rates():
    # Cohen (1988), table 6.2.2: phi(0.20) = 0.927, phi(0.50) = 1.571.
    assert cohens_h(0.20, 0.50) == pytest.approx(1.571 - 0.927, abs=5e-4)
    assert cohens_h(0.5, 0.2) == -cohens_h(0.2, 0.5)


def test_an_effect_without_variation_is_unknown():
    assert hedges_g(np.full(4, 0.2), np.full(5, 0.2)) is None
    assert hedges_g(np.array([0.2]), B) is None


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_one_session_has_no_interval_and_no_p_value():
    found = compare_means(A, B[:1], rng())
    assert found.difference == pytest.approx(B[0] - A.mean())
    assert (found.low, found.high, found.p_value) == (None, None, None)


def test_pairs_are_compared_as_pairs():
    shift = np.array([0.02, 0.03, 0.01, 0.02, 0.025])
    spread = np.array([0.1, 0.9, 0.4, 0.6, 0.2])
    paired = compare_means(spread, spread + shift, rng(), paired=True)
    unpaired = compare_means(spread, spread + shift, rng())
    assert paired.low > 0
    assert paired.p_value == pytest.approx(2 / 32)
    assert unpaired.p_value > 0.8


def test_arms_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="without a value"):
        compare_means([], B, rng())
    with pytest.raises(ValueError, match="pairs"):
        compare_means(A, B, rng(), paired=True)


def test_an_arm_split_in_two_differs_in_at_most_one_of_twenty_tests():
    source, different = rng(), 0
    for _ in range(150):
        p_values = []
        for _ in range(2):
            x = draw_rates(source, 0.1, 0.2, (24,), 5)
            p_values.append(compare_means(x[:12], x[12:], source, rate=True, resamples=199).p_value)
        for _ in range(3):
            x = draw_scores(source, Truth(0.75), (24,))
            p_values.append(compare_means(x[:12], x[12:], source, resamples=199).p_value)
        different += min(holm(p_values)) <= 0.05
    # 5 % of 150 is 7.5; 14 or more would happen once in 50.
    assert different < 14
