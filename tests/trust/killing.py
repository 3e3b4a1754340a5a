"""Kill a run at random moments and resume it until it ends; says what was found."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CHILD = Path(__file__).with_name("kill_child.py")


@dataclass(frozen=True)
class Killed:
    """``kills`` that hit, turns journalled twice or missing, and the final verdict."""

    kills: int
    repeated: int
    missing: int
    verdict: dict[str, object]


def start(out: Path, delay: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(out), str(delay)], stdout=subprocess.PIPE, text=True
    )


def kill_and_resume(out: Path, kills: int, rng: np.random.Generator, delay: float) -> Killed:
    """Kill the run in ``out`` up to ``kills`` times with SIGKILL, then let it end."""
    hit = 0
    for _ in range(kills):
        child = start(out, delay)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(float(rng.uniform(0.0, 12 * delay)))
        if child.poll() is None:
            child.kill()
            hit += 1
        child.stdout.close()
        child.wait()
    last = start(out, 0.0)
    printed, _ = last.communicate(timeout=120)
    assert last.returncode == 0, printed
    return Killed(hit, *journalled_turns(out), verdict_of(out))


def journalled_turns(out: Path) -> tuple[int, int]:
    """Turns that stand in the journal more than once, and turns that stand nowhere."""
    lines = next(out.glob("runs/*/journal.jsonl")).read_bytes().splitlines()
    bodies = [json.loads(line) for line in lines]
    counts = Counter((body["session"], body["turn"]["index"]) for body in bodies)
    stored = {
        (body["session"], turn["index"])
        for path in out.glob("T-session-transcripts/*.json")
        for body in [json.loads(path.read_text())]
        for turn in body["turns"]
    }
    return sum(n > 1 for n in counts.values()), len(stored - set(counts))


def verdict_of(out: Path) -> dict[str, object]:
    verdict = json.loads(next(out.glob("runs/*/verdict.json")).read_text())
    assert isinstance(verdict, dict)
    return verdict
