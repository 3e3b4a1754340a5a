"""Where transformers' own log lines and progress bars go: off the terminal, into a log file."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

_lock = threading.Lock()
_open = 0
_before: tuple[list[logging.Handler], bool, bool] = ([], True, True)


@contextlib.contextmanager
def quiet(log_path: Path | None) -> Iterator[None]:
    """Keep the library off the terminal; ``log_path`` gets what it logs.

    It may be entered several times at once (a model and its judge): the first one's log file
    counts, and the library speaks again when the last one is left.
    """
    global _open
    with _lock:
        if _open == 0:
            _silence(log_path)
        _open += 1
    try:
        yield
    finally:
        with _lock:
            _open -= 1
            if _open == 0:
                _restore()


def _silence(log_path: Path | None) -> None:
    global _before
    from transformers.utils import logging as library

    logger = library.get_logger()
    _before = (list(logger.handlers), logger.propagate, library.is_progress_bar_enabled())
    sink: logging.Handler = logging.NullHandler()
    if log_path is not None:
        sink = logging.FileHandler(log_path, encoding="utf-8", delay=True)
    logger.handlers, logger.propagate = [sink], False
    library.disable_progress_bar()
    _without_gguf_bar()


def _without_gguf_bar() -> None:
    """The reader of GGUF files draws a bar of its own, whatever the library is told."""
    with contextlib.suppress(ImportError):
        from transformers import modeling_gguf_pytorch_utils as reader

        if hasattr(reader, "tqdm"):
            reader.tqdm = lambda items, **_: items


def _restore() -> None:
    from transformers.utils import logging as library

    logger = library.get_logger()
    for sink in logger.handlers:
        sink.close()
    logger.handlers, logger.propagate = _before[0], _before[1]
    if _before[2]:
        library.enable_progress_bar()
