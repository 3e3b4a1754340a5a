"""Speed of the engines against their bounds, in one run: same machine, model and sessions.

    python benchmarks/engines.py [--part embedded] [--part neighbours] [--part plain]
                                 [--part transformers]

All settings of a part stay loaded and take turns, forwards and backwards, so that a change of the
machine's load hits all alike; ratios are taken within a round and their median is printed. The
sessions are protocol v2.0 with replies of at most --tokens tokens. "evaluated" is the prompt tokens
that the model really read, over those of each session's last prompt and reply. ``--layouts`` adds
other layouts of the embedded engine, for information. Exits with 1 where a bound is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter

from engine_drivers import (
    MODEL,
    Bare,
    Driver,
    Ours,
    PlainLoop,
    Result,
    chatter,
    embedded,
    neighbour,
    sessions,
    spin,
    transformers_engine,
)
from holdtrue.engines import memory
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.fetch import fetch
from holdtrue.engines.gguf_header import read_header
from holdtrue.engines.llamacpp_layout import CONTEXT, LANES, Layout, plan_layout, usable_cores
from holdtrue.protocol import Sampling

BARE = "xllamacpp, bare, 1 server x 8 slots"
BARE_ALIKE = "xllamacpp, bare, laid out like the embedded engine"
EMBEDDED = "embedded engine"
BATCHED = "embedded engine, 1 server x 8 slots (no replay)"
BUSY = "embedded engine beside a busy loop"
LLAMA = "embedded engine beside a second llama.cpp"
PLAIN = "plain loop of transformers.generate"
ALONE = "transformers engine, 1 in flight"
EIGHT = "transformers engine, 8 in flight"

Table = dict[str, list[Result]]


@dataclass(frozen=True)
class Bound:
    """A figure that the engines are to reach: ``measured`` gives None where a part was left out."""

    what: str
    limit: float
    at_most: bool
    measured: Callable[[Table], float | None]

    def line(self, table: Table) -> tuple[str, bool]:
        figure = self.measured(table)
        if figure is None:
            return f"{self.what}: not measured", True
        held = figure <= self.limit if self.at_most else figure >= self.limit
        sign = "≤" if self.at_most else "≥"
        return f"{self.what}: {figure:.2f} [{sign} {self.limit}]{'' if held else ' MISSED'}", held


def median_ratio(
    above: str, below: str, figure: Callable[[Result], float]
) -> Callable[[Table], float | None]:
    """The median over rounds of one setting's figure over another's."""

    def measured(table: Table) -> float | None:
        if above not in table or below not in table:
            return None
        pairs = zip(table[above], table[below], strict=True)
        return statistics.median(figure(one) / figure(other) for one, other in pairs)

    return measured


def evaluated(table: Table) -> float | None:
    if EMBEDDED not in table:
        return None
    return statistics.median((run.evaluated or 0) / run.distinct for run in table[EMBEDDED])


sessions_a_minute = attrgetter("sessions_a_minute")
tokens_a_second = attrgetter("tokens_a_second")

BOUNDS = (
    Bound(
        "embedded over bare, tokens/s", 0.97, False, median_ratio(EMBEDDED, BARE, tokens_a_second)
    ),
    Bound(
        "embedded over bare with the same layout, tokens/s",
        0.97,
        False,
        median_ratio(EMBEDDED, BARE_ALIKE, tokens_a_second),
    ),
    Bound("prompt tokens evaluated over distinct", 1.15, True, evaluated),
    Bound(
        "embedded over the plain loop, sessions/min",
        4.0,
        False,
        median_ratio(EMBEDDED, PLAIN, sessions_a_minute),
    ),
    Bound(
        "transformers, 8 in flight over 1, sessions/min",
        2.5,
        False,
        median_ratio(EIGHT, ALONE, sessions_a_minute),
    ),
    Bound(
        "alone over beside a busy loop, sessions/min",
        2.2,
        True,
        median_ratio(EMBEDDED, BUSY, sessions_a_minute),
    ),
    Bound(
        "alone over beside a second llama.cpp, sessions/min",
        4.0,
        True,
        median_ratio(EMBEDDED, LLAMA, sessions_a_minute),
    ),
)


def one_server(slots: int = LANES) -> Layout:
    return Layout(1, slots, usable_cores(), CONTEXT, replayable=slots == 1)


def like_ours() -> Layout:
    """The layout that the embedded engine plans on this machine."""
    header = read_header(fetch(MODEL))
    return plan_layout(EngineOptions(), header, cores=usable_cores(), available=memory.available())


def layouts() -> dict[str, Callable[[], Driver]]:
    cores = usable_cores()
    each = max(1, LANES // cores)
    return {
        BATCHED: lambda: Ours(embedded(one_server())),
        "1 server x 1 slot": lambda: Ours(embedded(one_server(1))),
        "1 server x 4 slots": lambda: Ours(embedded(one_server(4))),
        f"{cores} servers x {each} slots x 1 thread": lambda: Ours(
            embedded(Layout(cores, each, 1, CONTEXT, replayable=False))
        ),
    }


def drivers_of(part: str, chosen: argparse.Namespace) -> dict[str, Driver]:
    """Loads what a part compares."""
    if part == "neighbours":
        ours = Ours(embedded())
        return {EMBEDDED: ours, BUSY: ours, LLAMA: ours}
    name = chosen.model or f"hf:{fetch(MODEL)}"
    if part == "plain":
        return {EMBEDDED: Ours(embedded()), PLAIN: PlainLoop(name)}
    if part == "transformers":
        opened = transformers_engine(name, 8)
        return {EIGHT: Ours(opened, 8), ALONE: Ours(opened, 1)}
    known: dict[str, Callable[[], Driver]] = {
        BARE: lambda: Bare(one_server()),
        BARE_ALIKE: lambda: Bare(like_ours()),
        EMBEDDED: lambda: Ours(embedded()),
        **(layouts() if chosen.layouts else {}),
    }
    return {name: make() for name, make in known.items()}


@contextmanager
def surroundings(name: str) -> Iterator[None]:
    """What is to run beside a setting."""
    target = {BUSY: spin, LLAMA: chatter}.get(name)
    with neighbour(target, settle=8.0 if name == LLAMA else 0.5):
        yield


def run_part(part: str, chosen: argparse.Namespace) -> Table:
    drivers = drivers_of(part, chosen)
    table: Table = {name: [] for name in drivers}
    sampling = Sampling(max_tokens=chosen.tokens)
    for driver in {id(driver): driver for driver in drivers.values()}.values():
        driver.block(sessions(1), sampling, 90_000)  # first passes pay for pages and caches
    for number in range(chosen.rounds):
        order = list(drivers.items())
        for name, driver in order if number % 2 == 0 else reversed(order):
            with surroundings(name):
                run = driver.block(sessions(chosen.sessions), sampling, 1_000 * number)
            table[name].append(run)
            print(f"  {part} {number + 1}: {name}: {run.seconds:.1f} s", file=sys.stderr)
    closed: set[int] = set()
    for driver in drivers.values():
        whose = id(getattr(driver, "opened", driver))
        if whose not in closed:
            driver.close()
        closed.add(whose)
    return table


def show(part: str, table: Table) -> None:
    print(f"\n{part}\n")
    print("| setting | tokens/s | sessions/min | CPU ms a token | evaluated |")
    print("|---|---|---|---|---|")
    for name, runs in table.items():
        figures = (
            f"{statistics.median(run.tokens_a_second for run in runs):.1f}",
            f"{statistics.median(run.sessions_a_minute for run in runs):.2f}",
            f"{1000 * statistics.median(run.cpu_a_token for run in runs):.1f}",
            f"{statistics.median((run.evaluated or 0) / run.distinct for run in runs):.2f}",
        )
        print(f"| {name} | " + " | ".join(figures) + " |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("embedded", "neighbours", "plain", "transformers")
    parser.add_argument("--part", choices=parts, action="append", help="default: all")
    parser.add_argument("--sessions", type=int, default=24, help="sessions of a block")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=48, help="of a reply, at most")
    parser.add_argument("--model", help="hf:… for the last two parts [the embedded one]")
    parser.add_argument("--layouts", action="store_true", help="other layouts too")
    chosen = parser.parse_args()
    fetch(MODEL)
    held = True
    for part in chosen.part or parts:
        table = run_part(part, chosen)
        show(part, table)
        print()
        for bound in BOUNDS:
            line, kept = bound.line(table)
            if not line.endswith("not measured"):
                print(f"- {line}")
            held = held and kept
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
