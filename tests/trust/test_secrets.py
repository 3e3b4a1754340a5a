"""A key in the environment reaches the server's header and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "engines"))
from fake_server import Answer, FakeServer, completion  # noqa: E402

KEY = "sk-rehearsal-4f9c1d7be2a84410a6"
PIECE = "4f9c1d7b"


def hold(out: Path, server: FakeServer, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-c", "from holdtrue.cli.main import main; main()"),
            *("test", f"openai:tiny@{server.url}", "--budget", "2", "--batch", "2"),
            *("--out", str(out), *more),
        ],
        env={**os.environ, "OPENAI_API_KEY": KEY, "NO_PROXY": "*"},
        cwd=out.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )


def leaks(folder: Path) -> list[str]:
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and PIECE.encode() in path.read_bytes()
    ]


def test_nothing_that_a_run_writes_or_prints_holds_the_key(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with FakeServer(completion(f"I am here, and your key is {KEY}.")) as server:
        done = hold(out, server)
        sent = [asked.headers for asked in server.asked]
    assert done.returncode == 0, done.stderr
    assert any(KEY in str(headers) for headers in sent)
    assert list(out.glob("*-session-transcripts/*.json"))
    assert leaks(tmp_path) == []
    assert PIECE not in done.stdout + done.stderr


@pytest.mark.parametrize("status", [401, 500])
def test_a_server_that_repeats_the_key_in_its_error_does_not_spread_it(
    tmp_path: Path, status: int
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    error = {"error": {"message": f"Incorrect API key provided: {KEY}"}}
    with FakeServer(Answer(error, status=status, headers={"Retry-After": "0"})) as server:
        done = hold(out, server)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert PIECE not in done.stdout + done.stderr
    assert leaks(tmp_path) == []
