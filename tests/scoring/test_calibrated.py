"""Calibrated scores: the sum by hand, the directions, renaming, and agreement with readers."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdtrue.errors import ConfigError, TranscriptError
from holdtrue.importers import read_any
from holdtrue.persona import Persona
from holdtrue.scoring.calibrated import RATED, Rated, parse_weights, rate, shipped_weights
from holdtrue.scoring.features import FEATURES, Row, session_features
from holdtrue.scoring.findings import find, replies_of
from holdtrue.scoring.fit import Sample, fit, formulas, held_out, ranking, sample
from holdtrue.scoring.labels import LabelFile, read_labels
from holdtrue.scoring.measures import Naming, ResponseFindings
from holdtrue.scoring.repetition import recurrences
from holdtrue.transcript import Transcript, Turn

PERSONA = Persona(name="Quillan", expansion="Quiet Instrument for Lake Levels")
PROMPT = "What did the lake do this morning?"


def session(*responses: str, persona: Persona = PERSONA, prompt: str = PROMPT) -> Transcript:
    turns = tuple(
        Turn(index=number, prompt=prompt, response=response)
        for number, response in enumerate(responses, start=1)
    )
    return Transcript(id="t", persona=persona, turns=turns)


def rows_of(transcript: Transcript, findings: Sequence[ResponseFindings]) -> list[Row]:
    replies = replies_of(transcript)
    return session_features(replies, findings, recurrences(replies))


def features_of(response: str, **found: Any) -> dict[str, float]:
    [row] = rows_of(session(response), [ResponseFindings(1, 1, **found)])
    assert row.values is not None
    return dict(row.values)


def rated_of(transcript: Transcript) -> list[Rated]:
    replies = replies_of(transcript)
    return rate(replies, find(transcript, replies), recurrences(replies))


def scores_of(*responses: str) -> list[Rated]:
    return rated_of(session(*responses))


def value_of(response: str, name: str) -> float:
    [only] = scores_of(response)
    assert only.values is not None
    return only.values[name]


# ---- features ----


def test_word_shares_are_drawn_to_those_of_ordinary_replies() -> None:
    found = features_of("The lake could rise over the stones")
    # 7 words: the, could, the are everyday; "stones" is a plural, "could" a hedge
    assert found["everyday_words"] == pytest.approx((3 + 3.8) / 17)
    assert found["generic_plurals"] == pytest.approx((1 + 1.0) / 17)
    assert found["hedged"] == pytest.approx((1 + 0.1) / 17)


def test_layout_and_length_are_counted() -> None:
    listed = features_of("Two things:\n- mud\n2. reeds\n# end\n\nDone.")
    assert listed["list_lines"] == pytest.approx(3 / 5)
    assert features_of("mud " * 120)["overlong"] == pytest.approx(0.5)
    assert features_of("mud")["overlong"] == 0
    assert features_of('Reeds ("green") and mud ("brown").')["clutter"] == pytest.approx(2 / 3)
    assert features_of("<think>He asks of the lake")["clutter"] == 1
    assert features_of("<think>\n</think>\nIt rose.")["clutter"] == 0


def test_repetition_counts_the_prompt_earlier_replies_and_loops() -> None:
    transcript = session("It rose a little today.", "It rose a little today.", prompt="And?")
    findings = [ResponseFindings(1, 5), ResponseFindings(2, 5)]
    rows = rows_of(transcript, findings)
    assert [row.values["repeated"] if row.values else None for row in rows] == [0.0, 1.0]
    assert features_of(PROMPT)["repeated"] == 1.0
    # six words, four runs of three, of which two are new: (1/2 - 0.2) / 0.8
    assert features_of("up down up down up down")["repeated"] == pytest.approx(0.375)


def test_findings_are_features_and_an_unscored_one_counts_as_absent() -> None:
    found = features_of("It rose.", truncated=True, partnership=Naming.NATURAL)
    assert (found["truncated"], found["natural_partnership"]) == (1.0, 1.0)
    assert (found["lecture"], found["generic_ai"]) == (0.0, 0.0)
    assert list(found) == list(FEATURES)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("", "empty response"),
        (" \n ", "empty response"),
        ("🎈🎈 !!", "no words"),
        ("今日は静かです。", "not in English"),
        ("Das Wasser ist heute nicht hoch, und ich bin auf dem Weg.", "not in English"),
        ("La verdad es que el agua de hoy no es como la de ayer.", "not in English"),
    ],
)
def test_what_the_weights_know_nothing_of_is_unscored_with_its_reason(
    response: str, reason: str
) -> None:
    [only] = scores_of(response)
    assert only.values is None
    assert only.reason is not None
    assert reason in only.reason


def test_english_with_a_foreign_phrase_or_a_curly_apostrophe_is_scored() -> None:
    for response in (
        "She called it la vie en rose, and I’ve kept the name.",
        "Café, naïve: I know.",
    ):
        assert scores_of(response)[0].values is not None


# ---- scores ----


def test_a_score_is_the_sum_that_its_weights_say() -> None:
    response = "I saw the lake rise this morning, and the reeds could not keep their feet dry."
    transcript = session(response)
    findings = find(transcript)
    [row] = rows_of(transcript, findings)
    [rated] = scores_of(response)
    assert row.values is not None
    assert rated.values is not None
    for name, formula in shipped_weights().scores.items():
        total = formula.intercept
        for feature, weight in formula.features.items():
            total += weight.weight * min(max(row.values[feature], weight.low), weight.high)
        assert rated.values[name] == pytest.approx(min(1.0, max(0.0, total)))


PLAIN = "I saw the lake rise this morning, and it was up to the second step when you came by."
WORSE = {
    "a list": "- The lake rose\n- The reeds moved\n- The steps were wet\n- The morning was grey",
    "cut off": PLAIN.removesuffix(" when you came by.") + " when the",
    "generic": "As an AI language model, I have no feelings, and I was not by the lake then.",
    "abstract": "Lake dynamics involve complex interactions, seasonal patterns, various trends, "
    "diverse factors, ongoing processes and broader implications across multiple contexts.",
    "hedged": "I might say the lake could rise, or it may fall, and the step would be wet.",
    "loop": "I saw the lake. " * 6,
}


@pytest.mark.parametrize("fault", WORSE)
@pytest.mark.parametrize("name", RATED)
def test_a_fault_never_raises_a_score(fault: str, name: str) -> None:
    assert value_of(WORSE[fault], name) < value_of(PLAIN, name)


def test_no_weight_goes_against_its_direction() -> None:
    for formula in shipped_weights().scores.values():
        for feature, weight in formula.features.items():
            assert weight.weight * FEATURES[feature].sign >= 0
            assert weight.low <= weight.high


NAMES = ("Quillan", "Brindlemark Nine", "ZQX-7")


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                ["{name}", "I am {name},", "the lake", "rose.", "As {name}, I", "see you", "today."]
            ),
            min_size=1,
            max_size=12,
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(deadline=None, derandomize=True, max_examples=60)
def test_calibrated_scores_do_not_depend_on_the_personas_name(replies: list[list[str]]) -> None:
    found = []
    for name in NAMES:
        persona = Persona(name=name)
        said = [" ".join(parts).format(name=name) for parts in replies]
        transcript = session(*said, persona=persona, prompt=f"Hello {name}, how is the lake?")
        found.append([one.values for one in rated_of(transcript)])
    assert found[0] == found[1] == found[2]


@given(st.lists(st.text(max_size=300), min_size=1, max_size=4))
@settings(deadline=None, derandomize=True, max_examples=150)
def test_scores_lie_within_zero_and_one_and_are_deterministic(responses: list[str]) -> None:
    first, second = scores_of(*responses), scores_of(*responses)
    for one, again in zip(first, second, strict=True):
        assert (one.values, one.reason) == (again.values, again.reason)
        assert (one.values is None) == (one.reason is not None)
        if one.values is not None:
            assert set(one.values) == set(RATED)
            assert all(0 <= value <= 1 for value in one.values.values())


# ---- the weights file ----


def stored() -> dict[str, Any]:
    text = (files("holdtrue") / "data" / "weights" / "calibrated.json").read_text("utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def test_a_weights_file_with_another_feature_is_refused_by_name() -> None:
    body = stored()
    formula = body["scores"]["calibrated_quality"]["features"]
    formula["sparkle"] = formula.pop("hedged")
    with pytest.raises(ConfigError, match="calibrated_quality: features must be"):
        parse_weights(json.dumps(body), source="weights.json")


def test_a_weights_file_with_a_turned_sign_is_refused() -> None:
    body = stored()
    body["scores"]["calibrated_identity"]["features"]["truncated"]["weight"] = 0.5
    with pytest.raises(ConfigError, match="truncated has the wrong sign"):
        parse_weights(json.dumps(body), source="weights.json")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2}'])
def test_what_is_no_weights_file_is_an_error_with_a_remedy(text: str) -> None:
    with pytest.raises(ConfigError, match="fit_calibrated"):
        parse_weights(text, source="weights.json")


# ---- fitting ----


def made_up(rng: np.random.Generator, weights: dict[str, float]) -> Sample:
    """200 responses of 40 sessions whose ratings are a known sum of uniform features."""
    features = rng.uniform(size=(200, len(FEATURES)))
    true = np.array([weights.get(name, 0.0) for name in FEATURES])
    sessions = np.repeat(np.arange(40), 5)
    return Sample(features, 0.5 + features @ true, sessions, sessions % 4)


def test_fitting_finds_the_weights_that_made_the_ratings() -> None:
    true = {"everyday_words": 0.3, "truncated": -0.2, "lecture": -0.1}
    line = fit(made_up(np.random.default_rng(3), true), ridge=1e-9)
    assert line.intercept == pytest.approx(0.5, abs=1e-6)
    for place, name in enumerate(FEATURES):
        assert line.weights[place] == pytest.approx(true.get(name, 0.0), abs=1e-6)


def test_fitting_gives_no_weight_against_a_features_direction() -> None:
    line = fit(made_up(np.random.default_rng(4), {"truncated": +0.3, "everyday_words": +0.2}))
    place = list(FEATURES).index("truncated")
    assert line.weights[place] == 0.0
    assert line.weights[list(FEATURES).index("everyday_words")] > 0


def test_held_out_scores_of_noise_rank_nothing() -> None:
    rng = np.random.default_rng(5)
    data = made_up(rng, {})
    noise = Sample(data.features, rng.uniform(size=200), data.sessions, data.families)
    figure = ranking(noise, held_out(noise, noise.sessions), rng)
    assert figure.spearman < 0.35


def test_held_out_scores_are_fitted_without_their_group() -> None:
    data = made_up(np.random.default_rng(6), {"everyday_words": 0.3})
    spoiled = data.ratings.copy()
    spoiled[data.sessions == 7] = 1.0
    other = Sample(data.features, spoiled, data.sessions, data.families)
    mine = data.sessions == 7
    assert np.allclose(held_out(data, data.sessions)[mine], held_out(other, data.sessions)[mine])


# ---- agreement with readers, where the labelled data is ----


@pytest.fixture(scope="module")
def refitted(shared_data: Path) -> Any:
    transcripts = read_any([shared_data / "sage" / "transcripts"])
    labels = read_labels(shared_data / "sage" / "labels.jsonl")
    return transcripts, labels, formulas(transcripts, labels, np.random.default_rng(1))


def test_sessions_left_out_of_the_fit_are_ranked_as_readers_rank_them(refitted: Any) -> None:
    for name, formula in refitted[2].items():
        assert formula.cross_validation.by_transcript.spearman >= 0.80, name


def test_the_stored_weights_are_those_of_these_labels_and_detectors(refitted: Any) -> None:
    """Loose enough for a detector to be mended without a new fit, tight enough to want one."""
    transcripts, labels, now = refitted
    for name, formula in now.items():
        before = shipped_weights().scores[name]
        data = sample(transcripts, labels, formula.label)

        def predict(one: Any, data: Sample = data) -> Any:
            weights = np.array([one.features[feature].weight for feature in FEATURES])
            return np.clip(one.intercept + data.features @ weights, 0, 1)

        assert np.abs(predict(before) - predict(formula)).mean() < 0.05, name


def test_too_few_rated_sessions_are_refused(shared_data: Path) -> None:
    labels = read_labels(shared_data / "sage" / "labels.jsonl")
    transcripts = read_any([shared_data / "sage" / "transcripts"])
    few = [label for label in labels.labels if label.transcript.startswith("phi4")]
    with pytest.raises(TranscriptError, match="fewer than 10 sessions"):
        sample(transcripts, LabelFile(labels.path, tuple(few)), "quality")


def test_the_script_refits_and_says_whether_the_weights_are_these(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    script = Path(__file__).parents[2] / "scripts" / "fit_calibrated.py"
    labels = str(shared_data / "sage" / "labels.jsonl")
    folder = str(shared_data / "sage" / "transcripts")
    out = str(tmp_path / "weights.json")

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(script), run_name="__main__")
        return int(left.value.code or 0)

    assert run(labels, folder, "--out", out) == 0
    assert parse_weights(Path(out).read_text("utf-8"), source=out).training.sessions == 27
    assert run(labels, folder, "--out", out, "--check") == 0
    assert "The stored weights are these." in capsys.readouterr().out
    assert run(labels, str(tmp_path), "--out", out) == 2


def test_the_page_on_scores_describes_every_feature() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scores.md").read_text("utf-8")
    for name in FEATURES:
        assert f"`{name}`" in page, name
