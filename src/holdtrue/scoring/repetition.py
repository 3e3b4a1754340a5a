"""Phrases that come again across the turns of a conversation.

Phrases are runs of three equal words; a thought repeated in other words is not seen. Every name
of the persona counts as one same word, so that nothing here depends on how a persona is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from holdtrue.scoring.findings import Reply
from holdtrue.scoring.text import RUN, Run, runs_of


class Recurrence(NamedTuple):
    """How much of a reply was said before, in shares from 0 to 1.

    ``overlap`` is of its different runs those that an earlier reply has, None where it cannot be
    said: nothing was said before it, or it has fewer than three words. ``repeated`` is of all its
    runs those that the partner or any reply had, this one too, so that a loop counts.
    """

    overlap: float | None
    repeated: float


def recurrences(replies: Sequence[Reply]) -> list[Recurrence]:
    """What each reply of a conversation repeats, in order."""
    asked: set[Run] = set()
    said: set[Run] = set()
    found = []
    for reply in replies:
        asked |= reply.prompt.runs
        words = reply.text.words
        runs = runs_of(words)
        asked_alone = len((runs & asked) - said)
        before = len(said)
        said |= runs
        again = before + len(runs) - len(said)
        overlap = again / len(runs) if before and runs else None
        fresh = len(runs) - again - asked_alone
        repeated = 1 - fresh / (len(words) - RUN + 1) if runs else 0.0
        found.append(Recurrence(overlap, repeated))
    return found
