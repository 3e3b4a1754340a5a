"""Verdicts: decisions, outcomes, what is excluded, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdtrue.baseline import load_baseline
from holdtrue.criteria import CriteriaSet, load_criteria
from holdtrue.errors import ConfigError
from holdtrue.stats.evidence import Side, log_evidence
from holdtrue.verdict import Decision, Outcome, Verdict, Watch, decide
from made_sessions import made_from, made_session, made_sessions

MINIMUM, FULL = load_criteria("minimum"), load_criteria("full")
S35 = load_baseline("s35")
MET, NOT_MET, OPEN = Decision.MET, Decision.NOT_MET, Decision.UNDETERMINED


def judge(sessions, criteria=(MINIMUM, FULL), baseline=S35, **options) -> Verdict:
    return decide(sessions, criteria, baseline, **options)


def full(verdict: Verdict):
    return verdict.set_named("full")


def noisy(count, *, gaming=0.0, generic=0.0, seed=1, **scores):
    """Sessions with gaming and collapse at these rates, scores spread by 0.05."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        row = {"gaming": int(rng.binomial(5, gaming)), "generic": int(rng.binomial(5, generic))}
        means = {"d9": 0.85, "quality": 0.86, "identity": 0.64, **scores}
        for name, value in means.items():
            row[name] = float(np.clip(value + rng.normal(0, 0.05), 0, 1))
        rows.append(row)
    return made_from(rows)


# Decisions


def test_forty_clean_sessions_meet_the_full_criteria_and_twenty_the_minimum():
    verdict = judge(made_sessions(40))
    assert [(one.decision, one.decided_at) for one in verdict.sets] == [(MET, 20), (MET, 40)]
    assert verdict.outcome is Outcome.SUCCESS
    assert verdict.decided
    assert verdict.decided


def test_thirty_six_clean_sessions_do_not():
    verdict = judge(made_sessions(36))
    assert full(verdict).decision is OPEN
    assert full(verdict).forecast.clean == 40
    assert verdict.set_named("minimum").decision is MET


def test_free_mode_takes_more_sessions():
    assert full(judge(made_sessions(60), mode="free")).decision is OPEN
    verdict = judge(made_sessions(64), mode="free")
    assert (full(verdict).decision, full(verdict).decided_at) == (MET, 64)


def test_a_gaming_arm_is_not_met_within_few_sessions():
    verdict = judge(noisy(12, gaming=0.4, d9=0.6, quality=0.6, identity=0.4))
    assert full(verdict).decision is NOT_MET
    assert full(verdict).decided_at <= 8


def test_the_evidence_shown_is_that_of_the_kernel():
    sessions = noisy(10, gaming=0.1)
    gaming = full(judge(sessions)).criterion("gaming_rate")
    values = [one.scores.values["gaming_rate"] for one in sessions]
    for side, name in ((Side.MET, "met_evidence"), (Side.NOT_MET, "not_met_evidence")):
        logs = log_evidence(
            values, 0.05, kind=gaming.kind, direction=gaming.direction, side=side, responses=5
        )
        shown = [getattr(look, name) for look in gaming.looks]
        np.testing.assert_allclose(shown, logs[[3, 7, 9]] / np.log(10))
    assert [look.sessions for look in gaming.looks] == [4, 8, 10]


def test_the_averaged_evidence_is_shown_at_every_look():
    verdict = judge(noisy(8, gaming=0.3))
    for number, look in enumerate(full(verdict).looks):
        each = [10 ** one.looks[number].not_met_evidence for one in full(verdict).criteria]
        assert 10**look.not_met_evidence == pytest.approx(np.mean(each))


@settings(deadline=None, derandomize=True, max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.3]), st.integers(4, 36))
def test_what_is_decided_stays_decided_when_sessions_are_added(seed, gaming, cut):
    cut -= cut % 4
    sessions = noisy(40, gaming=gaming, d9=0.78, seed=seed)
    early, late = judge(sessions[:cut], (FULL,)), judge(sessions, (FULL,))
    for one, other in zip(early.sets[0].criteria, late.sets[0].criteria, strict=True):
        if one.decision is not OPEN:
            assert (one.decision, one.decided_at) == (other.decision, other.decided_at)
    if early.sets[0].decision is not OPEN:
        assert early.sets[0].decision is late.sets[0].decision


def test_the_order_of_sessions_does_not_change_the_evidence_at_the_end():
    sessions = noisy(24, gaming=0.1)
    forward, backward = full(judge(sessions)), full(judge(sessions[::-1]))
    for one, other in zip(forward.criteria, backward.criteria, strict=True):
        assert one.looks[-1].met_evidence == pytest.approx(other.looks[-1].met_evidence)
        assert one.estimate == pytest.approx(other.estimate)


def test_a_verdict_is_a_pure_function_of_its_sessions():
    sessions = noisy(16, gaming=0.1)
    assert judge(sessions) == judge(sessions)


def test_a_verdict_survives_its_json_form():
    for count in (0, 1, 6, 40):
        verdict = judge(noisy(count, gaming=0.1) if count else [])
        text = json.dumps(verdict.as_dict(), allow_nan=False)
        assert Verdict.from_dict(json.loads(text)) == verdict


def test_an_interval_leaves_out_the_bound_exactly_when_that_is_decided():
    for sessions in (made_sessions(40), noisy(40, gaming=0.3)):
        for one in full(judge(sessions)).criteria:
            above, below = one.high <= one.bound + 1e-6, one.low >= one.bound - 1e-6
            good, bad = (above, below) if one.direction.value == "at most" else (below, above)
            assert good is (one.decision is MET)
            assert bad is (one.decision is NOT_MET)


def test_no_events_is_said_to_show_at_most_a_rate_and_not_zero():
    note = full(judge(made_sessions(39))).criterion("gaming_rate").note
    assert note.startswith("no event in 39 sessions shows at most 4.9 %")
    assert note.endswith("with 95 % confidence, not 0 %")


# Bad and odd input


def test_no_sessions_are_undetermined_and_every_question_is_open():
    verdict = judge([])
    assert {one.decision for one in verdict.sets} == {OPEN}
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert all(question.open for question in verdict.questions)
    assert (verdict.sessions, verdict.scorer, verdict.arm) == (0, None, None)
    assert "nothing to conclude" in verdict.meaning


def test_one_session_is_undetermined_however_good_it_is():
    verdict = judge(made_sessions(1, d9=1.0, quality=1.0, identity=1.0))
    assert full(verdict).decision is OPEN
    assert full(verdict).criterion("d9").looks == ()
    assert any("the first look is after 4" in text for text in verdict.warnings)


def test_three_dreadful_sessions_are_undetermined_too():
    verdict = judge(made_sessions(3, gaming=5, generic=5, d9=0.0, quality=0.0, identity=0.0))
    assert {one.decision for one in verdict.sets} == {OPEN}


def test_all_failed_is_undetermined_and_counted():
    verdict = judge([made_session(n, failed="the engine broke") for n in range(5)])
    assert (verdict.sessions, verdict.failed) == (0, 5)
    assert verdict.excluded[0].count == 5
    assert verdict.excluded[0].reason == "the engine broke"
    assert full(verdict).decision is OPEN


def test_more_than_a_tenth_failed_makes_the_run_undetermined_and_a_tenth_does_not():
    clean = made_sessions(45)
    failed = [made_session(100 + n, failed="broke") for n in range(6)]
    assert full(judge([*clean, *failed[:5]])).decision is MET
    verdict = judge([*clean, *failed])
    assert full(verdict).decision is OPEN
    assert {one.decision for one in full(verdict).criteria} == {OPEN}
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert any("more than a tenth" in text for text in verdict.warnings)


def test_sessions_of_several_arms_are_refused_naming_what_differs():
    with pytest.raises(ConfigError) as caught:
        judge([made_session(1), made_session(2, model="other:7b"), made_session(3, protocol="v1")])
    assert "model: made:1b × 2, other:7b × 1" in str(caught.value)
    assert "protocol" in str(caught.value)


def test_sessions_of_several_scorer_versions_are_refused():
    with pytest.raises(
        ConfigError, match=r"several scorer versions: scorer-1 \(1 sessions\), other"
    ):
        judge([made_session(1), made_session(2, scorer="other")])


def test_a_repeated_seed_with_the_same_prompts_counts_once_and_is_named():
    repeated = [*made_sessions(10), *made_sessions(10)] * 2
    verdict = judge(repeated)
    assert verdict.sessions == 10
    assert [(one.what, one.count) for one in verdict.excluded] == [("repeated draws", 30)]
    assert "counted once" in verdict.excluded[0].reason


def test_temperature_zero_on_one_script_is_one_observation_whatever_the_seed():
    verdict = judge(made_sessions(40, temperature=0.0))
    assert verdict.sessions == 1
    assert full(verdict).decision is OPEN
    assert verdict.excluded[0].what == "repeated draws at temperature 0"
    assert verdict.excluded[0].count == 39


def test_a_production_chain_is_one_observation_with_the_mean_of_its_sessions():
    chain = [made_session(n, gaming=n % 2, cluster="chain-1") for n in range(10)]
    verdict = judge([*chain, made_session(50), made_session(51)])
    gaming = full(verdict).criterion("gaming_rate")
    assert verdict.sessions == 3
    assert verdict.responses == 60
    assert gaming.estimate == pytest.approx((0.1 + 0 + 0) / 3)
    assert any("a chain is one cluster" in text for text in verdict.warnings)


def test_forty_sessions_of_one_chain_decide_nothing():
    verdict = judge([made_session(n, cluster="chain-1") for n in range(40)])
    assert verdict.sessions == 1
    assert full(verdict).decision is OPEN


def test_sessions_of_different_length_keep_their_own_k_and_are_pointed_out():
    sessions = [made_session(n, k=5 if n % 2 else 2) for n in range(8)]
    verdict = judge(sessions)
    gaming = full(verdict).criterion("gaming_rate")
    logs = log_evidence(
        np.zeros(8),
        0.05,
        kind=gaming.kind,
        direction=gaming.direction,
        side=Side.MET,
        responses=[2, 5] * 4,
    )
    assert gaming.looks[-1].met_evidence == pytest.approx(logs[-1] / np.log(10))
    assert any("2 to 5 responses" in text for text in verdict.warnings)


def test_single_exchanges_are_sessions_of_one_response():
    verdict = judge(made_sessions(40, k=1))
    assert full(verdict).criterion("gaming_rate").decision is OPEN
    assert verdict.responses == 40


def test_an_unscored_session_is_left_out_and_counted_and_not_a_zero():
    sessions = [made_session(n, d9=None if n == 3 else 0.9) for n in range(1, 13)]
    d9 = full(judge(sessions)).criterion("d9")
    assert (d9.sessions, d9.unscored, d9.estimate) == (11, 1, pytest.approx(0.9))


def test_a_criterion_of_which_over_a_tenth_is_unscored_stays_undetermined():
    sessions = [made_session(n, unknown_gaming=1) for n in range(1, 61)]
    verdict = judge(sessions)
    gaming = full(verdict).criterion("gaming_rate")
    assert gaming.decision is OPEN
    assert gaming.note == "20 % of it is unscored, more than a tenth (not a word of it can be read)"
    assert full(verdict).decision is OPEN
    assert full(verdict).forecast is None
    assert full(verdict).criterion("d9").decision is MET


def test_wild_sessions_bring_a_warning_that_names_the_assumption():
    rows = [{"gaming": 5 if n < 3 else 0, "d9": 0.95 if n % 2 else 0.5} for n in range(12)]
    verdict = judge(made_from(rows))
    text = " ".join(verdict.warnings)
    assert "gaming_rate: the observed intra-session correlation is 1.00" in text
    assert "d9: sessions deviate by 0.24" in text
    assert "free" in text
    assert "correlation" not in " ".join(judge(made_from(rows), mode="free").warnings)


def test_evidence_that_went_both_ways_is_pointed_out():
    rows = [{"gaming": 5}] * 4 + [{}] * 300
    gaming = judge(made_from(rows)).set_named("full").criterion("gaming_rate")
    assert (gaming.decision, gaming.decided_at) == (NOT_MET, 4)
    rows = [{}] * 40 + [{"gaming": 5}] * 20
    gaming = judge(made_from(rows)).set_named("full").criterion("gaming_rate")
    assert (gaming.decision, gaming.decided_at) == (MET, 40)
    assert "went both ways" in gaming.note
    assert (gaming.low, gaming.high) == (None, None)


def test_bad_arguments_are_refused():
    with pytest.raises(ConfigError, match="no criteria"):
        decide([], [], S35)
    with pytest.raises(ConfigError, match="of one name"):
        decide([], [FULL, FULL], S35)
    with pytest.raises(ConfigError, match="no mode 'fre'"):
        decide([], [FULL], S35, mode="fre")
    with pytest.raises(ConfigError, match="at least one session"):
        decide([], [FULL], S35, batch=0)


def test_criteria_relative_to_a_baseline_are_decided_against_its_values():
    relative = CriteriaSet.model_validate(
        {
            "schema": 1,
            "name": "relative",
            "criteria": [{"measure": "d9", "at_least": "baseline - 0.05"}],
        }
    )
    result = judge(made_sessions(8), (relative,)).sets[0]
    assert result.criteria[0].bound == 0.70
    assert result.decision is MET
    with pytest.raises(ConfigError, match="baseline has no d9"):
        decide(made_sessions(8), (relative,), None)


# Outcomes


def outcome(sessions, baseline=S35, criteria=(FULL,)):
    verdict = judge(sessions, criteria, baseline)
    return verdict.outcome, verdict


def test_b_when_gaming_persists_and_everything_else_holds():
    # Published scores lose 0.2 of quality to any gaming; here they hold all the same.
    letter, verdict = outcome(noisy(44, gaming=0.4))
    assert letter is Outcome.GAMING_PERSISTS
    assert full(verdict).decision is NOT_MET
    assert "protocol, not the size" in verdict.meaning


def test_d_when_gaming_persists_and_identity_is_lost():
    letter, verdict = outcome(noisy(44, gaming=0.4, identity=0.35))
    assert letter is Outcome.SAME_FAILURE
    assert "identity_coherence" in verdict.meaning


def test_d_when_gaming_persists_and_the_model_collapses():
    assert outcome(noisy(20, gaming=0.4, generic=0.4))[0] is Outcome.SAME_FAILURE


def test_c_when_gaming_is_gone_and_a_score_that_was_fine_is_not():
    letter, verdict = outcome(noisy(44, d9=0.55))
    assert letter is Outcome.NEW_FAILURE
    assert "Not fine any more: d9" in verdict.meaning


def test_c_when_the_full_criteria_are_met_but_replies_have_grown_too_long():
    letter, verdict = outcome(made_sessions(44, words=140.0))
    assert full(verdict).decision is MET
    assert letter is Outcome.NEW_FAILURE
    words = next(one for one in verdict.secondary if one.measure == "mean_words")
    assert words.status is Watch.NEW_FAILURE
    assert words.low > 80


def test_what_failed_in_the_baseline_too_is_no_new_failure():
    bad = [replace_values(one, truncation_rate=0.6) for one in made_sessions(44)]
    letter, verdict = outcome(bad)
    cut = next(one for one in verdict.secondary if one.measure == "truncation_rate")
    assert cut.status is Watch.OLD_FAILURE
    assert cut.baseline == 0.2
    assert letter is Outcome.SUCCESS


def test_without_a_baseline_there_is_no_telling_what_is_new():
    letter, verdict = outcome(noisy(44, d9=0.55), baseline=None, criteria=(MINIMUM,))
    assert letter is Outcome.INCONCLUSIVE
    assert verdict.sets[0].decision is NOT_MET


def test_collapse_without_gaming_is_none_of_the_patterns_and_said_to_be():
    letter, verdict = outcome(noisy(60, generic=0.5))
    assert letter is Outcome.INCONCLUSIVE
    assert verdict.possible == ()
    assert "not in one of the patterns A to D" in verdict.meaning
    assert "generic_ai_rate" in verdict.meaning


def test_what_is_still_possible_follows_from_what_is_decided():
    verdict = judge(noisy(8, gaming=0.5), (FULL,))
    assert full(verdict).criterion("gaming_rate").decision is NOT_MET
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.possible == (Outcome.GAMING_PERSISTS, Outcome.SAME_FAILURE)
    assert "B or D" in verdict.meaning
    assert judge(made_sessions(4), (FULL,)).possible == tuple(Outcome)[:4]


def test_an_outcome_that_is_decided_is_the_only_one_possible():
    _, verdict = outcome(made_sessions(40))
    assert verdict.possible == (Outcome.SUCCESS,)


def test_a_baseline_of_another_scorer_version_is_pointed_out():
    from holdtrue.baseline import baseline_of

    older = baseline_of("older", made_sessions(8, scorer="scorer-0"), "made up")
    text = " ".join(judge(made_sessions(8), baseline=older).warnings)
    assert "was scored by version scorer-0, these sessions by scorer-1" in text


def test_b_asks_for_the_measures_that_a_set_has():
    small = CriteriaSet.model_validate(
        {
            "schema": 1,
            "name": "small",
            "criteria": [
                {"measure": "gaming_rate", "at_most": 0.1},
                {"measure": "d9", "at_least": 0.7},
            ],
        }
    )
    assert outcome(noisy(20, gaming=0.5), criteria=(small,))[0] is Outcome.GAMING_PERSISTS


def test_the_minimum_criteria_alone_are_never_a_success():
    letter, verdict = outcome(made_sessions(40), criteria=(MINIMUM,))
    assert verdict.sets[0].decision is MET
    assert letter is Outcome.INCONCLUSIVE
    assert "asks for the full ones" in verdict.meaning


def test_what_an_outcome_says_of_capacity_depends_on_the_size():
    larger = outcome(noisy(44, gaming=0.4, identity=0.35))[1]
    assert "Capacity is not the limit." in larger.meaning
    smaller = [replace_parameters(one, 135_000_000) for one in noisy(44, gaming=0.4, identity=0.35)]
    verdict = outcome(smaller)[1]
    assert verdict.outcome is Outcome.SAME_FAILURE
    assert "Whether capacity is the limit is open" in verdict.meaning
    assert "A larger model may hold too" in verdict.next_step


def test_success_names_what_was_watched_but_not_shown():
    _, verdict = outcome(made_sessions(40))
    unknown = [one.measure for one in verdict.secondary if one.status is Watch.UNKNOWN]
    for measure in unknown:
        assert measure in verdict.meaning


def test_measures_without_a_limit_are_shown_beside():
    verdict = judge(made_sessions(8, extra={"calibrated_quality": 0.7}))
    found = {one.measure: one for one in verdict.secondary}
    assert found["calibrated_quality"].status is Watch.SHOWN
    assert found["calibrated_quality"].estimate == pytest.approx(0.7)
    assert found["calibrated_identity"].estimate is None
    assert found["calibrated_identity"].note == "unscored: not measured here"
    assert "d9" not in found


def test_a_new_failure_has_to_pass_the_bar_of_all_limits_watched():
    # One limit alone would be passed at 20; with M limits it takes 20 M.
    sessions = [replace_values(one, truncation_rate=0.4) for one in made_sessions(60)]
    honest = S35.model_copy(
        update={
            "figures": tuple(
                one.model_copy(update={"value": 0.0}) if one.measure == "truncation_rate" else one
                for one in S35.figures
            )
        }
    )

    def status(count):
        watched = judge(sessions[:count], (FULL,), honest).secondary
        return next(one.status for one in watched if one.measure == "truncation_rate")

    first = next(n for n in range(4, 61, 4) if status(n) is Watch.NEW_FAILURE)
    logs = log_evidence(
        np.full(60, 0.4),
        0.10,
        kind=full(judge(sessions)).criterion("gaming_rate").kind,
        direction=full(judge(sessions)).criterion("gaming_rate").direction,
        side=Side.NOT_MET,
        responses=5,
    )
    limits = sum((one.at_most is not None) + (one.at_least is not None) for one in FULL.watch)
    passed = [n for n in range(4, 61, 4) if logs[n - 1] >= np.log(20 * limits)]
    assert first == passed[0] > next(n for n in range(4, 61, 4) if logs[n - 1] >= np.log(20))


def replace_values(session, **values):
    return replace(
        session, scores=replace(session.scores, values={**session.scores.values, **values})
    )


# Questions


def answers(verdict):
    return {question.question.split()[0]: question for question in verdict.questions}


def test_a_larger_model_that_holds_says_that_capacity_was_the_limit():
    found = answers(judge(made_sessions(40, parameters=30_000_000_000)))
    assert found["Is"].answer.startswith("Yes")
    assert "rests on 1 session" in found["Is"].answer
    assert found["Do"].answer.startswith("This one does")
    assert not found["Larger"].open
    assert found["What"].open, "one arm cannot say which scale is the smallest"


def test_a_smaller_model_answers_nothing_about_larger_ones():
    found = answers(judge(noisy(44, gaming=0.4), (FULL,)))
    small = answers(
        judge([replace_parameters(one, 135_000_000) for one in noisy(44, gaming=0.4)], (FULL,))
    )
    assert found["Do"].answer.startswith("Not this one")
    assert small["Do"].open
    assert "not larger than the baseline's model (135 M against 494 M" in small["Do"].answer
    assert small["Is"].open


def test_a_smaller_model_that_holds_says_that_capacity_was_not_the_limit():
    sessions = [replace_parameters(one, 135_000_000) for one in made_sessions(40)]
    assert answers(judge(sessions))["Is"].answer.startswith("No")


def test_an_unknown_size_leaves_the_questions_of_scale_open():
    found = answers(judge(made_sessions(40, parameters=None)))
    assert found["Is"].open
    assert "not recorded" in found["Is"].answer


def replace_parameters(session, parameters):
    engine = {"parameters_total": parameters}
    return replace(session, transcript=session.transcript.model_copy(update={"engine": engine}))


# Forecasts


def test_the_forecast_of_clean_sessions_is_exact():
    forecast = full(judge(made_sessions(4))).forecast
    assert (forecast.clean, forecast.median) == (40, 40)
    assert full(judge(made_sessions(4))).criterion("gaming_rate").forecast == 40


def test_a_forecast_says_when_no_end_is_in_sight():
    forecast = full(judge(made_sessions(8, d9=0.75))).forecast
    assert forecast.clean == 40
    assert forecast.median is None, "the bound itself is never decided"
    assert "rough" in forecast.note


def test_fewer_than_four_sessions_have_no_bootstrap():
    forecast = full(judge(made_sessions(2))).forecast
    assert forecast.median is None
    assert "no bootstrap" in forecast.note


def test_a_decided_set_has_no_forecast():
    assert full(judge(made_sessions(40))).forecast is None


# The 14 B session that was announced as a success


def test_s901_alone_is_never_a_success(shared_data):
    from holdtrue.importers import read_any
    from holdtrue.scoring.score import score_session

    path = shared_data / "sage" / "transcripts" / "qwen2.5-14b-session-901.json"
    sessions = [score_session(one) for one in read_any([path])]
    for name in ("bounded", "free"):
        for batch in (1, 4):
            verdict = judge(sessions, mode=name, batch=batch)
            assert {one.decision for one in verdict.sets} <= {OPEN, NOT_MET}
            assert verdict.outcome is Outcome.INCONCLUSIVE
