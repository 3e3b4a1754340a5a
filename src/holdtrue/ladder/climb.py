"""The climb: tests rungs in the order of their cost until the smallest that holds is known.

Where a rung is tested is the executor's affair: ``LocalExecutor`` loads one model at a time in this
process; a cluster's executor may test several rungs at once. The result is the same: what ran ahead
of a search of one rung at a time does not count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from holdtrue.capacity import Observer, RunRecord, run_capacity
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.memory import PeakMeter, release
from holdtrue.engines.preflight import Plan, run_preflight
from holdtrue.engines.registry import open_engine
from holdtrue.errors import ConfigError, EngineError
from holdtrue.ladder.plan import Rung
from holdtrue.ladder.results import (
    LadderResult,
    RungResult,
    failed_result,
    ladder_result,
    result_of,
)
from holdtrue.ladder.search import Standing, order, waiting
from holdtrue.ladder.state import LadderFolder
from holdtrue.runconfig import RunConfig, read_config
from holdtrue.runs import Run


@dataclass(frozen=True, slots=True)
class RungRecord:
    """A rung's capacity test with the memory that it took, where that is known."""

    record: RunRecord
    peak_bytes: int | None = None
    accelerator_bytes: int | None = None


class LadderObserver:
    """Is told what happens on a ladder. This one keeps silent."""

    def measured(self, rung: Rung, costs: Mapping[str, float | None]) -> None:
        """A rung's seconds a session and memory were measured."""

    def started(self, rung: Rung) -> None:
        """A rung is about to be loaded."""

    def run_observer(self, rung: Rung, config: RunConfig) -> Observer | None:
        """Who is told what happens in the rung's capacity test."""
        return None

    def ended(self, result: RungResult) -> None:
        """A rung has its result, which is on disk."""


class Executor(Protocol):
    """Where rungs are tested. ``at_once`` is how many it tests at a time."""

    @property
    def at_once(self) -> int: ...

    async def test(
        self, rung: Rung, config: RunConfig, run: Run, observer: Observer | None
    ) -> RungRecord:
        """Test a rung to its verdict. Raises EngineError when it cannot be loaded."""
        ...

    async def measure(self, rung: Rung, config: RunConfig, log: Path) -> dict[str, float | None]:
        """Seconds a session takes at most, and bytes of memory. Raises EngineError."""
        ...


class LocalExecutor:
    """One rung at a time in this process; its model is freed before the next is loaded."""

    at_once = 1

    def __init__(self, options: EngineOptions) -> None:
        self.options = options

    async def test(
        self, rung: Rung, config: RunConfig, run: Run, observer: Observer | None
    ) -> RungRecord:
        options = options_for(self.options, config, run.log_path)
        try:
            with run.locked(), PeakMeter() as peak:
                record = await run_capacity(config, run, options, observer)
        finally:
            release()
        return RungRecord(record, peak.resident, peak.accelerator)

    async def measure(self, rung: Rung, config: RunConfig, log: Path) -> dict[str, float | None]:
        return await measure_rung(config, options_for(self.options, config, log))


def options_for(options: EngineOptions, config: RunConfig, log: Path) -> EngineOptions:
    """How a rung's engine is opened: as the user said, with the rung's own adapter and bits."""
    adapter = Path(config.adapter) if config.adapter else None
    return replace(options, adapter=adapter, bits=config.bits, log_path=log)


async def measure_rung(config: RunConfig, options: EngineOptions) -> dict[str, float | None]:
    """Load a rung, let it speak, and tell its seconds a session and its memory; None is unknown."""
    phase = config.protocol.phase_named(config.phase)
    plan = Plan(sessions=1, turns=len(phase.flow), tokens=config.sampling.max_tokens)
    async with open_engine(config.model, options) as engine:
        facts = await run_preflight(engine, plan)
    minutes, memory = facts.expected_minutes, facts.accelerator_peak
    if memory is None and facts.memory_before is not None:
        memory = facts.memory_peak - facts.memory_before
    return {"seconds": None if minutes is None else 60 * minutes, "memory": memory}


async def climb(
    folder: LadderFolder, executor: Executor, observer: LadderObserver | None = None
) -> LadderResult:
    """Test what is still to be tested and tell what was found.

    A rung that cannot be loaded is recorded and the search goes on; one that could not be in an
    earlier try is tried again. Raises ConfigError when costs
    are to be measured and a rung does not tell them, WorkspaceError when a file cannot be written.
    """
    watcher = observer or LadderObserver()
    ladder = folder.ladder
    stored = folder.results()
    results = {n: one for n, one in stored.items() if one.standing is not Standing.FAILED}
    for rung in ladder.rungs:
        if rung.unusable:
            _keep(folder, results, failed_result(rung, rung.unusable), watcher)
    measured = await _measured(folder, executor, results, watcher)
    places = ladder.places(measured)
    running: dict[int, asyncio.Task[RungResult]] = {}
    try:
        while True:
            standings = [
                results[rung.name].standing if rung.name in results else Standing.UNTESTED
                for rung in ladder.rungs
            ]
            wanted = waiting(places, standings, exhaustive=ladder.exhaustive)
            await _cancel({i: running.pop(i) for i in list(running) if i not in wanted})
            for index in wanted:
                if index not in running and len(running) < executor.at_once:
                    rung = ladder.rungs[index]
                    running[index] = asyncio.create_task(_test(folder, rung, executor, watcher))
            if not running:
                break
            done, _ = await asyncio.wait(running.values(), return_when=asyncio.FIRST_COMPLETED)
            for index in [i for i in order(places) if i in running and running[i] in done]:
                _keep(folder, results, running.pop(index).result(), watcher)
    finally:
        await _cancel(running)
    return ladder_result(ladder, results, measured)


async def _cancel(tasks: Mapping[int, asyncio.Task[RungResult]]) -> None:
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


def _keep(
    folder: LadderFolder,
    results: dict[str, RungResult],
    result: RungResult,
    watcher: LadderObserver,
) -> None:
    folder.store(result)
    results[result.name] = result
    watcher.ended(result)


async def _test(
    folder: LadderFolder, rung: Rung, executor: Executor, watcher: LadderObserver
) -> RungResult:
    """A rung's result; what keeps it from being loaded is a result too."""
    watcher.started(rung)
    run = folder.run_of(rung.name)
    config = read_config(run)
    try:
        tested = await executor.test(rung, config, run, watcher.run_observer(rung, config))
    except EngineError as error:
        return failed_result(rung, str(error))
    except ConfigError as error:
        if any(run.transcripts_folder.glob("*.json")):
            raise  # the model has spoken, so this is not about loading it
        return failed_result(rung, str(error))
    return result_of(
        folder.ladder,
        rung,
        tested.record,
        peak_bytes=tested.peak_bytes,
        accelerator_bytes=tested.accelerator_bytes,
    )


async def _measured(
    folder: LadderFolder,
    executor: Executor,
    results: dict[str, RungResult],
    watcher: LadderObserver,
) -> dict[str, float]:
    """Measured costs by rung name in the ladder's unit; empty where it does not ask for them."""
    ladder = folder.ladder
    kind = ladder.cost
    if kind not in ("seconds", "memory"):
        return {}
    costs = folder.costs()
    for rung in ladder.rungs:
        if rung.name in costs or rung.name in results:
            continue
        config = ladder.run_config(rung)
        try:
            costs[rung.name] = await executor.measure(rung, config, folder.path / "measure.log")
        except EngineError as error:
            _keep(folder, results, failed_result(rung, str(error)), watcher)
            continue
        finally:
            release()
        folder.store_costs(costs)
        watcher.measured(rung, costs[rung.name])
    found = {name: value for name, one in costs.items() if (value := one.get(kind)) is not None}
    unknown = [r.name for r in ladder.rungs if r.name not in found and r.name not in results]
    if unknown:
        raise ConfigError(
            f"{', '.join(unknown)} did not tell {kind}, so the rungs have no order",
            remedy="Use --cost weights or --cost listed.",
        )
    return found


def load_result(folder: LadderFolder) -> LadderResult:
    """What is known of a ladder from its folder. Tests nothing."""
    costs = folder.costs()
    kind = folder.ladder.cost
    measured = {name: value for name, one in costs.items() if (value := one.get(kind)) is not None}
    return ladder_result(folder.ladder, folder.results(), measured)
