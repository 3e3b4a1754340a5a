"""What a test shows while it runs: the preflight table, then a progress bar or plain lines."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from holdtrue.capacity import Observer
from holdtrue.cli.output import console, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from holdtrue.engines.preflight import Preflight
    from holdtrue.runconfig import RunConfig
    from holdtrue.session import SessionPlan
    from holdtrue.transcript import Transcript, Turn
    from holdtrue.verdict.glance import Glance


class TestProgress(Observer):
    """Sessions, tokens per second and what is decided so far.

    On a terminal a bar; elsewhere one line a look, so that logs stay readable.
    """

    __test__ = False

    def __init__(self, config: RunConfig, *, quiet: bool = False) -> None:
        self.config = config
        self.quiet = quiet
        self.tokens = 0
        self.turns = 0
        self.sessions = 0
        self.started: float | None = None
        self.decided = "no look yet"
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bar off the screen."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def preflight(self, facts: Preflight) -> None:
        if not self.quiet:
            from holdtrue.cli.check import print_preflight

            print_preflight(facts)
        self.started = time.monotonic()
        if not self.quiet and sys.stderr.isatty():
            self._start_bar()

    def turn(self, plan: SessionPlan, turn: Turn) -> None:
        self.turns += 1
        self.tokens += turn.completion_tokens or 0
        self._refresh(advance=1)

    def session(self, transcript: Transcript) -> None:
        self.sessions += 1
        if transcript.error and not self.quiet:
            cause = printable(transcript.error)
            click.echo(f"session {transcript.session:03d} failed: {cause}", err=True)
        self._refresh()

    def look(self, glance: Glance) -> None:
        self.decided = printable(", ".join(f"{one.name} {one.decision}" for one in glance.sets))
        if self.bar is None and not self.quiet:
            said = f"{glance.sessions} sessions, {self._speed()}: {self.decided}"
            click.echo(said, err=True)
        self._refresh()

    def _speed(self) -> str:
        if self.started is None or not self.tokens:
            return "– tokens/s"
        return f"{self.tokens / max(time.monotonic() - self.started, 1e-9):.0f} tokens/s"

    def _start_bar(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        phase = self.config.protocol.phase_named(self.config.phase)
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[speed]}  {task.fields[decided]}", markup=False),
            console=console(stderr=True),
            transient=True,
        )
        self.bar.start()
        self.task = self.bar.add_task(
            "starting", total=self.config.budget * len(phase.flow), speed="", decided=""
        )

    def _refresh(self, advance: int = 0) -> None:
        if self.bar is None or self.task is None:
            return
        self.bar.update(
            self.task,
            advance=advance,
            description=f"{self.sessions} of at most {self.config.budget} sessions",
            speed=self._speed(),
            decided=self.decided,
        )
