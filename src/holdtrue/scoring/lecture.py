"""Lecture: a textbook's or a help desk's voice instead of the persona speaking to its partner.

Generic lists decide first; without a list a response lectures when it explains in general and
hardly speaks of "I" and "you". Whether what it explains is right is not asked.
"""

from __future__ import annotations

import re

from holdtrue.scoring.measures import Span
from holdtrue.scoring.lexicon import AUDIENCE, SELF
from holdtrue.scoring.text import Text

MIN_ITEMS = 2
_DEFINITION = re.compile(
    r"^[\w\s'-]{1,40}?\b(?:refers? to|is (?:an?|the) (?:\w+ )?(?:process|ability|concept|state|practice|act|"
    r"way|form|dynamic)|means being|can be (?:defined|described|caused)|involves?|encompasses)\b"
)


def judge(text: Text) -> tuple[bool, list[Span]]:
    """Whether the response lectures, with the spans it rests on if so."""
    items = text.items
    if len(items) >= MIN_ITEMS:
        end = text.sentence_at(items[-1]).end
        start = items[0] + len(text.masked[items[0] :]) - len(text.masked[items[0] :].lstrip())
        if end > start and text.generic_share >= 0.05:
            return True, [Span("lecture", start, end, f"a list of {len(items)} general points")]
    words = text.words
    if len(words) < 30:
        return False, []
    own = text.count(SELF) / text.size
    first = text.sentences[0]
    general = text.generic_share
    defined = _DEFINITION.search(first.text)
    if defined and general >= 0.1:
        return True, [Span("lecture", first.start, first.end, "opens with a definition")]
    audience = text.count(AUDIENCE)
    if own < 0.01 and general >= 0.15 and audience:
        return True, [Span("lecture", first.start, first.end, "explains in general to nobody")]
    return False, []
