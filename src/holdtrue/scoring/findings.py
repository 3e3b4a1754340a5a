"""Findings: what the detectors say of each response of a transcript, with spans and reasons.

The detectors are rules on one response and what was said before it. They read English; of other
languages they still tell self-reference by name and truncation. They never call a model.
"""

from __future__ import annotations

from holdtrue.persona import Persona
from holdtrue.scoring import confabulation, generic, lecture, partnership, selfref, truncation
from holdtrue.scoring.measures import FINDING_NAMES, ResponseFindings, Span
from holdtrue.scoring.naming import Names, names_of
from holdtrue.scoring.text import Text, fold
from holdtrue.transcript import Transcript, Turn

FINDINGS_VERSION = "1"
"""Changes with every change of what a detector says; part of the scorer's version."""


def find(transcript: Transcript) -> tuple[ResponseFindings, ...]:
    """Findings of every turn, in order; ``index`` counts the turns from 1."""
    reader = _Reader(transcript.persona)
    return tuple(reader.read(number, turn) for number, turn in enumerate(transcript.turns, start=1))


class _Reader:
    """Reads a conversation turn by turn and keeps what later turns are judged against."""

    def __init__(self, persona: Persona) -> None:
        self.names: Names = names_of(persona)
        self.openers = 0
        self.turns = 0
        self.context: set[str] = set()

    def read(self, index: int, turn: Turn) -> ResponseFindings:
        words = len(turn.response.split())
        prompt = fold(turn.prompt)
        self.context.update(Text(prompt).words)
        if not turn.response.strip():
            reason = "empty response"
            return ResponseFindings(index, words, unscored=dict.fromkeys(FINDING_NAMES, reason))
        mentions = self.names.find(turn.response)
        text = Text(turn.response, tuple((mention.start, mention.end) for mention in mentions))
        spans: list[Span] = []
        naming, found = selfref.judge(text, mentions, prompt, self.openers, self.turns)
        spans += found
        generic_ai, found = generic.judge(text)
        spans += found
        lectures, found = lecture.judge(text)
        spans += found
        truncated, found = truncation.judge(text, turn.stop_reason)
        spans += found
        shared, found = partnership.judge(text)
        spans += found
        confabulated, found = confabulation.judge(text, frozenset(self.context))
        spans += found
        self.turns += 1
        self.openers += selfref.opens_with_formula(selfref.parts_of(text, mentions))
        self.context.update(text.words)
        return ResponseFindings(
            index,
            words,
            self_reference=naming,
            generic_ai=generic_ai,
            lecture=lectures,
            truncated=truncated,
            partnership=shared,
            confabulated=confabulated,
            spans=tuple(spans),
        )
