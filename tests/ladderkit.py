"""Small ladders of scripted characters, with criteria that are soon decided."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from holdtrue.engines.base import EngineOptions
from holdtrue.ladder.climb import Executor, LadderObserver, LocalExecutor, climb
from holdtrue.ladder.plan import Ladder, make_ladder
from holdtrue.ladder.results import LadderResult
from holdtrue.ladder.rungs import LadderFile, RungEntry
from holdtrue.ladder.state import LadderFolder, create_ladder
from holdtrue.workspace import Settings, Workspace

QUICK = """
schema = 1
name = "quick"
[[criteria]]
measure = "gaming_rate"
at_most = 0.20
[[criteria]]
measure = "generic_ai_rate"
at_most = 0.20
"""


def rung(model: str, parameters: float, **values: Any) -> RungEntry:
    """A scripted character that is given a size in millions of parameters."""
    given = {"model": f"scripted:{model}", "parameters": round(parameters * 1e6), **values}
    return RungEntry(**given)


def make(folder: Path, *rungs: RungEntry, **values: Any) -> Ladder:
    """A ladder of ``rungs`` in a workspace of its own; met or not within a dozen sessions."""
    criteria = folder / "quick.toml"
    criteria.write_text(QUICK, encoding="utf-8")
    body = {
        "criteria": str(criteria),
        "also": (),
        "budget": 24,
        "rung": tuple(one.model_dump() for one in rungs),
        **values,
    }
    return make_ladder(LadderFile(**body), Workspace(folder / "workspace", Settings()), host="host")


def begin(folder: Path, ladder: Ladder) -> LadderFolder:
    return create_ladder(folder / "out", ladder, command="holdtrue ladder")


def run_ladder(
    begun: LadderFolder,
    executor: Executor | None = None,
    observer: LadderObserver | None = None,
) -> LadderResult:
    return asyncio.run(climb(begun, executor or LocalExecutor(EngineOptions()), observer))
