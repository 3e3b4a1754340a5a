"""Where a C library's own log lines go: into a file, while Python keeps the terminal.

llama.cpp writes to the process's standard error, from threads of its own. While a log is open that
descriptor leads to the file, and ``sys.stderr`` to where it led before. So what other C code, a
child process or a crash writes to standard error is found in the file, too.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from holdtrue.errors import EngineError

STDERR = 2
SETTLE_SECONDS = 0.01
SETTLE_TRIES = 20

_lock = threading.Lock()
_open = 0
_saved = -1
_python: TextIO | None = None


@contextlib.contextmanager
def native_log(path: Path) -> Iterator[None]:
    """Send the process's standard error to the end of ``path``; Python's own stays as it is.

    A second log that is opened meanwhile goes into the first one's file. Raises EngineError where
    the file cannot be written.
    """
    _enter(path)
    try:
        yield
    finally:
        _leave(path)


def _enter(path: Path) -> None:
    global _open, _saved
    with _lock:
        if _open == 0:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            except OSError as error:
                raise EngineError(
                    f"the log cannot be written: {error.strerror}", where=str(path)
                ) from None
            if sys.stderr is not None:
                sys.stderr.flush()
            _saved = os.dup(STDERR)
            os.dup2(target, STDERR)
            os.close(target)
            _keep_python_on_terminal()
        _open += 1


def _leave(path: Path) -> None:
    global _open, _saved
    with _lock:
        _open -= 1
        if _open:
            return
        settle(path)
        if _python is not None and sys.stderr is _python:
            _python.flush()
            sys.stderr = sys.__stderr__  # it was ours to replace, see _keep_python_on_terminal
        os.dup2(_saved, STDERR)
        os.close(_saved)
        _saved = -1


def _keep_python_on_terminal() -> None:
    """Give ``sys.stderr`` a descriptor of its own, unless it does not write to descriptor 2.

    The stream is made once and never closed, since a logging handler may hold it.
    """
    global _python
    real = sys.__stderr__
    try:
        if real is None or sys.stderr is not real or real.fileno() != STDERR:
            return
    except (OSError, ValueError):
        return
    if _python is None:
        _python = os.fdopen(
            os.dup(_saved),
            "w",
            buffering=1,
            encoding=real.encoding,
            errors=real.errors,
            closefd=False,
        )
    sys.stderr = _python


def settle(path: Path) -> None:
    """Wait until the library's log thread has written its last lines (a fifth of a second at most).

    The library has no call to flush that thread.
    """
    size = -1
    for _ in range(SETTLE_TRIES):
        try:
            now = path.stat().st_size
        except OSError:
            return
        if now == size:
            return
        size = now
        time.sleep(SETTLE_SECONDS)
