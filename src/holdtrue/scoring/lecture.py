"""Lecture: a textbook's or a help desk's voice instead of the persona speaking to its partner.

Lists of general points decide first; without one a response lectures when it opens with a
definition, or explains at length without an "I" or a "you". A shorter one that says little of
itself is weighed by its words, as fitted on labelled replies. Whether what it explains is right is
not asked. Reasoning that leaked out in an open <think> block is not a lecture.
"""

from __future__ import annotations

import re

from holdtrue.scoring.lexicon import NO_WORD, SELF, WE, YOU
from holdtrue.scoring.measures import Span
from holdtrue.scoring.text import Text, count_in
from holdtrue.scoring.weights import log_odds

MIN_ITEMS = 2
LIST_GENERIC = 0.05  # share of generic words from which a list is one of general points
MIN_DEFINED = 25  # words of a reply that a definition can open
MIN_WORDS = 40  # shorter replies do not explain
LONG_WORDS = 80
IMPERSONAL = 0.7  # share of words in sentences without I, we or you
GENERIC = 0.15
LONG_GENERIC = 0.2
LEAST_WEIGHED, MOST_WEIGHED = 30, 70  # words of a reply that is weighed by its words
LEAST_APART = 0.3  # its share of words in sentences without I, we or you
MOST_SELF = 2  # words for the speaker in it
_DEFINITION = re.compile(
    r"^[\w\s'-]{1,40}?\b(?:refers? to|is (?:an?|the) (?:\w+ )?(?:process|ability|concept|state|"
    r"practice|act|way|form|dynamic|term|phenomenon)|means being|can be (?:defined|described)|"
    r"encompasses|consists of)\b",
    re.ASCII,
)


def judge(text: Text) -> tuple[bool, list[Span]]:
    """Whether the response lectures, with the spans it rests on if so."""
    ruled, spans = judge_by_rule(text)
    if ruled or not may_be_weighed(text) or log_odds("lecture", text, {}) <= 0:
        return ruled, spans
    start, end = text.sentences[0].start, text.sentences[-1].end
    return True, [Span("lecture", start, end, "explains in the words of a textbook")]


def may_be_weighed(text: Text) -> bool:
    """Whether the words of a reply may call it a lecture: it is neither long nor a mere line, and
    speaks little of itself."""
    return (
        LEAST_WEIGHED <= text.size < MOST_WEIGHED
        and not text.thinks_aloud
        and text.count(SELF) <= MOST_SELF
        and _impersonal(text) >= LEAST_APART
    )


def judge_by_rule(text: Text) -> tuple[bool, list[Span]]:
    """The same by the layout and the manner alone, whatever the words are about."""
    if text.thinks_aloud or not text.sentences:
        return False, []
    general = text.generic_share
    if text.items >= MIN_ITEMS and general >= LIST_GENERIC:
        items = [sentence for sentence in text.sentences if sentence.item]
        reason = f"a list of {text.items} general points"
        return True, [Span("lecture", items[0].start, items[-1].end, reason)]
    if text.size < MIN_DEFINED:
        return False, []
    speaks = bool(text.kinds & SELF)
    opening = text.sentences[0]
    if not speaks and _DEFINITION.search(opening.text):
        return True, [Span("lecture", opening.start, opening.end, "opens with a definition")]
    if speaks:
        long = text.size >= LONG_WORDS and general >= LONG_GENERIC
    else:
        long = text.size >= MIN_WORDS and general >= GENERIC
    if long and _impersonal(text) >= IMPERSONAL:
        end = text.sentences[-1].end
        return True, [Span("lecture", opening.start, end, "explains in general to nobody")]
    return False, []


def _impersonal(text: Text) -> float:
    """Share of words (0 to 1) in sentences without I, we or you."""
    apart = [item for item in text.sentences if not item.kinds & (SELF | YOU | WE)]
    words = sum([len(item.marks) for item in apart]) - count_in(apart, NO_WORD)
    return words / text.size if text.size else 0.0
