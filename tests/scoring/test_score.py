"""The scores of a session put together: what is left out, what is said of it, and the version."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import holdtrue.scoring.score as module
from holdtrue.persona import Persona
from holdtrue.scoring.findings import replies_of
from holdtrue.scoring.lexicon import NAME_MARK
from holdtrue.scoring.measures import (
    RATES,
    RESPONSE_SCORES,
    SESSION_MEASURES,
    Naming,
    ResponseFindings,
    SessionScores,
)
from holdtrue.scoring.repetition import recurrences
from holdtrue.scoring.score import (
    RATE_EVENTS,
    rescore,
    score_session,
    score_transcript,
    scorer_version,
)
from holdtrue.scoring.surface import d9
from holdtrue.scoring.text import runs_of
from holdtrue.transcript import Transcript, Turn

PERSONA = Persona(name="Quillan", expansion="Quiet Instrument for Lake Levels")


def session(*responses: str, persona: Persona = PERSONA, prompt: str = "How is it?") -> Transcript:
    turns = tuple(
        Turn(index=number, prompt=prompt, response=response)
        for number, response in enumerate(responses, start=1)
    )
    return Transcript(id="t", persona=persona, turns=turns)


def scored_as(
    monkeypatch: pytest.MonkeyPatch, findings: Sequence[ResponseFindings], *responses: str
) -> SessionScores:
    monkeypatch.setattr(module, "find", lambda *_read: tuple(findings))
    return score_transcript(session(*responses))


def test_every_measure_of_the_contract_has_a_value_or_a_reason() -> None:
    for transcript in (session("The lake rose. I watched it."), session(""), session()):
        scores = score_transcript(transcript)
        assert list(scores.values) == list(SESSION_MEASURES)
        for name, value in scores.values.items():
            assert (value is None) == (name in scores.unscored), name


def test_each_rate_of_the_contract_is_counted() -> None:
    assert set(RATE_EVENTS) == RATES


def test_rates_leave_out_unscored_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        ResponseFindings(1, 2, self_reference=Naming.MECHANICAL, lecture=True),
        ResponseFindings(2, 2, self_reference=Naming.NONE, lecture=False),
        ResponseFindings(3, 2, unscored={"self_reference": "no name", "lecture": "too short"}),
    ]
    scores = scored_as(monkeypatch, found, "a b.", "c d.", "e f.")
    assert scores.values["gaming_rate"] == 0.5
    assert scores.values["self_identification_rate"] == 0.5
    assert scores.values["lecture_rate"] == 0.5
    # D9 of two closed words is 0.5 - 0.1 + 0.1; quality 0.5 + 0.2 - 0.2 (gaming)
    # identity 0.5 x 0.5 + 0.3 x (0.2 + 0) / 2 + 0.2 x 0.5: the third is not a zero
    assert scores.values["identity_coherence"] == pytest.approx(0.25 + 0.03 + 0.1)


def test_a_rate_with_no_scored_response_gives_each_reason_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [
        ResponseFindings(number, 2, unscored={"lecture": why})
        for number, why in enumerate(["too short", "not English", "too short"], start=1)
    ]
    scores = scored_as(monkeypatch, found, "a", "b", "c")
    assert scores.values["lecture_rate"] is None
    assert scores.unscored["lecture_rate"] == (
        "no response could be scored: too short; not English"
    )
    assert scores.unscored["generic_ai_rate"].endswith("no reason given")


def test_an_unknown_self_reference_leaves_quality_unscored_and_d9_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = scored_as(monkeypatch, [ResponseFindings(1, 2)], "a b.")
    assert scores.values["d9"] == pytest.approx(0.5)
    assert scores.values["quality"] is None
    assert scores.values["identity_coherence"] is None


def test_a_session_without_a_response_says_so() -> None:
    scores = score_transcript(session())
    assert set(scores.values.values()) == {None}
    assert set(scores.unscored.values()) == {"the session has no response"}
    assert scores.response_scores == ()


def test_empty_responses_are_unscored_and_not_zero() -> None:
    scores = score_transcript(session("", " \n\t ", "I saw the lake rise this morning."))
    first, second, third = scores.response_scores
    assert first.values == second.values == dict.fromkeys(RESPONSE_SCORES)
    assert set(first.unscored) == set(RESPONSE_SCORES)
    assert None not in third.values.values()
    assert scores.values["d9"] == third.values["d9"]
    assert scores.values["calibrated_quality"] == third.values["calibrated_quality"]
    # words are known of empty responses too: (0 + 0 + 7) / 3
    assert scores.values["mean_words"] == pytest.approx(7 / 3)


@pytest.mark.parametrize(
    "response",
    [
        "😀 🎈 🎈",
        "今日は静かです。",
        "word " * 20_000,
        "x" * 100_000,
        "\x00",
        '("' * 9_000,
        "\u202e..",
    ],
    ids=["emoji", "japanese", "100 kB of words", "100 kB", "null", "brackets", "right to left"],
)
def test_odd_responses_get_values_or_reasons(response: str) -> None:
    scores = score_transcript(session(response))
    for name in SESSION_MEASURES:
        assert scores.values[name] is not None or scores.unscored[name]
    assert scores.values["d9"] is not None


def test_response_scores_run_parallel_and_their_means_are_the_sessions() -> None:
    scores = score_transcript(session("I saw it rise.", "It fell, and I was glad of it. Were you?"))
    assert [item.index for item in scores.response_scores] == [1, 2]
    for name in RESPONSE_SCORES:
        known = [item.values[name] for item in scores.response_scores]
        assert scores.values[name] == pytest.approx(sum(v for v in known if v is not None) / 2)


def test_overlaps_count_runs_of_three_words_heard_before() -> None:
    # second: 4 runs of three (the lake is, lake is high, is high today, high today friend),
    # of which the first three are in the first response
    texts = ["The lake is high today.", "the lake is high today, friend", "no", ""]
    found = recurrences(replies_of(session(*texts)))
    assert [one.overlap for one in found] == [None, 0.75, None, None]


def test_the_words_of_a_text_have_one_word_for_every_name() -> None:
    [reply] = replies_of(session("“Don’t ask Quillan's 2nd friend — or Quillan!” ''Ah'' _so_"))
    said = "don't ask NAME s 2nd friend or NAME ah so"
    assert reply.text.words == said.replace("NAME", NAME_MARK).split()
    assert hash(("don't", "ask", NAME_MARK)) in runs_of(reply.text.words)


ODD = ["Quillan", "Quillan's", "QUILLAN", "a", "a.", "é", "b-c", "“a", '"a', "İ", "i̇", "。a", "ß"]


@given(st.lists(st.sampled_from(ODD), max_size=24))
@example(["“a", '"a', *"bcdefghi", *"bbbbbb"])  # 10 of 16 differ, 9 with quotes alike: 0.56
def test_hidden_names_and_quotes_leave_the_surface_scores_as_they_are(words: list[str]) -> None:
    text = " ".join(words)
    [reply] = replies_of(session(text))
    plain = text.lower().split()
    assert len(reply.lowered) == len(plain)
    assert len(set(reply.lowered)) <= len(set(plain))
    assert d9(text, reply.lowered) == d9(text)


def test_a_name_over_two_lines_is_two_words_of_the_surface_scores() -> None:
    turn = Turn(index=1, prompt="Who?", response="Grey\nHeron is here.")
    [reply] = replies_of(Transcript(id="t", persona=Persona(name="Grey Heron"), turns=(turn,)))
    assert reply.named
    assert reply.lowered == ["grey", "heron", "is", "here."]


def test_repetition_needs_something_to_repeat() -> None:
    assert score_transcript(session("Only one reply here.")).values["repetition"] is None
    twice = score_transcript(session("The same old words.", "The same old words."))
    assert twice.values["repetition"] == 1.0


def test_scoring_is_deterministic_and_scores_a_stored_transcript_again() -> None:
    transcript = session("I am Quillan, and the lake is high.", "Higher than you said.")
    assert score_transcript(transcript) == score_transcript(transcript)
    [again] = rescore([transcript])
    assert again == score_session(transcript)


def test_the_scorers_version_names_every_module_that_scoring_reads() -> None:
    """The cheap reading of imports in score.py agrees with Python's own parser."""
    folder = Path(module.__file__).parent
    known, waiting = set[str](), ["score"]
    while waiting:
        name = waiting.pop()
        if name in known or not (folder / f"{name}.py").is_file():
            continue
        known.add(name)
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "holdtrue.scoring":
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting.append(node.module.removeprefix("holdtrue.scoring."))
    assert module._imported("score") == known
    assert {"findings", "surface", "calibrated", "features"} <= known
    assert not {"judge", "agreement", "fit"} & known


def test_the_scorers_version_is_stable_and_in_every_result() -> None:
    version = scorer_version()
    assert len(version) == 12
    scorer_version.cache_clear()
    assert scorer_version() == version == score_transcript(session("Hello.")).scorer


ODD = st.text(max_size=200) | st.sampled_from(
    ["", " ", "As Quillan, I am Quillan.", "…", "1. 2. 3."]
)


@given(st.lists(ODD, max_size=6))
@settings(deadline=None, derandomize=True, max_examples=150)
def test_any_text_gives_scores_within_zero_and_one(responses: list[str]) -> None:
    scores = score_transcript(session(*responses))
    for name, value in scores.values.items():
        if value is None:
            assert scores.unscored[name]
        elif name != "mean_words":
            assert 0 <= value <= 1, name
