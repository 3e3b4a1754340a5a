from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from holdtrue import verify as verification
from holdtrue.capacity import RunRecord, load_record
from holdtrue.documents.write import documents_of, write_documents
from holdtrue.errors import HoldtrueError
from holdtrue.runs import Run, open_run
from holdtrue.verify import verify
from runkit import make_config, run_test


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, dict[str, bytes]]:
    """A run of four sessions, and its documents."""
    record = run_test(tmp_path_factory.mktemp("made"), make_config("scripted:mixed", budget=4))
    write_documents(record, record.run.out)
    return load_record(record.run), documents_of(record)


@pytest.fixture
def run(
    made: tuple[RunRecord, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """A copy of that run. Documents of an equal record are not drawn again, which takes seconds."""
    original, documents = made
    shutil.copytree(original.run.out, tmp_path / "out")
    run = open_run(tmp_path / "out")

    def remembered(record: RunRecord) -> dict[str, bytes]:
        return documents if replace(record, run=original.run) == original else documents_of(record)

    monkeypatch.setattr(verification, "documents_of", remembered)
    return run


def files_of(out: Path) -> list[str]:
    return sorted(
        str(path.relative_to(out))
        for path in out.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    )


FIGURES = ("criteria", "distributions", "drift", "evidence")
FILES = (
    "H_T_CAPACITY_TEST.md",
    "LATEST_STATUS.md",
    *(f"T-figures/{name}.{kind}" for name in FIGURES for kind in ("png", "svg")),
    "T-session-transcripts/T-session-002.json",
    "h_worklog.txt",
    "report.html",
    "runs/run/config.json",
    "runs/run/journal.jsonl",
    "runs/run/manifest.json",
    "runs/run/preflight.json",
    "runs/run/report.html",
    "runs/run/resources.json",
    "runs/run/verdict.json",
    "undated-h-t-test.md",
    "verdict.json",
)


def test_an_untouched_run_has_no_difference(run: Run) -> None:
    assert verify(run) == []


def test_the_files_below_are_those_of_a_run(run: Run) -> None:
    others = [f"T-session-transcripts/T-session-00{number}.json" for number in (1, 3, 4)]
    assert files_of(run.out) == sorted([*FILES, *others])


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_found_in_any_file(run: Run, name: str) -> None:
    path = run.out / name
    whole = path.read_bytes()
    for share in (0.35, 0.7):
        at = int(share * len(whole))
        changed = bytes([whole[at] ^ 1]) if whole[at] != 0x0B else b"x"
        path.write_bytes(whole[:at] + changed + whole[at + 1 :])
        try:
            found = verify(open_run(run.out))
        except HoldtrueError:
            continue
        assert found, f"byte {at} of {name}: {whole[at - 20 : at + 20]!r}"


@pytest.mark.parametrize("name", [name for name in FILES if name != "runs/run/config.json"])
def test_a_removed_file_is_found(run: Run, name: str) -> None:
    (run.out / name).unlink()
    if name.endswith("journal.jsonl"):
        assert verify(open_run(run.out)) == []  # sessions held elsewhere leave none
    else:
        assert verify(open_run(run.out)) != []


def test_a_changed_reply_is_found_in_file_journal_scores_and_documents(run: Run) -> None:
    path = run.transcript_path(2)
    body = json.loads(path.read_text())
    for turn in body["turns"]:
        turn["response"] = "As SAGE, I am SAGE. As SAGE, I help."
    path.write_text(json.dumps(body))
    whats = [one.what for one in verify(run)]
    assert f"transcript {path.name}" in whats
    assert "journal: session 2, turn 1" in whats
    assert "verdict: sets" in whats
    assert any(what.startswith("H_T_CAPACITY_TEST.md, line") for what in whats)
    assert any(what.startswith("report.html, line") for what in whats)


def test_a_changed_prompt_or_seed_is_found(run: Run) -> None:
    path = run.transcript_path(1)
    body = json.loads(path.read_text())
    body["turns"][0]["prompt"] = "Say something nice."
    body["seed"] += 1
    path.write_text(json.dumps(body))
    whats = [one.what for one in verify(run)]
    assert "session 1: turn 1: prompt" in whats
    assert "session 1: seed" in whats


def test_a_changed_outcome_is_named(run: Run) -> None:
    run.write_json("verdict.json", {**run.read_json("verdict.json"), "outcome": "A"})
    assert "verdict: outcome" in [one.what for one in verify(run)]


def test_documents_of_a_later_run_of_the_label_are_not_taken_for_this_ones(
    run: Run, tmp_path: Path
) -> None:
    later = run_test(
        run.out, make_config("scripted:steady", budget=4, run_id="run2", first_session=5)
    )
    write_documents(later, run.out)
    assert verify(open_run(run.out / "runs" / "run")) == []
    assert verify(later.run) == []
