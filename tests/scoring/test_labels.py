"""Label files: three forms in, two out, and every slip named with its line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdtrue.errors import TranscriptError
from holdtrue.importers import read_any
from holdtrue.persona import Persona
from holdtrue.scoring.labels import (
    Index,
    Label,
    NoLabelsError,
    find_label_files,
    read_labels,
    to_csv,
    write_to_label,
)
from holdtrue.scoring.measures import Naming
from holdtrue.scoring.score import score_session
from holdtrue.transcript import Transcript, Turn

LINE = {
    "transcript": "s-01",
    "response": 2,
    "annotator": "ida",
    "self_ref": "natural",
    "generic_ai": False,
    "on_topic": 4,
    "note": "not a measure",
}


def write(folder: Path, name: str, *lines: Any) -> Path:
    path = folder / name
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def session(source: str, *responses: str, identity: str = "x") -> Transcript:
    turns = tuple(
        Turn(index=number, prompt="And?", response=text)
        for number, text in enumerate(responses, start=1)
    )
    return Transcript(id=identity, persona=Persona(name="Bram"), turns=turns, source=source)


def test_json_lines_of_labels_are_read(tmp_path: Path) -> None:
    (label,) = read_labels(write(tmp_path, "l.jsonl", LINE)).labels
    assert (label.transcript, label.response, label.annotator) == ("s-01", 2, "ida")
    assert label.values == {"self_reference": Naming.NATURAL, "generic_ai": False, "on_topic": 4}


def test_csv_reads_the_same_as_json_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "l.csv",
        "transcript,response,annotator,self_ref,generic_ai,on_topic,lecture,text",
        's-01,2,ida,natural,no,4,,"two\nlines"',
    )
    (from_csv,) = read_labels(path).labels
    (from_json,) = read_labels(write(tmp_path, "l.jsonl", LINE)).labels
    assert from_csv.values == from_json.values
    assert (from_csv.transcript, from_csv.response) == ("s-01", 2)


def test_what_is_null_or_missing_is_not_labelled(tmp_path: Path) -> None:
    path = write(tmp_path, "l.jsonl", {**LINE, "self_ref": None, "lecture": True})
    (label,) = read_labels(path).labels
    assert label.values == {"generic_ai": False, "on_topic": 4, "lecture": True}


def test_exchanges_carry_their_labels_and_are_their_own_transcripts(tmp_path: Path) -> None:
    body = {"id": "e1", "persona": "Bram", "prompt": "Up?", "response": "Bram says no."}
    path = write(tmp_path, "e.jsonl", {**body, "self_ref": "natural", "truncated": False})
    file = read_labels(path)
    assert file.labels[0].transcript == f"{path}#e1"
    assert file.labels[0].values == {"self_reference": Naming.NATURAL, "truncated": False}
    assert file.transcripts[0].turns[0].response == "Bram says no."
    assert Index(file.transcripts).position(file.labels[0]) == 0


WRONG = {
    "unknown class": ({**LINE, "self_ref": "robotic"}, "'self_ref'.*none, natural or mechanical"),
    "flag in words": ({**LINE, "generic_ai": "yes"}, "'generic_ai'.*true or false"),
    "rating too high": ({**LINE, "on_topic": 6}, "'on_topic'.*from 1 to 5, not 6"),
    "rating half": ({**LINE, "on_topic": 3.5}, "from 1 to 5, not 3.5"),
    "rating true": ({**LINE, "on_topic": True}, "from 1 to 5, not true"),
    "no response": ({k: v for k, v in LINE.items() if k != "response"}, "'response': is missing"),
    "response zero": ({**LINE, "response": 0}, "counts from 1"),
    "response text": ({**LINE, "response": "last"}, "must be a whole number"),
    "transcript null": ({**LINE, "transcript": None}, "must name a transcript"),
    "a slip in a key": ({**LINE, "generic_ia": True}, "(?s)unknown measure.*generic_ai"),
    "two spellings": ({**LINE, "self_reference": "none"}, "same measure"),
    "uncorrected": ({**LINE, "annotator": "detectors"}, "(?s)no label yet.*put your name"),
    "neither": ({"loss": 1}, "neither a label"),
    "a list": ([1], "must be an object"),
    "broken": ('{"transcript": ', "not valid JSON"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_a_wrong_line_is_named(tmp_path: Path, case: str) -> None:
    line, expected = WRONG[case]
    path = write(tmp_path, "l.jsonl", {**LINE, "response": 1}, "", line)
    with pytest.raises(TranscriptError, match=expected) as caught:
        read_labels(path)
    assert caught.value.where == f"{path}, line 3"


def test_a_label_given_twice_is_an_error_naming_both_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "l.jsonl", LINE, {**LINE, "on_topic": 1})
    with pytest.raises(TranscriptError, match=r"(?s)line 2.*twice \(first: .*line 1\)"):
        read_labels(path)


def test_csv_slips_name_the_line(tmp_path: Path) -> None:
    with pytest.raises(TranscriptError, match=r"l\.csv, line 3.*'quality'.*not \"9\""):
        read_labels(write(tmp_path, "l.csv", "transcript,response,quality", "a,1,3", "a,2,9"))
    with pytest.raises(TranscriptError, match=r"(?s)line 1.*unknown measure.*lecture"):
        read_labels(write(tmp_path, "m.csv", "transcript,response,lectures", "a,1,yes"))
    with pytest.raises(NoLabelsError, match="must name the columns"):
        read_labels(write(tmp_path, "n.csv", "file,quality", "a,3"))
    with pytest.raises(TranscriptError, match="more cells"):
        read_labels(write(tmp_path, "o.csv", "transcript,response,quality", "a,1,3,4"))


def test_a_folder_gives_its_label_files_and_passes_over_the_rest(tmp_path: Path) -> None:
    write(tmp_path, "l.jsonl", LINE)
    write(tmp_path, "losses.jsonl", {"loss": 1})
    write(tmp_path, "table.csv", "a,b", "1,2")
    (found,) = find_label_files(tmp_path)
    assert found.path.name == "l.jsonl"
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoLabelsError, match="--to-label"):
        find_label_files(tmp_path / "empty")


def test_a_transcript_goes_by_its_file_its_stem_and_its_id() -> None:
    index = Index([session("runs/a.json", "One."), session("runs/b.jsonl#7", "Two.")])
    for name in ("runs/a.json", "a.json", "a"):
        assert index.position(Label(name, 1, "i", {}, "here")) == 0
    for name in ("runs/b.jsonl#7", "b.jsonl#7", "b#7", "7"):
        assert index.position(Label(name, 1, "i", {}, "here")) == 1


def test_a_label_that_means_none_or_several_says_so() -> None:
    index = Index([session("x/a.json", "One."), session("y/a.json", "Two.")])
    with pytest.raises(TranscriptError, match=r"(?s)may be any of x/a\.json, y/a\.json"):
        index.position(Label("a", 1, "i", {}, "labels, line 3"))
    with pytest.raises(TranscriptError, match=r"(?s)no transcript 'c'.*--transcripts"):
        index.position(Label("c", 1, "i", {}, "labels, line 3"))
    with pytest.raises(TranscriptError, match=r"response 2 of 'x/a\.json', which has 1"):
        index.position(Label("x/a.json", 2, "i", {}, "labels, line 3"))


@pytest.mark.parametrize("name", ["l.jsonl", "l.csv"])
def test_a_label_file_to_correct_reads_back_once_it_bears_a_name(tmp_path: Path, name: str) -> None:
    made = session(str(tmp_path / "=a.json"), "As Bram, I am Bram.", "=SUM(A1)", "I am cut")
    scored = score_session(made)
    path = write_to_label(tmp_path / name, [scored])
    with pytest.raises(TranscriptError, match="no label yet"):
        read_labels(path)
    path.write_text(path.read_text().replace("detectors", "ida"))
    labels = read_labels(path).labels
    assert [label.response for label in labels] == [1, 2, 3]
    for label, found in zip(labels, scored.scores.responses, strict=True):
        assert label.values["self_reference"] == found.self_reference
        assert label.values["truncated"] == found.truncated
        assert "on_topic" not in label.values
        assert Index([made]).position(label) == 0


def test_two_files_of_one_name_get_longer_names_in_a_label_file(tmp_path: Path) -> None:
    both = [score_session(session(f"{folder}/a.json", "Here.")) for folder in ("x", "y")]
    path = write_to_label(tmp_path / "l.jsonl", both)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["transcript"] for row in rows] == ["x/a.json", "y/a.json"]


@settings(
    deadline=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.text(max_size=30))
def test_no_cell_is_a_formula_and_no_text_breaks_a_row(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    written = text.encode("utf-8", "replace").decode()
    path.write_bytes(to_csv(["a", "b"], [{"a": written, "b": True}]).encode())
    with path.open(newline="", encoding="utf-8") as file:
        (_header, row) = csv.reader(file)
    assert row[1] == "true"
    assert row[0].removeprefix("'") == written.removeprefix("'")
    assert not row[0].startswith(("=", "+", "-", "@"))


def test_the_reference_labels_are_read_whole(shared_data: Path) -> None:
    by_name = {file.path.name: file for file in find_label_files(shared_data)}
    sage, exchanges = by_name["labels.jsonl"], by_name["exchanges.jsonl"]
    assert (len(sage.labels), sage.annotators) == (284, ("1", "2"))
    assert (len(exchanges.labels), len(exchanges.transcripts)) == (80, 80)
    index = Index(read_any([shared_data / "sage" / "transcripts"]))
    assert len({index.position(label) for label in sage.labels}) == 27
