"""A long run: does memory stay flat, and what does the journal add?

The journal's share is its own time over that of a run whose replies take DELAY seconds, which is
faster than any model on a processor.

Usage: python benchmarks/long_run.py [SESSIONS]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from holdtrue import capacity
from holdtrue.capacity import Observer, run_capacity
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.runs import Journal
from holdtrue.session import SessionPlan
from holdtrue.transcript import Transcript, Turn
from holdtrue.verdict import Verdict
from runkit import make_config, new_run

DELAY = 0.25


class Watch(Observer):
    """Resident memory after each session."""

    def __init__(self) -> None:
        self.bytes: list[int] = []

    def session(self, transcript: Transcript) -> None:
        self.bytes.append(psutil.Process().memory_info().rss)


class TimedJournal(Journal):
    """Adds up the seconds that writing takes."""

    seconds = 0.0

    def turn(self, plan: SessionPlan, turn: Turn) -> None:
        started = time.perf_counter()
        super().turn(plan, turn)
        TimedJournal.seconds += time.perf_counter() - started


def main(sessions: int) -> None:
    judging = [0.0]
    decide = capacity.judge_sessions

    def judge(*arguments: object) -> Verdict:
        started = time.perf_counter()
        try:
            return decide(*arguments)  # type: ignore[arg-type]
        finally:
            judging[0] += time.perf_counter() - started

    capacity.judge_sessions = judge  # type: ignore[assignment]
    capacity.Journal = TimedJournal  # type: ignore[misc]
    capacity.open_engine = lambda model, options: ScriptedEngine("mixed", options, delay=DELAY)
    capacity._is_over = lambda scored, verdict, config: len(scored) >= config.budget
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(budget=sessions)
        run = new_run(Path(folder), config)
        started = time.perf_counter()
        asyncio.run(run_capacity(config, run, EngineOptions(concurrency=16), watch))
        seconds = time.perf_counter() - started
    quarter = max(1, sessions // 4)
    first, last = max(watch.bytes[:quarter]), max(watch.bytes[-quarter:])
    print(
        f"{sessions} sessions in {seconds:.0f} s: memory {first / 2**20:.0f} MiB in the first "
        f"quarter, {last / 2**20:.0f} MiB in the last ({last / first:.3f} times); journal "
        f"{TimedJournal.seconds:.2f} s ({TimedJournal.seconds / seconds:.2%}); "
        f"looks {judging[0]:.1f} s"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
