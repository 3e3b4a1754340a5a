"""``holdtrue calibrate``: figures of known labels, files found, pages safe, judges kept."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from holdtrue.cli.calibrate import command
from holdtrue.engines import registry
from holdtrue.engines.base import EngineOptions, StopReason
from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.errors import ConfigError, TranscriptError
from holdtrue.importers import read_any
from holdtrue.persona import load_persona
from holdtrue.scoring import judge_calibration
from holdtrue.scoring.score import score_session
from holdtrue.transcript import Transcript, Turn, to_json

CLOSED = "The bridge is up and the boats go through one by one."
CUT = "The bridge is up and the boats go through one by"
HOSTILE = "| <script>alert(1)</script> \x1b[31m **cut** and"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def body(*arguments: object) -> list[dict[str, Any]]:
    found = json.loads(run(*arguments, "--json").stdout)["calibrations"]
    assert isinstance(found, list)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten sessions of two responses; the second of each is cut off; of two, labels say no."""
    (tmp_path / "transcripts").mkdir()
    lines = []
    for number in range(10):
        cut = HOSTILE if number == 0 else CUT
        turns = (
            Turn(index=1, prompt="And?", response=CLOSED, stop_reason=StopReason.STOP),
            Turn(index=2, prompt="And?", response=cut, stop_reason=StopReason.LENGTH),
        )
        session = Transcript(id=f"id{number}", persona=load_persona("sage"), turns=turns)
        (tmp_path / "transcripts" / f"s{number}.json").write_text(to_json(session))
        for response in (1, 2):
            truth = response == 2 and number not in (0, 1)
            for annotator in ("ida", "bo"):
                label = {"transcript": f"s{number}", "response": response, "annotator": annotator}
                rating = 1 + (number + response) % 5
                if annotator == "bo" and number == 5:
                    rating = 1 + rating % 5
                lines.append({**label, "truncated": truth, "quality": rating})
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def of(measures: list[dict[str, Any]], name: str, level: str = "response") -> dict[str, Any]:
    (found,) = [m for m in measures if m["measure"] == name and m["level"] == level]
    return found


def test_detectors_are_counted_against_every_label(folder: Path) -> None:
    """Told cut 10 responses, labelled 8 of them so, by two annotators each."""
    (found,) = body(folder / "labels.jsonl")
    truncated = of(found["detectors"], "truncated")
    assert truncated["confusion"] == {"no": {"no": 20, "yes": 4}, "yes": {"no": 0, "yes": 16}}
    assert truncated["classes"]["yes"]["precision"]["value"] == pytest.approx(16 / 20)
    assert truncated["classes"]["yes"]["recall"]["value"] == 1.0
    assert truncated["classes"]["yes"]["f1"]["value"] == pytest.approx(32 / 36)
    assert truncated["pairs"] == 40
    assert truncated["transcripts"] == 10


def test_the_worst_disagreements_come_with_their_spans(folder: Path) -> None:
    (found,) = body(folder / "labels.jsonl")
    worst = of(found["detectors"], "truncated")["worst"]
    assert [Path(item["file"]).name for item in worst] == ["s0.json", "s1.json"]
    for item in worst:
        assert (item["response"], item["told"]) == (2, True)
        assert item["labelled"] == {"ida": False, "bo": False}
        assert item["spans"][0]["measure"] == "truncated"
    assert worst[1]["excerpt"] == CUT


def test_two_annotators_are_compared_with_each_other(folder: Path) -> None:
    (found,) = body(folder / "labels.jsonl")
    ((between),) = found["between_annotators"]
    assert between["annotators"] == ["bo", "ida"]
    assert of(between["measures"], "truncated")["kappa"]["value"] == 1.0
    quality = of(between["measures"], "quality")
    assert 0.5 < quality["kappa"]["value"] < 1
    assert quality["bias"]["value"] != 0


def test_one_annotator_may_be_chosen(folder: Path) -> None:
    (found,) = body(folder / "labels.jsonl", "--annotator", "ida")
    assert found["annotators"] == ["ida"]
    assert of(found["detectors"], "truncated")["pairs"] == 20
    with pytest.raises(TranscriptError, match=r"(?s)'eve'.*bo, ida"):
        run(folder / "labels.jsonl", "--annotator", "eve")


def test_a_folder_calibrates_on_every_label_file_in_it(folder: Path) -> None:
    exchange = {"persona": "BRAM", "prompt": "Up?", "response": "Not yet.", "truncated": False}
    (folder / "more.jsonl").write_text(json.dumps(exchange))
    found = body(folder)
    assert [Path(item["labels"]).name for item in found] == ["labels.jsonl", "more.jsonl"]
    assert of(found[1]["detectors"], "truncated")["confusion"]["no"] == {"no": 1, "yes": 0}


def test_transcripts_elsewhere_are_named(folder: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    labels = (folder / "labels.jsonl").rename(away / "labels.jsonl")
    with pytest.raises(TranscriptError, match=r"(?s)no transcript|no transcripts"):
        run(labels)
    assert body(labels, "--transcripts", folder / "transcripts")


def test_the_page_shows_hostile_text_and_obeys_none(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    shown = run(folder / "labels.jsonl", "--markdown", page)
    text = page.read_text()
    assert "# Agreement with human labels" in text
    assert "### Confusion" in text
    assert "- **truncated**: finds 100 % of 16, 20 % of what it tells is wrong" in text
    assert "## How to read the figures" in text
    assert "\x1b" not in text + shown.output
    row = next(line for line in text.splitlines() if "alert" in line)
    assert "`" in row
    assert row.count(" | ") == 1
    assert "alert(1)" in shown.stdout


def test_equal_seeds_give_equal_output_and_another_other_intervals(folder: Path) -> None:
    first, again, other = (
        run(folder / "labels.jsonl", "--json", "--seed", seed).stdout for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.fixture
def judging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that likes closed sentences."""
    monkeypatch.setenv("HOLDTRUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(judge_calibration, "folder", lambda: tmp_path / "judges")

    def open_engine(model: str, options: EngineOptions | None = None) -> ScriptedEngine:
        def judge(messages: Any, _seed: int) -> str:
            quality = 4 if CLOSED in messages[-1].content.split('"reply to rate"')[-1] else 2
            return json.dumps({"on_topic": 3, "quality": quality, "identity": 3})

        return ScriptedEngine("scripted:judge", options, script=judge)

    monkeypatch.setattr(registry, "open_engine", open_engine)


@pytest.mark.usefixtures("judging")
def test_a_judge_is_measured_and_its_agreement_kept(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "kept.json"
    found = body(folder / "labels.jsonl", "--judge", "any", "--judge-calibration", out)
    quality = of(found[0]["judge"]["measures"], "quality")
    assert quality["pairs"] == 20
    assert -1 <= quality["kappa"]["value"] <= 1
    kept = judge_calibration.read(out)
    assert kept.labels == "labels.jsonl"
    assert [item.rating for item in kept.agreement] == ["quality", "quality"]
    (default,) = (tmp_path / "judges").glob("*.json")
    assert judge_calibration.read(default) == kept


@pytest.mark.usefixtures("judging")
def test_a_judge_is_not_calibrated_on_several_label_files_at_once(folder: Path) -> None:
    exchange = {"persona": "BRAM", "prompt": "Up?", "response": "Not yet.", "truncated": False}
    (folder / "more.jsonl").write_text(json.dumps(exchange))
    with pytest.raises(ConfigError, match=r"(?s)labels\.jsonl, .*more\.jsonl.*Name one"):
        run(folder, "--judge", "any")


@pytest.mark.usefixtures("judging")
def test_a_judge_that_says_nothing_usable_leaves_no_calibration(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mumble(model: str, options: EngineOptions | None = None) -> ScriptedEngine:
        return ScriptedEngine("scripted:mumble", options, script=lambda _m, _s: "Four, perhaps.")

    monkeypatch.setattr(registry, "open_engine", mumble)
    result = run(folder / "labels.jsonl", "--judge", "any", "--json")
    judged = json.loads(result.stdout)["calibrations"][0]["judge"]
    assert sum(judged["unscored"].values()) == 20
    assert judged["measures"] == []
    assert "nothing kept" in result.stderr
    assert not (tmp_path / "judges").exists()


def test_an_annotator_cannot_write_to_the_terminal(folder: Path) -> None:
    labels = folder / "labels.jsonl"
    labels.write_text(labels.read_text().replace('"ida"', '"\\u001b[31mi\\u202ea"'))
    shown = run(labels).output
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_the_reference_labels_give_the_figures_of_an_independent_count(shared_data: Path) -> None:
    """The confusion matrix of every detector, counted anew from the files."""
    sage = shared_data / "sage"
    (found,) = body(sage / "labels.jsonl")
    scored = {Path(t.source or "").stem: score_session(t) for t in read_any([sage / "transcripts"])}
    counted: dict[str, Counter[tuple[str, str]]] = {}
    names = {"self_ref": "self_reference"}
    for line in (sage / "labels.jsonl").read_text().splitlines():
        label = json.loads(line)
        response = scored[label["transcript"]].scores.responses[label["response"] - 1]
        for key in (
            "self_ref",
            "generic_ai",
            "lecture",
            "truncated",
            "partnership",
            "confabulated",
        ):
            told = getattr(response, names.get(key, key))
            pair = tuple(
                {True: "yes", False: "no"}.get(value, value) for value in (label[key], told)
            )
            counted.setdefault(names.get(key, key), Counter())[str(pair[0]), str(pair[1])] += 1
    for measure, counts in counted.items():
        confusion = of(found["detectors"], measure)["confusion"]
        told = {(a, b): n for a, row in confusion.items() for b, n in row.items() if n}
        assert told == dict(counts), measure


def test_the_reference_annotators_agree_as_scikit_learn_counts(shared_data: Path) -> None:
    """cohen_kappa_score of scikit-learn 1.9 on the same pairs, quadratic weights for ratings."""
    (found,) = body(shared_data / "sage" / "labels.jsonl")
    measures = found["between_annotators"][0]["measures"]
    kappas = {item["measure"]: round(item["kappa"]["value"], 3) for item in measures}
    assert kappas == {
        "self_reference": 0.986,
        "partnership": 0.881,
        "generic_ai": 0.915,
        "lecture": 0.914,
        "truncated": 1.0,
        "confabulated": 0.896,
        "on_topic": 0.918,
        "quality": 0.919,
        "identity": 0.932,
    }


def test_the_labelled_exchanges_need_nothing_beside_them(shared_data: Path) -> None:
    (found,) = body(shared_data / "personas" / "exchanges.jsonl")
    assert found["responses"] == 80
    measures = {item["measure"] for item in found["detectors"]}
    assert measures == {"self_reference", "partnership", "generic_ai", "truncated"}
    assert found["scores"] == []
