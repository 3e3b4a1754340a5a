"""Figures of agreement: by hand, against other implementations, and how often intervals hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdtrue.scoring import agreement
from holdtrue.scoring.agreement import on_classes, on_values, rating_kappa

NAMES = ("none", "natural", "mechanical")
FIRST = [0, 0, 1, 1, 2, 2, 2, 0, 1, 0, 2, 1, 0, 0, 2, 1, 1, 0, 2, 0]
SECOND = [0, 1, 1, 1, 2, 0, 2, 0, 1, 0, 2, 2, 0, 1, 2, 1, 0, 0, 2, 0]
RATED = [1, 2, 3, 4, 5, 3, 2, 4, 4, 1, 5, 2, 3, 3, 4, 2]
RERATED = [2, 2, 3, 5, 4, 3, 1, 4, 3, 1, 5, 3, 3, 2, 4, 2]


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def pairs(values: list[int]) -> list[int]:
    return [number // 2 for number in range(len(values))]


# ---- by hand ----


def test_kappa_of_a_textbook_table_is_as_worked_by_hand() -> None:
    """Two readers, 50 cases, yes-yes 20, yes-no 5, no-yes 10, no-no 15.

    Observed agreement 35/50 = 0.7; by chance 0.5·0.6 + 0.5·0.4 = 0.5; kappa (0.7 - 0.5)/0.5 = 0.4.
    """
    assert float(agreement.kappa(np.array([[20, 5], [10, 15]]))) == pytest.approx(0.4)


def test_precision_recall_and_f1_by_hand() -> None:
    """Labelled yes 8 of 20; told yes 6, 5 of them right: 5/6, 5/8, 10/14."""
    matrix = np.array([[11, 1], [3, 5]])
    assert agreement.precision(matrix)[1] == pytest.approx(5 / 6)
    assert agreement.recall(matrix)[1] == pytest.approx(5 / 8)
    assert agreement.f1(matrix)[1] == pytest.approx(10 / 14)
    assert float(agreement.accuracy(matrix)) == pytest.approx(16 / 20)


def test_quadratic_kappa_by_hand() -> None:
    """Ratings 1 to 3: (1,1), (2,3), (3,3). Costs 0, 1/4, 0; expected over all nine pairings.

    Rows hold one 1, 2, 3 each; columns one 1 and two 3s. Sum of costs over pairings: 1 (1,3)·2
    + 1/4 (2,1) + 1/4·2 (2,3) + 1 (3,1) = 3.75, over 9; observed 0.25 over 3: 1 - 0.0833/0.4167.
    """
    found = rating_kappa([1, 2, 3], [1, 3, 3], [0, 1, 2], (1, 3), rng())
    assert found.value == pytest.approx(0.8)


def test_spearman_shares_ranks_of_ties() -> None:
    """x ranks 1, 2.5, 2.5, 4; y ranks 1, 2, 3, 4: 4.5 / sqrt(4.5 · 5)."""
    found = agreement.spearman(np.array([1.0, 2, 2, 9]), np.array([3.0, 4, 5, 6]))
    assert found[0] == pytest.approx(4.5 / np.sqrt(4.5 * 5))


# ---- against other implementations (scikit-learn 1.9, scipy 1.17) ----


def test_class_figures_equal_scikit_learn() -> None:
    found = on_classes(FIRST, SECOND, pairs(FIRST), NAMES, rng())
    assert [found.of(name).f1.value for name in NAMES] == pytest.approx([0.75, 2 / 3, 5 / 6])
    assert [found.of(name).precision.value for name in NAMES] == pytest.approx([0.75, 2 / 3, 5 / 6])
    assert found.macro_f1.value == pytest.approx(0.75)
    assert found.accuracy.value == pytest.approx(0.75)
    assert found.kappa.value == pytest.approx(0.6212121212121212)


def test_rating_figures_equal_scikit_learn_and_scipy() -> None:
    found = rating_kappa(RATED, RERATED, pairs(RATED), (1, 5), rng())
    assert found.value == pytest.approx(0.851063829787234)
    ranked = on_values(RATED, RERATED, pairs(RATED), rng())
    assert ranked.spearman.value == pytest.approx(0.8715212046664546)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=30))
def test_spearman_equals_scipy_wherever_it_is_defined(rows: list[tuple[int, int]]) -> None:
    from scipy.stats import pearsonr, rankdata

    x, y = np.array(rows, dtype=float).T
    found = agreement.spearman(x, y)[0]
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(pearsonr(rankdata(x), rankdata(y)).statistic)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.data())
def test_counting_a_pair_twice_equals_writing_it_twice(data: st.DataObject) -> None:
    x = np.array(data.draw(st.lists(st.integers(0, 4), min_size=4, max_size=8)), dtype=float)
    y = np.array([data.draw(st.integers(0, 4)) for _ in x], dtype=float)
    times = np.array([data.draw(st.integers(0, 3)) for _ in x])
    weighted = agreement.spearman(x, y, times[None, :])[0]
    written = agreement.spearman(np.repeat(x, times), np.repeat(y, times))[0]
    assert weighted == pytest.approx(written, nan_ok=True)


# ---- properties and degenerate cases ----


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 7)), max_size=25)
)
def test_every_figure_is_a_number_in_range_or_has_a_reason(
    rows: list[tuple[int, int, int]],
) -> None:
    labelled, told, clusters = ([row[column] for row in rows] for column in range(3))
    found = on_classes(labelled, told, clusters, NAMES, rng(), draws=200)
    values = on_values(labelled, told, clusters, rng(), same_scale=True, draws=200)
    estimates = [found.macro_f1, found.accuracy, found.kappa, values.spearman, values.bias]
    for of_class in found.classes:
        estimates += [of_class.precision, of_class.recall, of_class.f1]
    for estimate in estimates:
        assert estimate is not None
        if estimate.value is None or estimate.low is None or estimate.high is None:
            assert estimate.reason
        else:
            assert estimate.low <= estimate.high
        assert estimate.value is None or -2 <= estimate.value <= 2
    assert found.pairs == len(rows)


def test_nothing_to_find_is_undefined_with_its_reason_not_zero() -> None:
    found = on_classes([0] * 12, [0] * 12, list(range(12)), NAMES, rng())
    assert found.of("mechanical").f1.value is None
    assert found.of("mechanical").f1.reason == "nothing labelled or told mechanical"
    assert found.of("mechanical").precision.reason == "nothing told mechanical"
    assert found.kappa.value is None
    assert found.kappa.reason == "both readers use one class only"
    assert found.of("none").f1.value == 1.0


def test_agreement_without_exception_gives_no_interval_of_no_width() -> None:
    found = on_classes(FIRST, FIRST, list(range(20)), NAMES, rng())
    assert found.macro_f1.value == 1.0
    assert (found.macro_f1.low, found.macro_f1.high) == (None, None)
    assert "every resample" in (found.macro_f1.reason or "")


def test_a_few_transcripts_give_no_interval() -> None:
    found = on_classes(FIRST, SECOND, [0, 1] * 10, NAMES, rng())
    assert found.kappa.value is not None
    assert found.kappa.reason == "no interval from 2 transcripts"


def test_a_class_in_one_transcript_only_gives_no_interval() -> None:
    labelled, told = [1] + [0] * 19, [1] + [0] * 18 + [1]
    found = on_classes(labelled, told, list(range(20)), ("no", "yes"), rng())
    assert found.of("yes").recall.value == 1.0
    assert "too few transcripts" in (found.of("yes").recall.reason or "")


def test_a_flat_score_has_no_rank_correlation() -> None:
    found = on_values([1, 2, 3, 4, 5], [2, 2, 2, 2, 2], list(range(5)), rng())
    assert found.spearman.value is None
    assert found.spearman.reason == "one of the two never varies"


def test_equal_seeds_give_equal_intervals() -> None:
    first = on_classes(FIRST, SECOND, pairs(FIRST), NAMES, rng())
    assert first == on_classes(FIRST, SECOND, pairs(FIRST), NAMES, rng())


# ---- how often intervals hold the truth ----


def conversation(generator: np.random.Generator, count: int) -> tuple[list[int], list[int]]:
    """Clusters of 5 pairs; a reader errs with a rate drawn per cluster, mean 0.2, sd 0.16."""
    rates = np.repeat(generator.beta(1, 4, size=count), 5)
    labelled = generator.integers(0, 2, size=5 * count)
    wrong = generator.random(5 * count) < rates
    return labelled.tolist(), np.where(wrong, 1 - labelled, labelled).tolist()


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """True accuracy 0.8; 300 simulated sets of 30 conversations: at least 90 % of 95 % intervals.

    Ignoring the clusters holds it in fewer: the two are compared on the same sets.
    """
    generator = np.random.default_rng(1)
    clustered = plain = 0
    for _ in range(300):
        labelled, told = conversation(generator, 30)
        clusters = [number // 5 for number in range(150)]
        for by, holds in ((clusters, True), (list(range(150)), False)):
            found = on_classes(labelled, told, by, ("no", "yes"), generator, draws=300).accuracy
            assert found.low is not None
            assert found.high is not None
            inside = found.low <= 0.8 <= found.high
            clustered, plain = clustered + (inside and holds), plain + (inside and not holds)
    assert clustered >= 0.90 * 300
    assert plain < clustered
