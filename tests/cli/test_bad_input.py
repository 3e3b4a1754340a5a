"""Mistakes and interruptions, as a user meets them: real processes, one message, no traceback."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import HOLDTRUE
from holdtrue.cli.main import main
from holdtrue.runs import read_journal
from holdtrue.transcript import read_transcript


def start(cwd: Path, command: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*HOLDTRUE, *shlex.split(command)],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def holdtrue(cwd: Path, command: str, **environment: str) -> tuple[int, str]:
    """The exit code, and what was said on standard error."""
    process = start(cwd, command, **environment)
    _, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors
    return process.returncode, errors


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("test scripted:stedy", 2, "steady"),
        ("test smolm2-135m", 2, "smollm2-135m"),
        ("test scripted:steady --persona sgae", 2, "sage"),
        ("test scripted:steady --protocol v2", 2, "v2.0"),
        ("test scripted:steady --criteria ful", 2, "full"),
        ("test scripted:steady --baseline s53", 2, "s35"),
        ("test scripted:steady --persona broken.toml", 2, "line 2"),
        ("test scripted:steady --persona typo.toml", 2, "typo.toml, line 2: unknown key 'nmae'"),
        ("test scripted:steady --label ../x", 2, "--label"),
        ("test scripted:steady --host a/b", 2, "--host"),
        ("test scripted:steady --out file/sub", 2, "--out"),
        ("test scripted:steady --no-dry-run", 2, "holdtrue run"),
        ("test noise.gguf", 4, "not a sound GGUF"),
        ("test --offline", 4, "models fetch"),
        ("test --resume nowhere", 2, "no run is here"),
    ],
)
def test_a_mistake_ends_in_one_message_and_leaves_no_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    code: int,
    said: str,
) -> None:
    (tmp_path / "broken.toml").write_text('name = "X"\n[voice\n')
    (tmp_path / "typo.toml").write_text('name = "X"\nnmae = "Y"\n')
    (tmp_path / "noise.gguf").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOLDTRUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["holdtrue", *shlex.split(command)])
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process keeps its handlers
    with pytest.raises(SystemExit) as left:
        main()
    errors = capsys.readouterr().err
    assert (left.value.code, said in errors) == (code, True), errors
    assert list(tmp_path.glob("*/runs/*/config.json")) == []
    assert list(tmp_path.glob("**/*.tmp")) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_test_says_how_to_go_on_and_can(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = start(tmp_path, "test scripted:mixed --label T --budget 300 --batch 300 --out o")
    until = time.monotonic() + 60
    while not list(tmp_path.glob("o/T-session-transcripts/*.json")) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    found = re.search(r"holdtrue (test --resume \S+)", errors)
    assert found is not None
    stored = sorted(tmp_path.glob("o/T-session-transcripts/*.json"))
    assert [read_transcript(path).status for path in stored]
    assert list(tmp_path.glob("**/*.tmp")) == []
    assert read_journal(next(tmp_path.glob("o/runs/*/journal.jsonl")))
    again, errors = holdtrue(tmp_path, f"{found[1]} --seed 7 --max-tokens 9 --label T")
    assert again == 2
    assert "--seed 7 (the run has 0)" in errors
    assert "--max-tokens 9 (the run has" in errors
    assert "--label" not in errors


def test_a_second_run_leaves_the_first_one_as_it_was(tmp_path: Path) -> None:
    for model in ("steady", "collapse"):
        code, errors = holdtrue(
            tmp_path, f"test scripted:{model} --label T --host h --budget 2 --batch 2 --out o"
        )
        assert code == 0, errors
    runs = sorted((tmp_path / "o/runs").glob("*/config.json"))
    assert len(runs) == 2
    for run in runs:
        assert holdtrue(tmp_path, f"verify {run.parent}") == (0, "")
    assert (tmp_path / "o/LATEST_STATUS.md").read_text().count("\n## ") == 2
    assert len((tmp_path / "o/h_worklog.txt").read_text().splitlines()) == 2
