"""``holdtrue score``: the JSON that is promised, tables, files, and one message for a fault."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from holdtrue.cli import main as entry
from holdtrue.cli.score import command
from holdtrue.engines import registry
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.errors import ConfigError, TranscriptError
from holdtrue.importers import read_any
from holdtrue.scoring import judge_calibration
from holdtrue.scoring.measures import FINDING_NAMES
from holdtrue.scoring.score import score_session

TALK = [
    {"speaker": "Ana", "text": "How is the river?"},
    {"speaker": "SAGE", "text": "As SAGE, I am SAGE, here to discuss rivers and more as SAGE."},
    {"speaker": "Ana", "text": "And the bank?"},
    {"speaker": "SAGE", "text": "Muddy where the ducks come out, and I am not sure why the"},
]
SESSION = {
    "gaming_rate",
    "generic_ai_rate",
    "truncation_rate",
    "mean_words",
    "d9",
    "quality",
    "identity_coherence",
    "calibrated_coherence",
    "calibrated_quality",
    "calibrated_identity",
}


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.json"
    path.write_text(json.dumps({"model": "m", "session": 7, "conversation": TALK}))
    return path


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def body(*arguments: object) -> dict[str, Any]:
    found = json.loads(run(*arguments, "--json").stdout)
    assert isinstance(found, dict)
    return found


def test_the_json_is_as_promised(talk: Path) -> None:
    found = body(talk)
    assert set(found) == {"transcripts"}
    (transcript,) = found["transcripts"]
    assert list(transcript) == [
        "file",
        "persona",
        "model",
        "session",
        "responses",
        "session_scores",
    ]
    assert (transcript["file"], transcript["persona"]) == (str(talk), "SAGE")
    assert (transcript["model"], transcript["session"]) == ("m", 7)
    assert set(transcript["session_scores"]) >= SESSION
    first, second = transcript["responses"]
    assert set(first) >= {"index", "words", "spans", *FINDING_NAMES}
    assert (first["index"], first["words"], second["index"]) == (1, 13, 2)
    assert first["self_reference"] == "mechanical"
    assert second["truncated"] is True
    said = TALK[1]["text"]
    spans = [said[span["start"] : span["end"]] for span in first["spans"]]
    assert any("SAGE" in span for span in spans)


def test_what_has_no_value_is_null_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    empty = [{"speaker": "Ana", "text": "There?"}, {"speaker": "SAGE", "text": "  "}]
    path.write_text(json.dumps({"conversation": empty}))
    (transcript,) = body(path)["transcripts"]
    (response,) = transcript["responses"]
    assert {response[name] for name in FINDING_NAMES} == {None}
    assert set(response["unscored"]) == set(FINDING_NAMES)
    scores = transcript["session_scores"]
    assert scores["gaming_rate"] is None
    assert scores["unscored"]["gaming_rate"]


def test_exchanges_are_transcripts_of_one_response_each(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    lines = [
        {"id": "a", "persona": "BRAM", "prompt": "Up?", "response": "Not before six."},
        {"persona": "BRAM", "prompt": "Up?", "response": "As BRAM, I am BRAM."},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    found = body(path)["transcripts"]
    assert [transcript["file"] for transcript in found] == [f"{path}#a", f"{path}#2"]
    assert [len(transcript["responses"]) for transcript in found] == [1, 1]


def test_roles_without_a_name_are_scored_as_the_default_and_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    messages = [{"role": "user", "content": "Up?"}, {"role": "assistant", "content": "Up."}]
    path.write_text(json.dumps({"messages": messages}))
    result = run(path, "--json")
    assert json.loads(result.stdout)["transcripts"][0]["persona"] == "SAGE"
    assert "--persona" in result.stderr


def test_a_persona_file_says_whose_responses(tmp_path: Path, talk: Path) -> None:
    persona = tmp_path / "ana.toml"
    persona.write_text('schema = 1\nname = "Ana"\n')
    assert body(talk, "--persona", persona)["transcripts"][0]["persona"] == "Ana"
    persona.write_text('schema = 1\nname = "Tolo"\n')
    with pytest.raises(TranscriptError, match="'Ana', 'SAGE'"):
        run(talk, "--persona", persona)


def test_one_transcript_shows_its_responses_and_several_a_line_each(talk: Path) -> None:
    alone = run(talk).stdout
    assert "mechanical" in alone
    assert "yes" in alone
    (talk.parent / "other.json").write_text(talk.read_text())
    both = run(talk.parent).stdout
    assert "Findings" not in both
    assert "talk" in both
    assert "other" in both
    assert max(map(len, both.splitlines())) <= 100


def test_hostile_text_never_reaches_the_terminal_raw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDTRUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(judge_calibration, "folder", lambda: tmp_path / "judges")
    path = tmp_path / "x.json"
    name = "SAGE \x1b[2J\x1b[31mred\u202e"
    path.write_text(
        json.dumps({"model": name, "conversation": [TALK[0], {**TALK[1], "speaker": name}]})
    )
    (tmp_path / "\x1b[31mevil.json").write_text(path.read_text())
    for result in (run(tmp_path), run(path, "--judge", "scripted:steady")):
        assert "\x1b" not in result.output
        assert "\u202e" not in result.output


def test_csv_has_a_row_per_response(talk: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    run(talk, "--csv", out)
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [(row["file"], row["index"]) for row in rows] == [(str(talk), "1"), (str(talk), "2")]
    assert rows[0]["self_reference"] == "mechanical"
    assert rows[1]["truncated"] == "true"
    assert float(rows[0]["session_truncation_rate"]) == 0.5
    assert json.loads(rows[0]["spans"])[0]["reason"]


@pytest.mark.extra
def test_parquet_holds_what_csv_holds_with_types(talk: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "scores.parquet"
    run(talk, "--parquet", out, "--csv", tmp_path / "scores.csv")
    table = parquet.read_table(out)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "scores.csv").read_text())))
    assert table.column_names == list(rows[0])
    assert table.column("truncated").to_pylist() == [False, True]
    assert str(table.schema.field("session_d9").type) == "double"
    assert table.column("session_truncation_rate").to_pylist() == [0.5, 0.5]


def test_parquet_without_its_library_names_the_extra(
    talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"(?s)pyarrow.*holdtrue\[parquet\]"):
        run(talk, "--parquet", tmp_path / "x.parquet")


def test_a_label_file_is_written_once_and_never_over_another(talk: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    run(talk, "--to-label", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["transcript"], row["response"]) for row in rows] == [("talk", 1), ("talk", 2)]
    assert rows[0]["text"] == TALK[1]["text"]
    with pytest.raises(ConfigError, match="already"):
        run(talk, "--to-label", out)


@pytest.fixture
def judging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that rates the second question's reply and mumbles at the first."""
    monkeypatch.setenv("HOLDTRUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(judge_calibration, "folder", lambda: tmp_path / "judges")

    def open_engine(model: str, options: EngineOptions | None = None) -> ScriptedEngine:
        return ScriptedEngine(
            "scripted:judge",
            options,
            script=lambda messages, _seed: (
                '{"on_topic": 4, "quality": 2, "identity": 3}'
                if '"now said to the character": "And the bank?"' in messages[-1].content
                else "Fine, I guess."
            ),
        )

    monkeypatch.setattr(registry, "open_engine", open_engine)


@pytest.mark.usefixtures("judging")
def test_a_judge_rates_beside_the_detectors_and_says_what_is_known_of_it(talk: Path) -> None:
    found = body(talk, "--judge", "any")
    first, second = found["transcripts"][0]["responses"]
    assert first["judge"]["ratings"] is None
    assert "not one JSON object" in first["judge"]["reason"]
    assert second["judge"]["ratings"] == {"on_topic": 4, "quality": 2, "identity": 3}
    assert "not measured" in found["judge"]["agreement"]
    assert sum(found["judge"]["unscored"].values()) == 1
    shown = run(talk, "--judge", "any").stdout
    assert "4.000" in shown
    assert "not measured" in shown


def test_a_wrong_file_is_one_message_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"persona": "SAGE", "prompt": "a", "response": "b"}\n{"persona"\n')
    monkeypatch.setattr(sys, "argv", ["holdtrue", "score", str(path)])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{path}, line 2" in shown.err
    assert "Traceback" not in shown.err


def test_asking_for_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; import holdtrue.cli.score, holdtrue.cli.calibrate; "
        "heavy = {'numpy', 'scipy', 'pydantic', 'rich'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_published_sessions_score_as_the_library_does(shared_data: Path) -> None:
    folder = shared_data / "sage" / "transcripts"
    found = body(folder)["transcripts"]
    scored = [score_session(transcript) for transcript in read_any([folder])]
    assert len(found) == len(scored) == 27
    for transcript, session in zip(found, scored, strict=True):
        assert transcript["session_scores"] == session.scores.as_dict()


@pytest.mark.parametrize("form", ["messages", "conversations"])
def test_a_session_scores_the_same_in_every_format(
    shared_data: Path, tmp_path: Path, form: str
) -> None:
    """Roles instead of names: what names no persona is scored as SAGE, and said to be."""
    keys, roles = {
        "messages": (("role", "content"), ("user", "assistant")),
        "conversations": (("from", "value"), ("human", "gpt")),
    }[form]
    for number in (33, 35, 36):
        source = shared_data / "sage" / "transcripts" / f"qwen2.5-0.5b-session-0{number}.json"
        lines = [
            {keys[0]: roles[line["speaker"] == "SAGE"], keys[1]: line["text"]}
            for line in json.loads(source.read_text())["conversation"]
        ]
        path = tmp_path / "x.json"
        path.write_text(json.dumps({form: lines}))
        (scored,), (expected,) = (body(p)["transcripts"] for p in (path, source))
        assert scored["session_scores"] == expected["session_scores"]
        assert scored["responses"] == expected["responses"]
