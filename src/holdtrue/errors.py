"""Errors that a user is meant to read: what is wrong, where, and what to do about it.

Anything else that escapes is a defect of holdtrue. The command line prints these without a
traceback and leaves with ``exit_code``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HoldtrueError(Exception):
    """Base of every expected failure.

    ``where`` is a file, line or key; ``remedy`` a sentence saying what to do.
    """

    exit_code = 2

    def __init__(self, message: str, *, where: str | None = None, remedy: str | None = None):
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n{self.remedy}" if self.remedy else text


class ConfigError(HoldtrueError):
    """A persona, protocol, criteria, baseline or ladder file, or an option, is wrong."""


class TranscriptError(HoldtrueError):
    """A transcript or label file cannot be read."""


class JudgeError(HoldtrueError):
    """A judge cannot be used as asked."""


class WorkspaceError(HoldtrueError):
    """A workspace or run folder is missing, locked, foreign or cannot be written."""


class EngineError(HoldtrueError):
    """A model cannot be found, fetched, loaded or run."""

    exit_code = 4


class GenerationError(EngineError):
    """One reply failed. The runner stores it with its session; it does not stop a run."""

    def __init__(self, message: str, *, transient: bool = False, **kwargs: str | None):
        super().__init__(message, **kwargs)
        self.transient = transient


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known names, or all of them when none is near."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(close) + "?"
    return "Known: " + ", ".join(names) if names else "None is known."
