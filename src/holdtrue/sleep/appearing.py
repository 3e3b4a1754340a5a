"""Models on their way to disk: a file or folder too large to hold in memory that appears whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdtrue.errors import ConfigError, WorkspaceError


def check_absent(out: Path) -> None:
    """Raises ConfigError where there is something at ``out`` already."""
    if out.exists():
        raise ConfigError("is there already", where=str(out), remedy="Name another --out.")


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """A path in a passing folder beside ``out``, where it is put when the block ends well.

    An empty folder at ``out`` gives way. Raises WorkspaceError when it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".merge-") as name:
            part = Path(name) / f"part{out.suffix}"
            yield part
            if out.is_dir():
                out.rmdir()
            part.replace(out)
    except OSError as error:
        raise WorkspaceError(
            f"the model cannot be written: {error.strerror or error}",
            where=str(error.filename or out),
            remedy="Free some space, or name another --out.",
        ) from None
