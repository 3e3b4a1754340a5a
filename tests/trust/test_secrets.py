"""A key in the environment reaches the server's header and nothing else."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
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


def test_the_key_is_in_no_process_title_while_a_run_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    titles: list[str] = []
    with FakeServer(Answer(completion("I am here."), delay=0.2)) as server:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(hold, out, server)
            while not running.done():
                for process in psutil.Process().children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        titles.append(" ".join([process.name(), *process.cmdline()]))
                time.sleep(0.05)
        done = running.result()
    assert done.returncode == 0, done.stderr
    assert any("openai:tiny" in title for title in titles)
    assert not any(PIECE in title for title in titles)


@pytest.mark.parametrize("trouble", ["drop", "not JSON", "redirect", "refused"])
def test_a_run_that_fails_spreads_no_key_in_messages_logs_or_tracebacks(
    tmp_path: Path, trouble: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    answers = {
        "drop": Answer(completion("I am."), drop=True),
        "not JSON": Answer(f"<p>{KEY}</p>".encode()),
        "redirect": Answer(b"", status=302, headers={"Location": f"http://127.0.0.1:1/{KEY}"}),
        "refused": Answer(b"", status=503, headers={"Retry-After": "0"}),
    }
    with FakeServer(answers[trouble]) as server:
        done = hold(out, server, "--json")
    assert done.returncode == 4, done.stdout
    assert "Traceback" not in done.stderr
    assert PIECE not in done.stdout + done.stderr
    assert leaks(tmp_path) == []


def test_a_defect_shows_a_traceback_without_the_key(tmp_path: Path) -> None:
    """Whatever breaks inside holdtrue while a key is in use, Python prints no values."""
    code = (
        "from holdtrue.engines.remote import RemoteEngine\n"
        "from holdtrue.cli.main import main\n"
        "async def broken(self, *arguments, **more): raise AssertionError(repr(vars(self)))\n"
        "RemoteEngine.generate = broken\n"
        "main()"
    )
    with FakeServer(completion("I am here.")) as server:
        done = subprocess.run(
            [sys.executable, "-c", code, "test", f"openai:tiny@{server.url}", "--budget", "1"],
            env={**os.environ, "OPENAI_API_KEY": KEY, "NO_PROXY": "*"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert "AssertionError" in done.stderr
    assert PIECE not in done.stdout + done.stderr
    assert leaks(tmp_path) == []
