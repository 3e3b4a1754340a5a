"""The command line on a scripted model whose replies take a moment, to be killed in the middle.

Begins the test in OUT or goes on with it, as a user would; with a third argument it holds one
production session in the workspace OUT instead. Not a test itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

from holdtrue import capacity
from holdtrue.cli.main import main
from holdtrue.engines import registry
from holdtrue.engines.base import Engine, EngineOptions
from holdtrue.engines.scripted import ScriptedEngine


def command(out: Path) -> list[str]:
    """The command that a user would type: a new test, or its resumption where one is there."""
    if sys.argv[3:]:
        return ["run", "scripted:steady", "--workspace", str(out)]
    if any(out.glob("runs/*/config.json")):
        return ["test", "--resume", str(out)]
    settings = "--label T --host h --budget 8 --mode free"
    return ["test", "scripted:mixed", "--out", str(out), *settings.split()]


if __name__ == "__main__":
    out, delay = Path(sys.argv[1]), float(sys.argv[2])

    def open_engine(model: str, options: EngineOptions) -> Engine:
        return ScriptedEngine(model, options, delay=delay)

    capacity.open_engine = registry.open_engine = open_engine  # type: ignore[attr-defined,assignment]
    print("ready", flush=True)
    sys.argv[1:] = command(out)
    main()
