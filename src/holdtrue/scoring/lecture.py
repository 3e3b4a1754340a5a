"""Lecture: a textbook's or a help desk's voice instead of the persona speaking to its partner.

Lists of general points decide first; without one a response lectures when it opens with a
definition, or explains at length without an "I" or a "you". Whether what it explains is right is
not asked. Reasoning that leaked out in an open <think> block is not a lecture.
"""

from __future__ import annotations

import re

from holdtrue.scoring.lexicon import SELF, WE, YOU
from holdtrue.scoring.measures import Span
from holdtrue.scoring.text import Text

MIN_ITEMS = 2
LIST_GENERIC = 0.05  # share of generic words from which a list is one of general points
MIN_WORDS = 40  # shorter replies do not explain
LONG_WORDS = 80
IMPERSONAL = 0.7  # share of words in sentences without I, we or you
GENERIC = 0.15
LONG_GENERIC = 0.2
_DEFINITION = re.compile(
    r"^[\w\s'-]{1,40}?\b(?:refers? to|is (?:an?|the) (?:\w+ )?(?:process|ability|concept|state|"
    r"practice|act|way|form|dynamic|term|phenomenon)|means being|can be (?:defined|described)|"
    r"encompasses|consists of)\b"
)


def judge(text: Text) -> tuple[bool, list[Span]]:
    """Whether the response lectures, with the spans it rests on if so."""
    if text.thinks_aloud or not text.sentences:
        return False, []
    items = text.items
    general = text.generic_share
    if len(items) >= MIN_ITEMS and general >= LIST_GENERIC:
        first, last = text.sentence_at(items[0]), text.sentence_at(items[-1])
        start = min(max(first.start, items[0]), last.start)
        return True, [Span("lecture", start, last.end, f"a list of {len(items)} general points")]
    if text.size < 30:
        return False, []
    speaks = bool(text.kinds & SELF)
    opening = text.sentences[0]
    if not speaks and _DEFINITION.search(opening.text):
        return True, [Span("lecture", opening.start, opening.end, "opens with a definition")]
    if text.size >= MIN_WORDS and general >= GENERIC and _impersonal(text) >= IMPERSONAL:
        if not speaks or (text.size >= LONG_WORDS and general >= LONG_GENERIC):
            end = text.sentences[-1].end
            return True, [Span("lecture", opening.start, end, "explains in general to nobody")]
    return False, []


def _impersonal(text: Text) -> float:
    """Share of words (0 to 1) in sentences without I, we or you."""
    apart = sum(len(item.words) for item in text.sentences if not item.kinds & (SELF | YOU | WE))
    return apart / text.size if text.size else 0.0
