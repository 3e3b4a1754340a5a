"""The features on which calibrated scores rest: twelve numbers per response, each in [0, 1].

Every one has a direction fixed before fitting, for a reason given in FEATURES; the fit may give it
no weight, but never turn it round. They are counts of word classes, marks of layout, phrases that
come again, and findings. They do not understand the reply: a fluent, concrete answer to another
question has good features. The word classes are English, and a reply in another language has no
features but a reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdtrue.scoring.findings import Reply
from holdtrue.scoring.lexicon import EVERYDAY, HEDGE, PLURAL
from holdtrue.scoring.measures import Naming, ResponseFindings
from holdtrue.scoring.repetition import Recurrence
from holdtrue.scoring.surface import clamp
from holdtrue.scoring.text import Text


@dataclass(frozen=True, slots=True)
class Feature:
    """``sign`` +1 where more of it reads better, -1 where worse; ``why`` in a few words."""

    sign: int
    why: str


FEATURES: Mapping[str, Feature] = {
    "everyday_words": Feature(+1, "share of articles, pronouns, auxiliaries: speech, not jargon"),
    "natural_partnership": Feature(+1, "the relationship is spoken of, and fits"),
    "generic_plurals": Feature(-1, "share of plural nouns: classes of things, not this one"),
    "hedged": Feature(-1, "share of may, might, can, could, would: what could be, not what is"),
    "list_lines": Feature(-1, "share of lines that are list items or headings"),
    "overlong": Feature(-1, "words beyond 80, as a share of 80"),
    "clutter": Feature(-1, "leaked scratchpads; quoted phrases dropped in brackets"),
    "repeated": Feature(-1, "phrases that come again from the prompt or any reply so far"),
    "truncated": Feature(-1, "cut off"),
    "generic_ai": Feature(-1, "the persona is dropped for a generic AI"),
    "lecture": Feature(-1, "a lecturing voice"),
    "confabulated": Feature(-1, "unsupported events are asserted"),
}


@dataclass(slots=True)
class Row:
    """The features of one response by name, or None and the reason."""

    values: Mapping[str, float] | None
    reason: str | None = None


LIST_LINE = re.compile(r"(?:[-*•–]|\d{1,2}[.)]|#{1,6})[ \t]")
BRACKETED_QUOTE = re.compile(r"\([\"“'][^()\n]{1,80}[\"”'][^()\n]{0,80}\)")
SCRATCHPAD = re.compile(r"<(think|thinking|scratchpad|reasoning)>(\s*</\1>)?", re.IGNORECASE)


LONG_ENOUGH = 80
SPEECH = 0.5  # everyday words of fluent speech; more of them is no better
FREE_REPETITION = 0.2  # some phrases come again in any conversation
# Shares of a short reply are drawn to those of ordinary replies, as if it had ten words more.
PRIOR_WORDS, PRIOR_EVERYDAY, PRIOR_PLURAL, PRIOR_HEDGED = 10, 0.38, 0.10, 0.01


def session_features(
    replies: Sequence[Reply],
    findings: Sequence[ResponseFindings],
    recurring: Sequence[Recurrence],
) -> list[Row]:
    """The features of every response, in order.

    A finding that is unscored counts as absent.
    """
    rows = []
    for reply, finding, recurrence in zip(replies, findings, recurring, strict=True):
        reason = _unreadable(reply)
        if reason is None:
            rows.append(Row(_features(reply.text, finding, recurrence.repeated)))
        else:
            rows.append(Row(None, reason))
    return rows


def _unreadable(reply: Reply) -> str | None:
    """Why the features would say nothing of this response, or None."""
    if not reply.text.tokens:
        return "empty response"
    if not reply.text.size:
        return "the response has no words"
    return None if reply.english else "not in English; the weights were fitted on English"


def _features(text: Text, finding: ResponseFindings, repeated: float) -> dict[str, float]:
    """The numbers, in the order of FEATURES; ``repeated`` is the share of runs said before."""
    total = text.size + PRIOR_WORDS
    everyday = (text.count(EVERYDAY) + PRIOR_WORDS * PRIOR_EVERYDAY) / total
    again = (repeated - FREE_REPETITION) / (1 - FREE_REPETITION)
    return {
        "everyday_words": everyday if everyday < SPEECH else SPEECH,
        "natural_partnership": 1.0 if finding.partnership is Naming.NATURAL else 0.0,
        "generic_plurals": (text.count(PLURAL) + PRIOR_WORDS * PRIOR_PLURAL) / total,
        "hedged": (text.count(HEDGE) + PRIOR_WORDS * PRIOR_HEDGED) / total,
        "list_lines": _list_lines(text.raw),
        "overlong": clamp(text.size / LONG_ENOUGH - 1),
        "clutter": _clutter(text.raw),
        "repeated": again if again > 0 else 0.0,
        "truncated": 1.0 if finding.truncated else 0.0,
        "generic_ai": 1.0 if finding.generic_ai else 0.0,
        "lecture": 1.0 if finding.lecture else 0.0,
        "confabulated": 1.0 if finding.confabulated else 0.0,
    }


def _list_lines(response: str) -> float:
    if "\n" not in response and response[:1].isalpha():
        return 0.0
    lines = [line.lstrip(" \t") for line in response.split("\n")]
    items = sum([not line[:1].isalpha() and LIST_LINE.match(line) is not None for line in lines])
    if not items:
        return 0.0
    return items / sum([bool(line) and not line[0].isspace() for line in lines])


def _clutter(response: str) -> float:
    if "<" in response and any(match[2] is None for match in SCRATCHPAD.finditer(response)):
        return 1.0
    return min(1.0, len(BRACKETED_QUOTE.findall(response)) / 3) if "(" in response else 0.0
