"""A scripted run whose replies take a moment, to be killed in the middle. Not a test itself."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from holdtrue import capacity
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.scripted import ScriptedEngine
from runkit import go_on, make_config


def main(out: Path, delay: float) -> None:
    config = make_config("scripted:mixed", budget=8)
    capacity.open_engine = lambda model, options: ScriptedEngine(  # type: ignore[attr-defined]
        model, options, delay=delay
    )
    run = go_on(out, config)
    print("ready", flush=True)
    record = asyncio.run(capacity.run_capacity(config, run, EngineOptions()))
    print("done", record.verdict.outcome, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
