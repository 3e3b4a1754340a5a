"""Kill a run at random moments and resume it until it ends; says what was found."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from holdtrue.runs import open_run
from holdtrue.verify import verify

CHILD = Path(__file__).with_name("kill_child.py")
LATE = 0.25  # share of the kills that may also fall into the writing of documents


@dataclass(frozen=True)
class Killed:
    """What ``kills`` that hit left of a run.

    ``repeated`` counts turns that stand in the journal twice, ``lost`` turns of transcripts that
    stand in none, ``differences`` what ``holdtrue verify`` finds, ``announced`` the entries of
    the status file and the work log. ``said`` are the prompts and replies by session.
    """

    kills: int
    repeated: int
    lost: int
    differences: int
    announced: tuple[int, int]
    verdict: dict[str, object]
    said: dict[int, list[tuple[str, str]]]


def start(out: Path, delay: float, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(out), str(delay), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def killed(child: subprocess.Popen[str], seconds: float) -> bool:
    """Kill ``child`` with SIGKILL that long after it is ready; whether it still ran."""
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(seconds)
    hit = child.poll() is None
    child.kill()
    child.stdout.close()
    child.wait()
    return hit


def kill_and_resume(out: Path, kills: int, rng: np.random.Generator, delay: float) -> Killed:
    """Kill the run in ``out`` up to ``kills`` times with SIGKILL, then let it end."""
    hit = 0
    for _ in range(kills):
        longest = (40 if rng.random() < LATE else 15) * delay
        hit += killed(start(out, delay), float(rng.uniform(0.0, longest)))
    last = start(out, 0.0)
    printed, _ = last.communicate(timeout=300)
    assert last.returncode == 0, printed
    return replace(state_of(out), kills=hit)


def state_of(out: Path) -> Killed:
    """What a run that has ended left in ``out``."""
    lines = next(out.glob("runs/*/journal.jsonl")).read_bytes().splitlines()
    counts = Counter((body["session"], body["turn"]["index"]) for body in map(json.loads, lines))
    said: dict[int, list[tuple[str, str]]] = {}
    for path in sorted(out.glob("T-session-transcripts/*.json")):
        body = read(path)
        said[body["session"]] = [(turn["prompt"], turn["response"]) for turn in body["turns"]]
    stored = {
        (number, index) for number, turns in said.items() for index in range(1, len(turns) + 1)
    }
    status = (out / "LATEST_STATUS.md").read_text(encoding="utf-8").count("\n## ")
    worklog = len((out / "h_worklog.txt").read_text(encoding="utf-8").strip().splitlines())
    return Killed(
        kills=0,
        repeated=sum(n > 1 for n in counts.values()),
        lost=len(stored - set(counts)),
        differences=len(verify(open_run(out))),
        announced=(status, worklog),
        verdict=read(next(out.glob("runs/*/verdict.json"))),
        said=said,
    )


def read(path: Path) -> dict[str, Any]:
    body = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(body, dict)
    return body
