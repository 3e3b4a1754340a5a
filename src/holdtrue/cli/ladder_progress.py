"""What a ladder shows while it is climbed: a line a rung, and the bar of the rung's own test."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from holdtrue.cli.output import printable
from holdtrue.cli.progress import TestProgress
from holdtrue.ladder.climb import LadderObserver

if TYPE_CHECKING:
    from holdtrue.capacity import Observer
    from holdtrue.engines.preflight import Preflight
    from holdtrue.ladder.plan import Ladder, Rung
    from holdtrue.ladder.results import RungResult
    from holdtrue.runconfig import RunConfig


class RungProgress(TestProgress):
    """The progress of one rung's test, without the table of what the model is."""

    def preflight(self, facts: Preflight) -> None:
        self.started = time.monotonic()
        if not self.quiet and sys.stderr.isatty():
            self._start_bar()


class LadderProgress(LadderObserver):
    """Which rung is tested, and what came of it. Several at once are told by lines alone."""

    def __init__(self, ladder: Ladder, *, quiet: bool = False) -> None:
        self.ladder = ladder
        self.quiet = quiet
        self.tests: dict[str, RungProgress] = {}

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
        """Take the bars off the screen."""
        for test in self.tests.values():
            test.stop()
        self.tests.clear()

    def measured(self, rung: Rung, costs: Mapping[str, float | None]) -> None:
        seconds, memory = costs.get("seconds"), costs.get("memory")
        told = [f"{seconds:.1f} s a session at most"] if seconds is not None else []
        told += [f"{memory / 1e9:.2f} GB"] if memory is not None else []
        self._say(f"{rung.name}: {', '.join(told) or 'nothing could be measured'}")

    def started(self, rung: Rung) -> None:
        self._say(f"{rung.name} ({rung.model}, {rung.track})")

    def run_observer(self, rung: Rung, config: RunConfig) -> Observer | None:
        if self.tests:
            return None
        test = RungProgress(config, quiet=self.quiet)
        test.started = time.monotonic()  # on a cluster nobody tells when the model is loaded
        self.tests[rung.name] = test
        return self.tests[rung.name]

    def ended(self, result: RungResult) -> None:
        if (test := self.tests.pop(result.name, None)) is not None:
            test.stop()
        after = f" after {result.sessions} sessions" if result.sessions else ""
        why = f": {result.reason.splitlines()[0]}" if result.reason else ""
        self._say(f"{result.name}: {result.standing.value}{after}{why}")

    def _say(self, text: str) -> None:
        if not self.quiet:
            click.echo(printable(text), err=True)
