"""Writing files so that no reader ever finds half of one.

Every file that holdtrue writes goes through here, so that a full disk, a kill or a power loss
leaves either the old content or the new.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from holdtrue.errors import WorkspaceError


def write_atomic(path: Path, content: str | bytes) -> Path:
    """Replace ``path`` by ``content`` in one step, flushed to disk; makes the folder.

    Raises WorkspaceError naming the path when it cannot be written; the old file then stays.
    """
    data = content.encode() if isinstance(content, str) else content
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
        _flush_folder(path.parent)
    return path


def append_atomic(path: Path, text: str) -> Path:
    """Add ``text`` at the end of ``path``; what stood there before is never lost or torn.

    Two processes that append at once take turns. Raises WorkspaceError also for a symbolic link
    out of the folder.
    """
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        inside(path.parent, path)
        with FileLock(inside(path.parent, _lock_path(path))):
            before = path.read_bytes() if path.exists() else b""
            write_atomic(path, before + text.encode())
    return path


def inside(root: Path, path: Path) -> Path:
    """``path``, if no symbolic link on its way from ``root`` leads out of ``root``.

    Folders come from strangers too; what they link to is neither read nor written.
    Raises WorkspaceError otherwise.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise WorkspaceError(
            f"a symbolic link leads out of {root}",
            where=str(path),
            remedy="Replace the link by what it stands for.",
        )
    return path


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            f"cannot be written: {error.strerror or error}",
            where=str(path),
            remedy="Free some space or name a folder that you may write to with --out.",
        ) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_folder(folder: Path) -> None:
    """Make a rename durable, where the file system lets a folder be flushed."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
