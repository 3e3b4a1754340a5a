"""Simulated sessions have the mean, correlation and deviation that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from holdtrue.stats.evidence import Direction, Kind
from holdtrue.stats.intervals import intra_session_correlation
from holdtrue.stats.planning import Truth, draw, draw_rates, draw_scores, simulate_tests
from holdtrue.stats.sequential import Bound

RNG_SEED = 3


@pytest.mark.parametrize(("mean", "correlation"), [(0.05, 0.0), (0.2, 0.2), (0.4, 0.5)])
def test_rates_have_their_mean_and_correlation(mean, correlation):
    rates = draw_rates(np.random.default_rng(RNG_SEED), mean, correlation, (40_000,), 5)
    assert rates.mean() == pytest.approx(mean, abs=0.01)
    assert intra_session_correlation(rates, 5) == pytest.approx(correlation, abs=0.02)


def test_a_rate_of_zero_never_has_an_event():
    assert not draw_rates(np.random.default_rng(1), 0.0, 0.5, (100,), 5).any()


@pytest.mark.parametrize("collapsed", [0.0, 0.05])
def test_scores_have_their_mean_and_deviation(collapsed):
    truth = Truth(0.75, sd=0.08, collapsed=collapsed, collapsed_score=0.2)
    scores = draw_scores(np.random.default_rng(RNG_SEED), truth, (60_000,))
    assert scores.mean() == pytest.approx(0.75, abs=0.002)
    assert scores.std() == pytest.approx(truth.total_sd, abs=0.002)


def test_a_truth_that_cannot_be_is_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match="no score"):
        draw(rng, Kind.SCORE, Truth(0.02, sd=0.3), (4,), 5)
    with pytest.raises(ValueError, match="mean lies"):
        draw(rng, Kind.RATE, Truth(1.2), (4,), 5)
    with pytest.raises(ValueError, match="correlation"):
        draw(rng, Kind.RATE, Truth(0.2, correlation=1.0), (4,), 5)


def test_equal_seeds_give_equal_tests_and_shares_add_up():
    bounds = [Bound(Kind.RATE, Direction.AT_MOST, 0.1), Bound(Kind.SCORE, Direction.AT_LEAST, 0.7)]
    truths = [Truth(0.05), Truth(0.72)]
    first, second = (
        simulate_tests(np.random.default_rng(4), bounds, truths, tests=200) for _ in range(2)
    )
    np.testing.assert_array_equal(first.sessions, second.sessions)
    assert sum(first.shares) == pytest.approx(1.0)
    assert first.sessions.max() <= 60
