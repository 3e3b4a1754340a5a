"""The command line on a scripted model whose replies take a moment, to be killed in the middle.

Begins the test in OUT or goes on with it, as a user would. Not a test itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

from holdtrue import capacity
from holdtrue.cli.main import main
from holdtrue.engines.scripted import ScriptedEngine


def command(out: Path) -> list[str]:
    """The command that a user would type: a new test, or its resumption where one is there."""
    if any(out.glob("runs/*/config.json")):
        return ["test", "--resume", str(out)]
    settings = "--label T --host h --budget 8 --mode free"
    return ["test", "scripted:mixed", "--out", str(out), *settings.split()]


if __name__ == "__main__":
    out, delay = Path(sys.argv[1]), float(sys.argv[2])
    capacity.open_engine = lambda model, options: ScriptedEngine(  # type: ignore[attr-defined]
        model, options, delay=delay
    )
    print("ready", flush=True)
    sys.argv[1:] = command(out)
    main()
