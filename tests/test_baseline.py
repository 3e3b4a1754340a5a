"""Baselines: S35 as published, arms of transcripts, and what they cannot support."""

from __future__ import annotations

import json

import pytest

from holdtrue.baseline import (
    Baseline,
    Origin,
    baseline_of,
    list_baselines,
    load_baseline,
    to_toml,
    write_baseline,
)
from holdtrue.errors import ConfigError
from holdtrue.scoring import surface
from holdtrue.stats.intervals import fixed_interval, rate_interval
from made_sessions import made_from, made_session, made_sessions


def test_s35_has_the_published_figures_and_both_values_of_its_identity():
    s35 = load_baseline("s35")
    assert s35.origin is Origin.PUBLISHED
    assert (s35.sessions, s35.responses) == (1, 5)
    wanted = {"gaming_rate": 0.20, "generic_ai_rate": 0.0, "d9": 0.750, "quality": 0.760}
    assert {name: s35.values[name] for name in wanted} == wanted
    assert s35.values["identity_coherence"] == 0.539
    assert s35.cited("identity_coherence").value == 0.800
    assert any("more than half" in note for note in s35.notes)
    assert all(one.source for one in s35.figures)


def test_the_secondary_figures_of_s35_are_those_of_its_transcript(shared_data):
    sage = shared_data / "sage"
    transcript = json.loads((sage / "transcripts" / "qwen2.5-0.5b-session-035.json").read_text())
    texts = [turn["text"] for turn in transcript["conversation"] if turn["speaker"] == "SAGE"]
    lines = (sage / "labels.jsonl").read_text().splitlines()
    labels = [json.loads(line) for line in lines]
    labels = [one for one in labels if one["transcript"] == "qwen2.5-0.5b-session-035"]
    assert len(labels) == 2 * len(texts) == 10

    def share(test):
        return sum(map(test, labels)) / len(labels)

    values = load_baseline("s35").values
    assert values["mean_words"] == sum(len(text.split()) for text in texts) / 5
    assert values["d9"] == pytest.approx(sum(map(surface.d9, texts)) / 5)
    assert values["truncation_rate"] == share(lambda one: one["truncated"])
    assert values["lecture_rate"] == share(lambda one: one["lecture"])
    assert values["confabulation_rate"] == share(lambda one: one["confabulated"])
    assert values["gaming_rate"] == share(lambda one: one["self_ref"] == "mechanical")
    assert values["self_identification_rate"] == share(lambda one: one["self_ref"] != "none")
    mechanical = share(lambda one: one["partnership"] == "mechanical")
    assert values["mechanical_partnership_rate"] == mechanical
    assert values["partnership_density"] == share(lambda one: one["partnership"] == "natural")


def test_one_session_of_five_says_what_it_cannot_support():
    text = " ".join(load_baseline("s35").limits)
    assert "One session of 5 responses" in text
    assert "1 of 5 leaves 0.5 to 71.6 % open" in text
    assert "cannot be tested" in text


def test_a_baseline_from_transcripts_has_means_and_intervals_over_sessions():
    sessions = made_from([{"gaming": g, "d9": d} for g, d in [(0, 0.7), (1, 0.8), (2, 0.9)] * 3])
    made = baseline_of("mine", sessions, "made up")
    assert (made.sessions, made.responses, made.origin) == (9, 45, Origin.ARM)
    assert made.values["gaming_rate"] == pytest.approx(0.2)
    d9 = made.figure("d9")
    assert (d9.value, d9.sessions) == (pytest.approx(0.8), 9)
    assert (d9.low, d9.high) == pytest.approx(fixed_interval([0.7, 0.8, 0.9] * 3), abs=1e-6)
    gaming = made.figure("gaming_rate")
    assert (gaming.low, gaming.high) == pytest.approx(rate_interval([0.0, 0.2, 0.4] * 3), abs=1e-6)
    assert made.figure("calibrated_quality") is None, "unscored is no figure, and not zero"
    assert made.limits == ()
    assert made.parameters == 1_000_000_000


def test_a_baseline_counts_a_repeated_draw_once_and_no_failed_session():
    again = [made_session(1), made_session(1), made_session(2), made_session(3, failed="broke")]
    assert baseline_of("mine", again, "x").sessions == 2


def test_a_baseline_is_one_arm_of_one_scorer():
    with pytest.raises(ConfigError, match="2 arms"):
        baseline_of("mine", [made_session(1), made_session(2, model="other")], "x")
    with pytest.raises(ConfigError, match="2 scorer versions"):
        baseline_of("mine", [made_session(1), made_session(2, scorer="other")], "x")


def test_nothing_finished_makes_no_baseline():
    with pytest.raises(ConfigError, match="none of 1 sessions"):
        baseline_of("mine", [made_session(1, failed="broke")], "x")


def test_a_stored_baseline_reads_back_equal(tmp_path):
    made = baseline_of("mine", made_sessions(5, gaming=1), 'quotes " \\ and\x7f, ✓')
    path = write_baseline(made, tmp_path)
    assert load_baseline("mine", (tmp_path,)) == made
    assert load_baseline(str(path)).digest == made.digest
    s35 = load_baseline("s35")
    (tmp_path / "copy.toml").write_text(to_toml(s35), encoding="utf-8")
    assert load_baseline(str(tmp_path / "copy.toml")) == s35


def test_a_baseline_is_never_overwritten_and_its_name_is_a_file_name(tmp_path):
    made = baseline_of("mine", made_sessions(2), "x")
    write_baseline(made, tmp_path)
    with pytest.raises(ConfigError, match="already there"):
        write_baseline(made, tmp_path)
    with pytest.raises(ConfigError, match="cannot be a file name"):
        write_baseline(made.model_copy(update={"name": "../mine"}), tmp_path)


def test_baselines_of_the_workspace_and_built_in_are_listed(tmp_path):
    write_baseline(baseline_of("mine", made_sessions(2), "x"), tmp_path)
    assert [one.name for one in list_baselines((tmp_path,))] == ["mine", "s35"]


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ({"measure": "d8", "value": 0.5}, "Did you mean d9"),
        ({"measure": "d9", "value": 1.2}, "cannot be 1.2"),
        ({"measure": "gaming_rate", "value": -0.1}, "cannot be -0.1"),
        ({"measure": "d9", "value": float("nan")}, "finite"),
    ],
)
def test_an_impossible_figure_is_refused(tmp_path, figure, message):
    lines = [f"{key} = {json.dumps(value).replace('NaN', 'nan')}" for key, value in figure.items()]
    path = tmp_path / "b.toml"
    path.write_text(
        'schema = 1\nname = "b"\norigin = "published"\nsource = "x"\nsessions = 1\n'
        "responses = 5\n[[figures]]\n" + "\n".join(lines) + "\n"
    )
    with pytest.raises(ConfigError, match=message):
        load_baseline(str(path))


def test_two_values_of_one_measure_need_one_of_them_cited():
    body = load_baseline("s35").model_dump(mode="json", by_alias=True)
    for figure in body["figures"]:
        figure["cited"] = False
    with pytest.raises(ValueError, match="more than one value"):
        Baseline.model_validate(body)
