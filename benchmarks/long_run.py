"""A long run: does memory stay flat, what does keeping everything on disk add, what do looks cost?

The criteria are not allowed to end the run. Without MODEL the replies are scripted and take DELAY
seconds each (0 by default, which is no model at all: the journal's share is then at its largest).

Usage: python benchmarks/long_run.py [SESSIONS] [DELAY | MODEL]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from holdtrue import capacity
from holdtrue.capacity import Observer, run_capacity
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.runs import Journal, Run
from holdtrue.transcript import Transcript
from runkit import make_config, new_run

IN_FLIGHT = 16


class Watch(Observer):
    """Resident memory after each session, and when the first and last session were done."""

    def __init__(self) -> None:
        self.bytes: list[int] = []

    def preflight(self, facts: object) -> None:
        self.started = time.perf_counter()

    def session(self, transcript: Transcript) -> None:
        self.bytes.append(psutil.Process().memory_info().rss)
        self.ended = time.perf_counter()

    @property
    def seconds(self) -> float:
        """From the loaded model to the last session."""
        return self.ended - self.started


def timed(owner: Any, name: str, spent: Counter[str]) -> None:
    """Let ``owner.name`` add the seconds it takes to ``spent``."""
    inner: Callable[..., Any] = getattr(owner, name)

    def outer(*arguments: Any, **more: Any) -> Any:
        started = time.perf_counter()
        try:
            return inner(*arguments, **more)
        finally:
            spent[name] += time.perf_counter() - started  # type: ignore[assignment]
            spent[f"{name} calls"] += 1

    setattr(owner, name, outer)


def main(sessions: int, source: str) -> None:
    spent: Counter[str] = Counter()
    timed(Journal, "turn", spent)
    timed(Run, "store", spent)
    timed(Run, "write_json", spent)
    timed(capacity, "_glance", spent)
    timed(capacity, "judge_sessions", spent)
    capacity._is_over = lambda scored, decided, config: len(scored) >= config.budget
    model = "scripted:mixed" if source.replace(".", "").isdigit() else source
    if model != source:
        capacity.open_engine = lambda model, options: ScriptedEngine(  # type: ignore[attr-defined]
            model, options, delay=float(source)
        )
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(model, budget=sessions)
        run = new_run(Path(folder), config)
        asyncio.run(run_capacity(config, run, EngineOptions(concurrency=IN_FLIGHT), watch))
    quarter = max(1, sessions // 4)
    first, last = max(watch.bytes[:quarter]), max(watch.bytes[-quarter:])
    turns, kept = spent["turn calls"], spent["turn"] + spent["store"] + spent["write_json"]
    print(
        f"{model}, {IN_FLIGHT} in flight: {sessions} sessions, {turns} turns in "
        f"{watch.seconds:.1f} s\n"
        f"memory: {first / 2**20:.0f} MiB at most in the first quarter, {last / 2**20:.0f} MiB in "
        f"the last: {last / first:.3f} times\n"
        f"journal: {spent['turn']:.2f} s, {1000 * spent['turn'] / max(1, turns):.2f} ms a turn, "
        f"{spent['turn'] / watch.seconds:.2%} of the run; with transcripts and resources "
        f"{kept:.2f} s, {kept / watch.seconds:.2%}\n"
        f"looks: {spent['_glance calls']} in {spent['_glance']:.2f} s, "
        f"{spent['_glance'] / watch.seconds:.2%}; verdicts: {spent['judge_sessions calls']} in "
        f"{spent['judge_sessions']:.2f} s"
    )


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(int(arguments[0]) if arguments else 500, arguments[1] if len(arguments) > 1 else "0")
