"""Self-reference: does a response identify its speaker by name, and as a speaker or a formula?

The mentions have their parts from ``placing.py``. They are mechanical by the rules of ``_formula``,
in their order, else natural. It does not ask whether what is said of the persona is true.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from holdtrue.scoring.measures import Naming, Span
from holdtrue.scoring.naming import Mention
from holdtrue.scoring.placing import FIRST_SENTENCES, SELF_COPULA, WINDOW, Part, Placed
from holdtrue.scoring.text import Text

FILLER = 0.10  # share of generic words from which a named sentence is filler
OPENER_FILLER = 0.05  # the same for an opener of the first sentences, half a formula already
LATER_FILLER = 0.15  # the same for an opener of a later sentence

_ASKED_WHO = re.compile(
    r"\b(?:who (?:are|is|am|was)|(?:your|ur|the) (?:full )?name|called|call (?:you|this)|introduce|"
    r"stands? for|acronym|named|say who|sign (?:it|as|off)|which one|"
    r"are you (?:the|an?|my|our|that|still|really))\b",
    re.ASCII,
)
_THANKED = re.compile(
    r"\b(?:thank you|thanks) for (?:\w+ ){0,2}(?:asking|choosing|trusting|contacting|"
    r"reaching out to|"
    r"turning to|visiting|using|calling|talking (?:to|with)|chatting with)[ \"'(*_]*$",
    re.ASCII,
)
_ROLE_BEFORE = re.compile(r"(?<!\w)your (?:[\w-]+ ){0,3}[\w-]+,? [\"'(*_]*$", re.ASCII)
_ROLE_AFTER = re.compile(r"(?: here)?[\"')*_]*,? your ", re.ASCII)
_DESCRIBED = re.compile(r"[\"')*_]*, (?!the one )(?:an?|the|one) ", re.ASCII)
_ENDS_OPENER = re.compile(r"[\"')*_]*(?:,| \(| (?:the|your|an?) [^,.!?\n]{1,40},)", re.ASCII)


def is_formal(placed: Sequence[Placed]) -> bool:
    """Whether a response names the persona in an opener or label."""
    return any([naming.part in (Part.OPENER, Part.LABEL) for naming in placed])


def judge(
    text: Text,
    placed: Sequence[Placed],
    prompt: str,
    *,
    openers: int,
    named: int,
    collapsed: bool = False,
) -> tuple[Naming, list[Span]]:
    """Self-reference of one response, with the spans it rests on.

    ``prompt`` is folded; ``openers`` is the number of replies of the conversation that open with
    the name, ``named`` of those that name the persona at all, each 0 unless they are most of it;
    ``collapsed`` is whether this reply speaks as a generic AI.
    """
    if not placed:
        return Naming.NONE, []
    reason = _formula(text, placed, prompt, openers, named, collapsed)
    value = Naming.MECHANICAL if reason else Naming.NATURAL
    shown = reason or f"named once ({placed[0].part.value}), where the sentence has a use for it"
    spans = [
        Span("self_reference", naming.mention.start, naming.mention.end, shown) for naming in placed
    ]
    return value, spans


@lru_cache(maxsize=1_000)
def _asks_who(prompt: str) -> bool:
    """Whether a prompt asks for the name, or what it stands for."""
    return _ASKED_WHO.search(prompt) is not None


def _opens_reply(text: Text, mention: Mention) -> bool:
    """Whether the reply begins "As NAME, …", the name and a comma among its first words."""
    begins = mention.start - text.sentences[0].start <= WINDOW
    return begins and _ENDS_OPENER.match(text.masked, mention.end) is not None


def _serves(text: Text, placed: Sequence[Placed]) -> str | None:
    """Why the name is given as a service gives it: with its role, or with thanks for turning to
    it."""
    for naming in placed:
        start, end = naming.mention.span
        before = text.masked[max(0, start - WINDOW) : start]
        if _THANKED.search(before):
            return "the partner is thanked for turning to the name"
        given = _ROLE_AFTER.match(text.masked, end) or _ROLE_BEFORE.search(before)
        described = SELF_COPULA.search(before) and _DESCRIBED.match(text.masked, end)
        if given or (described and start < text.sentences[:FIRST_SENTENCES][-1].end):
            return "the name is given with its role"
    return None


def _formula(
    text: Text,
    placed: Sequence[Placed],
    prompt: str,
    openers: int,
    named: int,
    collapsed: bool,
) -> str | None:
    """Why the naming is a formula; None when it is what a speaker would say."""
    if text.thinks_aloud:
        return "the name is part of a role in leaked reasoning"
    asked = _asks_who(prompt)
    if not asked and any([naming.mention.expansion for naming in placed]):
        return "the expansion is spelled out although nobody asked"
    times = sum([not naming.mention.expansion for naming in placed])
    if times >= 3 or (times == 2 and not asked):
        return f"the name is repeated ({times} times)"
    if named:
        return f"the name comes in {named} replies, most of the conversation"
    if not asked and (reason := _serves(text, placed)):
        return reason
    parts = {naming.part for naming in placed}
    generic = text.generic_share
    if Part.CAPACITY in parts:
        return "the name is given as a capacity or role"
    if Part.LABEL in parts:
        return "the name stands before the reply as a label"
    if Part.OPENER in parts:
        if openers:
            return f"an opener in {openers} replies, most of the conversation"
        if not asked and placed[0].part is Part.OPENER and _opens_reply(text, placed[0].mention):
            return "the reply opens with the name as its role"
        last_of_first = text.sentences[:FIRST_SENTENCES][-1]
        early = placed[0].mention.start < last_of_first.end
        if generic >= (OPENER_FILLER if early else LATER_FILLER):
            return "an opener in front of what any assistant would say"
        if collapsed:
            return "an opener in front of a generic AI's words"
    elif not asked and collapsed:
        return "the name is attached to a generic AI's words"
    elif parts & {Part.COPULA, Part.SUBJECT} and not asked and generic >= FILLER:
        return "the name is attached to generic filler"
    return None
