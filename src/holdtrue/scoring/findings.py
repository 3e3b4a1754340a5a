"""Findings: what the detectors say of each response of a transcript, with spans and reasons.

The detectors are rules on one response and what was said before it. They read English; of other
languages they still tell self-reference by name and truncation. They never call a model.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdtrue.scoring import confabulation, generic, lecture, partnership, selfref, truncation
from holdtrue.scoring.measures import FINDING_NAMES, ResponseFindings
from holdtrue.scoring.naming import Names, names_of
from holdtrue.scoring.text import Text
from holdtrue.transcript import Transcript, Turn

FINDINGS_VERSION = "1"
"""Changes with every change of what a detector says; part of the scorer's version."""
MIN_RECURRENCE = 2  # replies with an opener, if they are most of the conversation


def find(transcript: Transcript) -> tuple[ResponseFindings, ...]:
    """Findings of every turn, in order; ``index`` counts the turns from 1."""
    turns = transcript.turns
    names = names_of(
        transcript.persona, [turn.prompt for turn in turns], [turn.response for turn in turns]
    )
    replies = [_Reply.of(turn, names) for turn in turns]
    formal = sum(selfref.is_formal(reply.placed) for reply in replies)
    recurs = formal if formal >= MIN_RECURRENCE and 2 * formal > len(replies) else 0
    context: set[str] = set()
    found = []
    for index, (turn, reply) in enumerate(zip(turns, replies, strict=True), start=1):
        context.update(reply.prompt.words)
        found.append(_read(index, turn, reply, context, recurs))
        context.update(reply.text.words)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Reply:
    """A turn as the detectors see it."""

    prompt: Text
    text: Text
    placed: list[selfref.Placed]

    @classmethod
    def of(cls, turn: Turn, names: Names) -> _Reply:
        mentions = names.find(turn.response)
        text = Text(turn.response, tuple((mention.start, mention.end) for mention in mentions))
        placed = selfref.place(text, mentions, common=names.common) if mentions else []
        return cls(Text(turn.prompt), text, placed)


def _read(
    index: int, turn: Turn, reply: _Reply, context: set[str], recurs: int
) -> ResponseFindings:
    words = len(turn.response.split())
    if not words:
        return ResponseFindings(
            index, words, unscored=dict.fromkeys(FINDING_NAMES, "empty response")
        )
    text = reply.text
    naming, naming_spans = selfref.judge(text, reply.placed, reply.prompt.folded, recurs=recurs)
    generic_ai, generic_spans = generic.judge(text)
    lectures, lecture_spans = lecture.judge(text)
    truncated, truncated_spans = truncation.judge(text, turn.stop_reason)
    shared, shared_spans = partnership.judge(text)
    confabulated, confabulated_spans = confabulation.judge(text, context)
    return ResponseFindings(
        index,
        words,
        self_reference=naming,
        generic_ai=generic_ai,
        lecture=lectures,
        truncated=truncated,
        partnership=shared,
        confabulated=confabulated,
        spans=(
            *naming_spans,
            *generic_spans,
            *lecture_spans,
            *truncated_spans,
            *shared_spans,
            *confabulated_spans,
        ),
    )
