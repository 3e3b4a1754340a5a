"""A Ray cluster as executor: batches of sessions as tasks with their GPU and memory needs.

The search, the scores and every decision stay in this process; nodes only speak. Sessions are drawn
from the same seeds and judged in the same order as in a local run, so the verdicts are the same
where the engine replays. A batch whose node is lost goes to another node, without the sessions
that have come already. Every node needs holdtrue of this version, and the model's files under the
same path.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdtrue import __version__
from holdtrue.capacity import PREFLIGHT, Observer, run_capacity
from holdtrue.engines.base import EngineOptions
from holdtrue.errors import EngineError
from holdtrue.executors import worker
from holdtrue.ladder.climb import RungRecord, options_for
from holdtrue.ladder.plan import Rung
from holdtrue.runconfig import RunConfig
from holdtrue.runs import Run
from holdtrue.transcript import Transcript, from_json

TRIES = 4
HEADROOM = 600_000_000
NOWHERE = Path("ray")


@dataclass(slots=True)
class Memory:
    """The most memory that a node has reported for a rung, in bytes; None where it is unknown."""

    resident: int | None = None
    accelerator: int | None = None

    def add(self, resident: int | None, accelerator: int | None) -> None:
        self.resident = max((v for v in (self.resident, resident) if v is not None), default=None)
        both = (self.accelerator, accelerator)
        self.accelerator = max((v for v in both if v is not None), default=None)


@dataclass(slots=True)
class Batch:
    """Sessions that are held together on ``node``. ``missing`` have not come yet."""

    missing: list[int]
    tries: int = 0
    node: str = ""


class RayExecutor:
    """Tests rungs on a Ray cluster.

    ``address`` is the cluster's (None: RAY_ADDRESS, or one started on this machine); a Ray that is
    already connected is used as it is. ``batches`` are in flight for each rung at most; what runs
    ahead of a decision is dropped. ``busy`` are the nodes that hold sessions now, ``lost`` those
    that were lost while they did. Raises EngineError when Ray is missing or cannot be reached.
    """

    def __init__(
        self,
        options: EngineOptions,
        *,
        address: str | None = None,
        at_once: int = 1,
        batches: int = 2,
    ) -> None:
        self.options = options
        self.at_once = at_once
        self.batches = max(1, batches)
        self.lost: list[str] = []
        self.busy: list[str] = []
        self._ray = _connected(address)
        self._started = bool(getattr(self._ray, "_holdtrue_started", False))
        remote = self._ray.remote
        self._hold = remote(num_returns="streaming", max_retries=0)(_hold)
        self._measure = remote(max_retries=TRIES - 1)(worker.measure)

    def close(self) -> None:
        """Leave the cluster, if this executor joined it."""
        if self._started:
            self._ray.shutdown()
            self._started = False

    async def test(
        self, rung: Rung, config: RunConfig, run: Run, observer: Observer | None
    ) -> RungRecord:
        """Test a rung with its batches on the cluster. Raises EngineError as a local test would."""
        self._check_fits(rung)
        memory = Memory()

        def source(
            config: RunConfig, run: Run, done: int, watcher: Observer
        ) -> AsyncGenerator[Transcript, None]:
            return self._transcripts(rung, config, run, done, memory)

        options = options_for(self.options, config, run.log_path)
        with run.locked():
            record = await run_capacity(config, run, options, observer, source=source)
        return RungRecord(record, memory.resident, memory.accelerator)

    async def measure(self, rung: Rung, config: RunConfig, log: Path) -> dict[str, float | None]:
        """Seconds a session and memory on a node. Raises EngineError."""
        self._check_fits(rung)
        task = self._measure.options(**_needs(rung))
        try:
            body = await task.remote(config, self._remote_options(config))
        except self._ray.exceptions.RayError as error:
            raise _lost(rung, error) from None
        if "error" in body:
            raise EngineError(body["error"])
        return {"seconds": body["seconds"], "memory": body["memory"]}

    async def _transcripts(
        self, rung: Rung, config: RunConfig, run: Run, done: int, memory: Memory
    ) -> AsyncGenerator[Transcript, None]:
        """The missing sessions in order, with some batches in flight."""
        waiting = [Batch(list(numbers)) for numbers in config.batches(done)]
        arrived: dict[int, Transcript] = {}
        running: set[asyncio.Task[None]] = set()
        news = asyncio.Event()

        def start() -> None:
            while waiting and len(running) < self.batches:
                batch = waiting.pop(0)
                running.add(
                    asyncio.create_task(self._one(rung, config, run, batch, arrived, memory, news))
                )

        try:
            for number in config.numbers[done:]:
                while number not in arrived:
                    start()
                    news.clear()
                    told = asyncio.create_task(news.wait())
                    await asyncio.wait({told, *running}, return_when=asyncio.FIRST_COMPLETED)
                    told.cancel()
                    for task in [task for task in running if task.done()]:
                        running.discard(task)
                        task.result()
                yield arrived.pop(number)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _one(
        self,
        rung: Rung,
        config: RunConfig,
        run: Run,
        batch: Batch,
        arrived: dict[int, Transcript],
        memory: Memory,
        news: asyncio.Event,
    ) -> None:
        """Hold one batch, on another node when one is lost. Raises EngineError."""
        while batch.missing:
            batch.tries += 1
            batch.node = ""
            hold = self._hold.options(**_needs(rung))
            stream = hold.remote(config, list(batch.missing), self._remote_options(config))
            try:
                async for reference in stream:
                    item = await reference
                    self._take(item, rung, run, batch, arrived, memory)
                    news.set()
            except asyncio.CancelledError:
                with suppress(Exception):
                    self._ray.cancel(stream, force=False)
                raise
            except self._ray.exceptions.RayError as error:
                self.lost.append(batch.node or "unknown")
                if batch.tries >= TRIES:
                    raise _lost(rung, error) from None
            finally:
                if batch.node in self.busy:
                    self.busy.remove(batch.node)

    def _take(
        self,
        item: dict[str, Any],
        rung: Rung,
        run: Run,
        batch: Batch,
        arrived: dict[int, Transcript],
        memory: Memory,
    ) -> None:
        """Use one item of a worker's stream."""
        if "error" in item:
            raise EngineError(item["error"])
        if "node" in item:
            if item["version"] != __version__:
                raise EngineError(
                    f"a node has holdtrue {item['version']}, this machine {__version__}",
                    remedy="Install the same version on every node.",
                )
            batch.node = item["node"]
            self.busy.append(batch.node)
        elif "transcript" in item:
            transcript = from_json(item["transcript"], source=f"{rung.name} on the cluster")
            number = transcript.session or 0
            if number in batch.missing:
                batch.missing.remove(number)
                arrived[number] = transcript
            memory.add(*item["peak"])
        elif "preflight" in item:
            run.write_json(PREFLIGHT, item["preflight"])

    def _remote_options(self, config: RunConfig) -> EngineOptions:
        """Engine options for a node: its log stays there."""
        return replace(options_for(self.options, config, NOWHERE), log_path=None)

    def _check_fits(self, rung: Rung) -> None:
        """Raises EngineError when no node could ever take the rung's tasks."""
        needs = _needs(rung)
        wanted = {"CPU": needs["num_cpus"], "GPU": needs["num_gpus"], "memory": needs.get("memory")}
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if any(all(node.get(k, 0) >= (v or 0) for k, v in wanted.items()) for node in nodes):
            return
        told = f"{needs['num_cpus']:g} processors, {needs['num_gpus']:g} accelerators"
        if memory := needs.get("memory"):
            told += f" and {memory / 1e9:.1f} GB"
        raise EngineError(
            f"no node of the cluster has the {told} that {rung.name} needs",
            remedy="Change needs in the ladder file, or add a node.",
        )


def _hold(config: RunConfig, numbers: Sequence[int], options: EngineOptions) -> Any:
    """The task: which node it is, then what the worker gives."""
    import ray

    yield {"node": ray.get_runtime_context().get_node_id(), "version": worker.version()}
    yield from worker.hold(config, numbers, options)


def _connected(address: str | None) -> Any:
    """Ray, connected to a cluster. Raises EngineError."""
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise EngineError(
            "the Ray executor needs Ray", remedy="pip install 'holdtrue[ray]'"
        ) from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    ray._holdtrue_started = False
    if ray.is_initialized():
        return ray
    try:
        ray.init(
            address=address, include_dashboard=False, log_to_driver=False, configure_logging=False
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EngineError(
            f"the Ray cluster cannot be reached: {error}",
            where=address,
            remedy="Check --address, and that Ray runs there.",
        ) from None
    ray._holdtrue_started = True
    return ray


def _needs(rung: Rung) -> dict[str, Any]:
    """Resources of a task in Ray's words; memory from the weights where none was given."""
    needs = rung.needs
    found: dict[str, Any] = {"num_cpus": needs.cpus, "num_gpus": needs.gpus}
    if needs.memory_gb is not None:
        found["memory"] = int(needs.memory_gb * 1e9)
    elif rung.size.source == "file" and not needs.gpus and rung.size.parameters:
        weights = rung.size.parameters * (rung.size.bits or 16) / 8
        found["memory"] = int(weights * 1.2) + HEADROOM
    return found


def _lost(rung: Rung, error: Exception) -> EngineError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return EngineError(
        f"{rung.name} lost its node {TRIES} times: {first[:200]}",
        remedy="See the cluster's logs; a task that is killed for memory needs more memory_gb.",
    )
