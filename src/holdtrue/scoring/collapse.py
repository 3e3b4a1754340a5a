"""Collapse in everyday words: a reply that no cue of ``generic`` gives away, weighed as a whole.

A short reply that denies something is scored linearly by what its words are about: whether they
are those of an assistant on itself, or of a world that the persona has. Quotations, other people's
words and denied claims are left out. It reads no sentence: a persona that denies something in
abstract words may look like one that has dropped out.
"""

from __future__ import annotations

import re

from holdtrue.scoring import cues
from holdtrue.scoring.lexicon import (
    ABSTRACT,
    ANYONE,
    ASSISTANT_TALK,
    AUDIENCE,
    EVERYDAY,
    GENERIC,
    HELP,
    LEARNED,
    MACHINE,
    MAKE,
    MEDIUM,
    NAME_MARK,
    NEGATION,
    PRODUCT,
    SELF,
    SERVED,
    SOURCE,
    SPECIFIC,
    STATE,
    SUPPOSED,
    TRAINED,
    WE,
    YOU,
    tokens,
)
from holdtrue.scoring.measures import Span
from holdtrue.scoring.text import Prompt, Text
from holdtrue.scoring.weights import linear

MOST_WORDS = 70  # a longer reply has room for the cues
_NOT_IT = re.compile(
    r"\b(?:i'm|i am|it's|it is|that's|this is) not (?:just |only |merely |simply )*(?:an?|the|your)"
    r"\b",
    re.ASCII,
)
_SOMEBODY_SAYS = re.compile(
    r"(?<!\bi )\b(?:says|said|tells|told|calls|called|claims|claimed|wrote|writes|thinks)\b",
    re.ASCII,
)
PRIOR = 4  # content words that a short reply is given besides its own, half of them of its world
_ASSISTANTS = (
    ASSISTANT_TALK | STATE | MACHINE | GENERIC | ABSTRACT | HELP | SOURCE | PRODUCT | MAKE
    | AUDIENCE | TRAINED | LEARNED | SERVED | MEDIUM | ANYONE | NEGATION | SELF | YOU | WE
    | SUPPOSED
)  # fmt: skip


def is_weighed(text: Text) -> bool:
    """Whether the score says anything of this reply."""
    return bool(text.kinds & NEGATION) and text.size <= MOST_WORDS


def features(text: Text, prompt: Prompt) -> dict[str, float]:
    """The features of the score, by name; counts are capped, shares lie in [0, 1]."""
    if text.quotations:
        text = _without_quotations(text)
    known = tokens()
    content = own_world = 0
    talk: set[str] = set()
    for sentence in text.sentences:
        if _NOT_IT.search(sentence.text) or _SOMEBODY_SAYS.search(sentence.text):
            continue
        for token, mark in zip(sentence.text.split(), sentence.marks, strict=True):
            words = known[token].words
            if not words or mark & EVERYDAY or NAME_MARK in words:
                continue
            content += 1
            own_world += not mark & _ASSISTANTS
            if mark & ASSISTANT_TALK:
                talk.update(words)
    offers = [item for item in text.sentences if item.kinds & HELP and cues.OFFER.search(item.text)]
    return {
        "talk": len(talk.difference(prompt.words)) / (content + PRIOR),
        "own_world": (own_world + PRIOR / 2) / (content + PRIOR),
        "denials": min(sum([bool(item.kinds & NEGATION) for item in text.sentences]), 3),
        "offers": float(bool(offers)),
        "anyone": float(bool(text.kinds & (ANYONE | AUDIENCE))),
        "specific": min(text.count(SPECIFIC), 3),
        "named": float(NAME_MARK in text.masked),
        "medium": float(bool(text.kinds & MEDIUM)),
        "generic": text.generic_share,
        "we": float(bool(text.kinds & WE)),
    }


def _without_quotations(text: Text) -> Text:
    masked = text.masked
    for start, end in text.quotations:
        masked = masked[:start] + " " * (end - start) + masked[end:]
    return Text(masked, masked)


def judge(text: Text, prompt: Prompt) -> tuple[bool, list[Span]]:
    """Whether the reply as a whole is a generic AI's, with its sentences' span if so."""
    if not is_weighed(text) or linear("collapse").score(features(text, prompt)) <= 0:
        return False, []
    start, end = text.sentences[0].start, text.sentences[-1].end
    return True, [Span("generic_ai", start, end, "denies in an assistant's words, of no own world")]
