"""What several tests need to run a capacity test on scripted engines without the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdtrue import capacity
from holdtrue.baseline import load_baseline
from holdtrue.capacity import Observer, RunRecord, run_capacity
from holdtrue.criteria import load_criteria
from holdtrue.engines.base import Engine, EngineOptions
from holdtrue.persona import load_persona
from holdtrue.protocol import load_protocol
from holdtrue.runconfig import RunConfig, SnapshotConfig
from holdtrue.runs import Run, create_run, open_run

EngineFactory = Callable[[str, EngineOptions], Engine]


def make_config(model: str = "scripted:mixed", **changes: Any) -> RunConfig:
    """A small test of a scripted character."""
    protocol = load_protocol("v2.0")
    values: dict[str, Any] = {
        "run_id": "run",
        "label": "T",
        "host": "h",
        "persona": load_persona("sage"),
        "protocol": protocol,
        "phase": "questioning",
        "model": model,
        "sampling": protocol.sampling,
        "budget": 8,
        "criteria": (load_criteria("minimum"), load_criteria("full")),
        "baseline": load_baseline("s35"),
        "snapshot": SnapshotConfig(session=35),
        **changes,
    }
    return RunConfig(**values)


def new_run(out: Path, config: RunConfig) -> Run:
    return create_run(out, config.model_dump(mode="json", by_alias=True))


def go_on(out: Path, config: RunConfig) -> Run:
    """The run in ``out``, made if it is not there yet."""
    return open_run(out) if (out / "runs" / config.run_id).is_dir() else new_run(out, config)


def run_test(
    out: Path,
    config: RunConfig,
    *,
    factory: EngineFactory | None = None,
    observer: Observer | None = None,
    monkeypatch: Any = None,
) -> RunRecord:
    """Run or resume the test in ``out``; ``factory`` stands in for the engines' registry."""
    if factory is not None:
        monkeypatch.setattr(capacity, "open_engine", factory)
    run = go_on(out, config)
    return asyncio.run(run_capacity(config, run, EngineOptions(), observer))
