"""Collapse in everyday words: a reply that no cue of ``generic`` gives away, weighed as a whole.

Every common word but numerals has a weight, fitted on labelled replies: words that assistants use
of themselves count for a collapse, the persona's name, "we" and words of a world of its own against
it. The score is their mean. It reads no sentence: a persona that denies something in an assistant's
words may look like one that has dropped out.
"""

from __future__ import annotations

import re

from holdtrue.scoring.lexicon import (
    ASSISTANT_TALK,
    MACHINE,
    NEGATION,
    mean_weight,
    tokens,
    weighed,
)
from holdtrue.scoring.measures import Span
from holdtrue.scoring.text import Prompt, Text, words_of
from holdtrue.scoring.weights import linear, log_odds

SCORE = "collapse"
TELLING = MACHINE | ASSISTANT_TALK
MIN_WORDS = 20  # of a reply that only denies something
_NOT_IT = re.compile(
    r"\b(?:i'm|i am|it's|it is|that's|this is) not (?:just |only |merely |simply )*(?:an?|the|"
    r"your)\b|"
    r"\bunlike (?:an?|the|your)\b",
    re.ASCII,
)
_SOMEBODY_SAYS = re.compile(
    r"(?<!\bi )\b(?:says|said|tells|told|calls|called|claims|claimed|wrote|writes|thinks)\b",
    re.ASCII,
)


def own_words(text: Text, prompt: Prompt) -> set[str]:
    """The different words that the speaker says of itself: not quoted, not denied, not somebody
    else's, and not an assistant's words that the partner brought in."""
    known = tokens()
    words = {
        word
        for sentence in text.sentences
        if not _NOT_IT.search(sentence.text) and not _SOMEBODY_SAYS.search(sentence.text)
        for word in words_of(text.unquoted(sentence))
    }
    brought = words.intersection(prompt.words)
    return words.difference([word for word in brought if known[word].classes & ASSISTANT_TALK])


def may_be(text: Text) -> bool:
    """Whether a reply is weighed at all: it speaks of machines or as assistants do, or denies
    something in more than a few words."""
    return bool(text.kinds & TELLING or (text.kinds & NEGATION and text.size >= MIN_WORDS))


def judge(text: Text, prompt: Prompt) -> tuple[bool, list[Span]]:
    """Whether the reply as a whole is a generic AI's, with its sentences' span if so.

    It must be one by all its words, and still be one when each counts once and those that are not
    the speaker's own count for nothing.
    """
    if not may_be(text):
        return False, []
    if log_odds(SCORE, text, {}) <= 0:
        return False, []
    own = tokens().packed(own_words(text, prompt))
    if linear(SCORE).bias + mean_weight(own, SCORE, weighed(text.own_counts)) <= 0:
        return False, []
    start, end = text.sentences[0].start, text.sentences[-1].end
    return True, [Span("generic_ai", start, end, "speaks in the words of a generic AI throughout")]
