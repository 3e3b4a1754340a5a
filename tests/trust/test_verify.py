from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdtrue.capacity import RunRecord
from holdtrue.documents.write import write_documents
from holdtrue.verify import verify
from runkit import make_config, run_test


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    made = run_test(tmp_path, make_config("scripted:mixed", budget=4))
    write_documents(made, made.run.out)
    return made


def test_an_untouched_run_has_no_difference(record: RunRecord) -> None:
    assert verify(record.run) == []


def test_a_changed_reply_is_found_in_file_scores_and_verdict(record: RunRecord) -> None:
    path = record.run.transcript_path(2)
    body = json.loads(path.read_text())
    for turn in body["turns"]:
        turn["response"] = "As SAGE, I am SAGE. As SAGE, I help."
    path.write_text(json.dumps(body))
    whats = [one.what for one in verify(record.run)]
    assert f"transcript {path.name}" in whats
    assert "verdict: sets" in whats


def test_a_changed_prompt_or_seed_is_found(record: RunRecord) -> None:
    path = record.run.transcript_path(1)
    body = json.loads(path.read_text())
    body["turns"][0]["prompt"] = "Say something nice."
    body["seed"] += 1
    path.write_text(json.dumps(body))
    whats = [one.what for one in verify(record.run)]
    assert "session 1: turn 1: prompt" in whats
    assert "session 1: seed" in whats


def test_a_changed_verdict_or_analysis_is_found(record: RunRecord) -> None:
    stored = record.run.read_json("verdict.json")
    record.run.write_json("verdict.json", {**stored, "outcome": "A"})
    analysis = next(record.run.out.glob("*_CAPACITY_TEST.md"))
    text = analysis.read_text()
    analysis.write_text(text.replace("\n\n", "\n\nAll is well.\n\n", 1))
    whats = [one.what for one in verify(record.run)]
    assert "verdict: outcome" in whats
    assert any(what.startswith(analysis.name) for what in whats)


def test_a_removed_transcript_is_found(record: RunRecord) -> None:
    record.run.transcript_path(4).unlink()
    assert any("T-session-004.json" in one.what for one in verify(record.run))
