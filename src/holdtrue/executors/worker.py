"""Holding sessions on a cluster's node: what runs there, knowing nothing of the cluster.

A worker keeps its last model loaded, since the next batch is mostly of the same rung, and frees it
before it loads another. Scores and verdicts are made where the ladder is, from the transcripts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from holdtrue import __version__
from holdtrue.engines.base import Engine, EngineOptions
from holdtrue.engines.memory import PeakMeter, release
from holdtrue.engines.preflight import Plan, run_preflight
from holdtrue.engines.registry import open_engine
from holdtrue.errors import HoldtrueError
from holdtrue.ladder.climb import measure_rung
from holdtrue.runconfig import RunConfig
from holdtrue.runner import run_sessions
from holdtrue.transcript import to_json


@dataclass(slots=True)
class _Kept:
    """The event loop of this process, and the model that is loaded, known by ``key``."""

    loop: asyncio.AbstractEventLoop
    engine: Engine | None = None
    key: tuple[str, EngineOptions] | None = None


_kept: _Kept | None = None


def hold(
    config: RunConfig, numbers: Sequence[int], options: EngineOptions
) -> Iterator[dict[str, Any]]:
    """Hold the sessions ``numbers`` and give their transcripts one by one, in that order.

    Each item is a dict: first with ``preflight``, if the model was loaded for this call; then with
    ``transcript`` (JSON text) and ``peak`` (bytes of main memory and of accelerators since the one
    before); or with ``error``, which ends it: the model cannot be loaded here.
    """
    kept = _state()
    try:
        loaded = kept.loop.run_until_complete(_load(kept, config, options))
    except HoldtrueError as error:
        yield {"error": str(error)}
        return
    if loaded is not None:
        yield {"preflight": loaded}
    assert kept.engine is not None
    plans = [config.plan(number) for number in numbers]
    stream = run_sessions(plans, kept.engine)
    try:
        while True:
            with PeakMeter() as peak:
                transcript = kept.loop.run_until_complete(anext(stream, None))
            if transcript is None:
                break
            memory = [peak.resident, peak.accelerator]
            yield {"transcript": to_json(transcript), "peak": memory}
    finally:
        with suppress(RuntimeError):  # the loop may have been interrupted in the middle of it
            kept.loop.run_until_complete(stream.aclose())


def measure(config: RunConfig, options: EngineOptions) -> dict[str, Any]:
    """Seconds a session and bytes of memory, or the ``error`` that keeps the model from loading."""
    kept = _state()
    try:
        kept.loop.run_until_complete(_free(kept))
        return kept.loop.run_until_complete(measure_rung(config, options))
    except HoldtrueError as error:
        return {"error": str(error)}


def version() -> str:
    """The version that holds sessions here; another one may plan them otherwise."""
    return __version__


def free() -> None:
    """Free the model that is still loaded."""
    if _kept is not None:
        _kept.loop.run_until_complete(_free(_kept))


def _state() -> _Kept:
    global _kept
    if _kept is None or _kept.loop.is_closed():
        _kept = _Kept(asyncio.new_event_loop())
    return _kept


async def _load(kept: _Kept, config: RunConfig, options: EngineOptions) -> dict[str, Any] | None:
    """Load the model unless it is there; what preflight says of it when it was loaded."""
    key = (config.model, options)
    if kept.engine is not None and kept.key == key:
        return None
    await _free(kept)
    engine = open_engine(config.model, options)
    await engine.__aenter__()
    kept.engine, kept.key = engine, key
    phase = config.protocol.phase_named(config.phase)
    plan = Plan(sessions=config.budget, turns=len(phase.flow), tokens=config.sampling.max_tokens)
    facts = await run_preflight(engine, plan)
    return facts.as_dict()


async def _free(kept: _Kept) -> None:
    engine, kept.engine, kept.key = kept.engine, None, None
    if engine is not None:
        await engine.__aexit__(None, None, None)
        release()
