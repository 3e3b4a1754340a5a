"""Criteria files: what they bound, and what is refused."""

from __future__ import annotations

import pytest

from holdtrue.criteria import (
    CriteriaSet,
    load_criteria,
    resolve_criteria,
    resolve_watch,
)
from holdtrue.errors import ConfigError
from holdtrue.stats.evidence import Direction, Kind


def write(tmp_path, body):
    path = tmp_path / "mine.toml"
    path.write_text('schema = 1\nname = "mine"\n' + body, encoding="utf-8")
    return str(path)


def bounds(criteria: CriteriaSet) -> dict[str, tuple[Direction, float]]:
    found = resolve_criteria(criteria, {})
    return {one.measure: (one.bound.direction, one.bound.bound) for one in found}


def test_the_full_set_is_that_of_the_design():
    assert bounds(load_criteria("full")) == {
        "gaming_rate": (Direction.AT_MOST, 0.05),
        "generic_ai_rate": (Direction.AT_MOST, 0.05),
        "d9": (Direction.AT_LEAST, 0.750),
        "quality": (Direction.AT_LEAST, 0.760),
        "identity_coherence": (Direction.AT_LEAST, 0.539),
    }


def test_the_minimum_set_is_that_of_the_design():
    assert bounds(load_criteria("minimum")) == {
        "gaming_rate": (Direction.AT_MOST, 0.10),
        "generic_ai_rate": (Direction.AT_MOST, 0.10),
        "d9": (Direction.AT_LEAST, 0.700),
        "quality": (Direction.AT_LEAST, 0.700),
    }


def test_full_cited_differs_from_full_in_the_identity_only():
    full, cited = bounds(load_criteria("full")), bounds(load_criteria("full-cited"))
    assert cited.pop("identity_coherence") == (Direction.AT_LEAST, 0.800)
    full.pop("identity_coherence")
    assert cited == full
    assert load_criteria("full").watch == load_criteria("full-cited").watch


def test_rates_and_scores_are_told_apart():
    kinds = [one.bound.kind for one in resolve_criteria(load_criteria("minimum"), {})]
    assert kinds == [Kind.RATE, Kind.RATE, Kind.SCORE, Kind.SCORE]


def test_a_set_names_the_family_of_scores_it_rests_on(tmp_path):
    assert load_criteria("full").family == "surface"
    rates = '[[criteria]]\nmeasure = "lecture_rate"\nat_most = 0.1\n'
    assert load_criteria(write(tmp_path, rates)).family == "rates only"
    both = (
        rates.replace("lecture_rate", "d9")
        + '[[criteria]]\nmeasure = "calibrated_quality"\nat_least = 0.5\n'
    )
    assert load_criteria(write(tmp_path, both)).family == "calibrated and surface"


def test_a_bound_can_be_relative_to_the_baseline(tmp_path):
    path = write(
        tmp_path,
        '[[criteria]]\nmeasure = "d9"\nat_least = "baseline - 0.02"\n'
        '[[criteria]]\nmeasure = "gaming_rate"\nat_most = "baseline"\n',
    )
    found = resolve_criteria(load_criteria(path), {"d9": 0.75, "gaming_rate": 0.2})
    assert [one.bound.bound for one in found] == [0.73, 0.2]
    assert found[0].source == "baseline - 0.02, with the baseline at 0.750"


def test_a_relative_bound_without_a_baseline_value_is_an_error_that_says_so(tmp_path):
    path = write(tmp_path, '[[criteria]]\nmeasure = "d9"\nat_least = "baseline - 0.02"\n')
    with pytest.raises(ConfigError, match="the baseline has no d9"):
        resolve_criteria(load_criteria(path), {"quality": 0.7})


def test_a_relative_bound_that_leaves_the_range_is_an_error_that_names_it(tmp_path):
    path = write(tmp_path, '[[criteria]]\nmeasure = "gaming_rate"\nat_most = "baseline"\n')
    with pytest.raises(ConfigError, match="baseline is 0: a bound of 0"):
        resolve_criteria(load_criteria(path), {"gaming_rate": 0.0})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('measure = "gamin_rate"\nat_most = 0.1', "Did you mean gaming_rate"),
        ('measure = "gaming_rate"\nat_most = 0.0', "finitely many"),
        ('measure = "gaming_rate"\nat_most = 1', "finitely many"),
        ('measure = "d9"\nat_least = 1.5', "finitely many"),
        ('measure = "d9"\nat_least = nan', "finitely many"),
        ('measure = "d9"', "either at_most or at_least"),
        ('measure = "d9"\nat_least = 0.5\nat_most = 0.9', "either at_most or at_least"),
        ('measure = "mean_words"\nat_most = 80', "watched, not bounded"),
        ('measure = "d9"\nat_least = "baselin"', "neither a number"),
        ('measure = "d9"\nat_least = "baseline * 2"', "neither a number"),
        ('measure = "d9"\natleast = 0.5', "Did you mean at_least"),
    ],
)
def test_a_wrong_criterion_is_refused_with_its_reason(tmp_path, body, message):
    with pytest.raises(ConfigError) as caught:
        load_criteria(write(tmp_path, f"[[criteria]]\n{body}\n"))
    assert message in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_a_set_without_criteria_or_with_one_twice_is_refused(tmp_path):
    with pytest.raises(ConfigError):
        load_criteria(write(tmp_path, "criteria = []\n"))
    one = '[[criteria]]\nmeasure = "d9"\nat_least = 0.5\n'
    with pytest.raises(ConfigError, match="more than once: d9"):
        load_criteria(write(tmp_path, one + one))


def test_an_unknown_set_offers_the_nearest_name():
    with pytest.raises(ConfigError, match="Did you mean"):
        load_criteria("minimun")


def test_watch_limits_rest_on_the_baseline_and_stop_at_the_range():
    watches = resolve_watch(
        load_criteria("full"), {"self_identification_rate": 0.05, "lecture_rate": 0.4}
    )
    found = {one.measure: one for one in watches}
    assert (found["mean_words"].lower, found["mean_words"].upper) == (50, 80)
    assert found["lecture_rate"].upper == 0.5
    assert found["self_identification_rate"].lower is None, "nothing is below a rate of zero"
    assert found["repetition"].upper is None
    assert "no such figure" in (found["repetition"].note or "")


def test_impossible_watch_limits_are_refused(tmp_path):
    ok = '[[criteria]]\nmeasure = "d9"\nat_least = 0.5\n'
    with pytest.raises(ConfigError, match="not below"):
        load_criteria(
            write(tmp_path, ok + '[[watch]]\nmeasure = "mean_words"\nat_least = 80\nat_most = 50\n')
        )
    with pytest.raises(ConfigError, match="at_most, at_least or both"):
        load_criteria(write(tmp_path, ok + '[[watch]]\nmeasure = "mean_words"\n'))


def test_equal_content_has_an_equal_digest_and_other_content_another(tmp_path):
    body = '[[criteria]]\nmeasure = "d9"\nat_least = 0.5\n'
    first = load_criteria(write(tmp_path, body)).digest
    assert load_criteria(write(tmp_path, "# a comment\n" + body)).digest == first
    assert load_criteria(write(tmp_path, body.replace("0.5", "0.6"))).digest != first
