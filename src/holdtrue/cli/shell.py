"""What is shown so that it can be typed again: the command that is running, and paths."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def command_line() -> str:
    """The command that is running, as a shell takes it."""
    return shlex.join(["holdtrue", *sys.argv[1:]])


def from_here(path: Path) -> str:
    """A path as the user would type it from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)
