"""Repetition across the turns of a session: phrases that come again.

It counts equal runs of words. It does not see a thought repeated in other words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
RUN = 3


def overlaps(responses: Sequence[str]) -> list[float | None]:
    """Per response, the share of its runs of three words that an earlier one has, in [0, 1].

    None where it cannot be said: the first response, one with nothing before it to repeat, and
    one of fewer than three words.
    """
    seen: set[tuple[str, ...]] = set()
    values: list[float | None] = []
    for response in responses:
        runs = _runs(response)
        values.append(sum(run in seen for run in runs) / len(runs) if seen and runs else None)
        seen.update(runs)
    return values


def _runs(response: str) -> list[tuple[str, ...]]:
    words = WORD.findall(response.lower())
    return list(zip(*(words[start:] for start in range(RUN)), strict=False))
