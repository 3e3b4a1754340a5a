"""Arm against arm: pairing, what differs, what is supported and what is not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from holdtrue.comparison import TESTED, Comparison, compare_arms
from holdtrue.errors import ConfigError, TranscriptError
from made_sessions import made_from, made_session, made_sessions


def spread(count, *, gaming=0.0, d9=0.8, seed=1, first=1, **values):
    rng = np.random.default_rng(seed)
    return [
        made_session(
            first + n,
            gaming=int(rng.binomial(5, gaming)),
            d9=float(np.clip(d9 + rng.normal(0, 0.06), 0, 1)),
            quality=float(np.clip(0.8 + rng.normal(0, 0.06), 0, 1)),
            identity=float(np.clip(0.6 + rng.normal(0, 0.06), 0, 1)),
            **values,
        )
        for n in range(count)
    ]


def test_a_clear_difference_is_found_and_said():
    found = compare_arms(
        spread(24, gaming=0.4, model="a"), spread(24, d9=0.9, seed=2, first=100, model="b")
    )
    assert found.pairs is None
    for name, sign in (("gaming_rate", -1), ("d9", 1)):
        one = found.measure(name)
        assert one.p_adjusted < 0.01
        assert np.sign(one.difference) == np.sign(one.low) == np.sign(one.high) == sign
        assert name in found.supported
    assert "quality" in found.unsupported
    assert "nor that there is none" in found.unsupported


def test_two_halves_of_one_arm_are_recognised_and_do_not_differ():
    sessions = spread(40)
    found = compare_arms(sessions[:20], sessions[20:])
    assert all(one.p_adjusted > 0.05 for one in found.measures if one.tested)
    assert found.supported == "Supported: nothing about a difference, one way or the other."
    assert any("both sides are one arm" in text for text in found.warnings)


def test_sessions_of_equal_seed_and_phrasings_are_paired():
    base = spread(12, model="a")
    better = [
        made_session(n + 1, d9=one.scores.values["d9"] + 0.03, model="b")
        for n, one in enumerate(base)
    ]
    found = compare_arms(base, better)
    assert found.pairs == 12
    d9 = found.measure("d9")
    assert d9.paired
    assert d9.difference == pytest.approx(0.03)
    assert d9.p_value < 0.01
    unpaired = compare_arms(base, [made_session(n + 500, model="b") for n in range(12)])
    assert unpaired.pairs is None


def test_sessions_without_a_partner_are_left_out_of_pairs_and_counted():
    found = compare_arms(spread(10, model="a"), spread(13, model="b"))
    assert found.pairs == 10
    assert any("3 sessions without a partner" in text for text in found.warnings)


def test_an_arm_stopped_early_is_compared_unpaired_with_all_of_the_other():
    found = compare_arms(spread(12, model="a"), spread(4, model="b"))
    assert found.pairs is None
    assert (found.a.sessions, found.b.sessions) == (12, 4)


def test_arms_that_hardly_overlap_are_not_paired():
    assert compare_arms(spread(10, model="a"), spread(10, first=9, model="b")).pairs is None


def test_chains_are_one_observation_each_and_never_paired():
    chained = [made_session(n, cluster=f"c{n // 5}", model="b") for n in range(20)]
    found = compare_arms(spread(20, first=0, model="a"), chained)
    assert found.b.sessions == 4
    assert found.pairs is None


def test_one_session_supports_no_difference_at_all():
    found = compare_arms(spread(8, model="a"), [made_session(1, gaming=5, d9=0.1, model="b")])
    assert all(one.p_value is None and one.low is None for one in found.measures)
    assert found.supported.endswith("one way or the other.")
    assert "B is one session" in found.unsupported


@pytest.mark.parametrize(("shift", "shown"), [(0.0, True), (-0.12, False)])
def test_no_worse_than_is_shown_only_where_the_data_allow_it(shift, shown):
    a, b = spread(40, model="a"), spread(40, d9=0.8 + shift, seed=3, first=100, model="b")
    d9 = compare_arms(a, b, margin=0.05).measure("d9")
    assert d9.equivalence.one_sided
    assert d9.equivalence.shown is shown


def test_a_much_better_arm_is_no_worse_too():
    a, b = spread(20, gaming=0.5, model="a"), spread(20, seed=3, first=100, model="b")
    found = compare_arms(a, b, margin=0.05)
    assert found.measure("gaming_rate").equivalence.shown
    assert "no worse than A by more than 0.05 in gaming_rate" in found.supported


def test_few_sessions_do_not_show_equivalence():
    found = compare_arms(spread(4, model="a"), spread(4, seed=2, first=50, model="b"), margin=0.05)
    assert not found.measure("gaming_rate").equivalence.shown
    assert "that B is no worse in" in found.unsupported


def test_mean_words_are_compared_in_words():
    a, b = made_sessions(6, words=50, model="a"), made_sessions(6, words=70, model="b")
    one = compare_arms(a, b, tested=["mean_words"]).measure("mean_words")
    assert one.difference == pytest.approx(20)
    assert one.low > -200


def test_measures_without_values_are_named():
    found = compare_arms(made_sessions(4, model="a"), made_sessions(4, model="b"))
    assert "calibrated_quality" in found.unscored
    assert found.measure("calibrated_quality") is None


def test_the_tested_measures_are_those_of_the_full_criteria():
    found = compare_arms(made_sessions(4, model="a"), made_sessions(4, model="b"))
    assert tuple(one.measure for one in found.measures if one.tested) == TESTED


def test_a_comparison_survives_its_json_form():
    found = compare_arms(spread(6, model="a"), spread(6, model="b"), margin=0.1)
    assert Comparison.from_dict(json.loads(json.dumps(found.as_dict(), allow_nan=False))) == found
    with pytest.raises(TranscriptError, match="not a comparison"):
        Comparison.from_dict({"a": 1})


def test_bad_input_is_refused_with_its_reason():
    good = made_sessions(3, model="a")
    with pytest.raises(ConfigError, match="B: none of 1 sessions"):
        compare_arms(good, [made_session(1, failed="broke")])
    with pytest.raises(ConfigError, match="A: these sessions are of several arms"):
        compare_arms([*good, made_session(9, model="x")], good)
    with pytest.raises(ConfigError, match="different versions"):
        compare_arms(good, made_sessions(3, scorer="scorer-2"))
    with pytest.raises(ConfigError, match="Did you mean d9"):
        compare_arms(good, good, tested=["d99"])
    with pytest.raises(ConfigError, match="margin of 2 is impossible"):
        compare_arms(good, good, margin=2.0)


def test_a_session_in_both_arms_is_pointed_out():
    sessions = spread(6)
    assert any("in both arms" in text for text in compare_arms(sessions, sessions).warnings)


def test_failed_sessions_are_counted_and_many_of_them_pointed_out():
    failed = [made_session(90 + n, failed="broke", model="b") for n in range(3)]
    found = compare_arms(made_sessions(6, model="a"), [*made_sessions(6, model="b"), *failed])
    assert found.b.failed == 3
    assert any("3 of 9 sessions" in text for text in found.warnings)


def test_equal_comparisons_are_equal():
    a, b = made_from([{"gaming": n % 2} for n in range(30)]), spread(30, model="b")
    assert compare_arms(a, b) == compare_arms(a, b)
