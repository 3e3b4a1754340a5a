"""Findings: what the detectors say of each response of a transcript, with spans and reasons.

The detectors are rules on one response and what was said before it. They read English; of other
languages they still tell self-reference by name and truncation. They never call a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from holdtrue.scoring import confabulation, generic, lecture, partnership, selfref, truncation
from holdtrue.scoring.measures import FINDING_NAMES, ResponseFindings
from holdtrue.scoring.naming import Names, names_of
from holdtrue.scoring.text import Text, words_of
from holdtrue.transcript import Transcript, Turn

FINDINGS_VERSION = "1"
"""Changes with every change of what a detector says; part of the scorer's version."""
MIN_OPENERS = 2  # replies with an opener that make it a formula, if they are most
MIN_NAMED = 3  # replies with the name in any part, likewise


def find(transcript: Transcript) -> tuple[ResponseFindings, ...]:
    """Findings of every turn, in order; ``index`` counts the turns from 1."""
    replies = _replies(transcript)
    conversation = _Conversation.of(replies)
    conversation.known.update(_memory(transcript))
    found = []
    for index, (turn, reply) in enumerate(zip(transcript.turns, replies, strict=True), start=1):
        conversation.known.update(reply.prompt.words)
        found.append(_read(index, turn, reply, conversation))
    return tuple(found)


def _memory(transcript: Transcript) -> set[str]:
    """The words that the persona was given about itself and its past."""
    persona = transcript.persona
    given = [
        persona.expansion,
        persona.nature,
        persona.memory,
        persona.relationship.description,
        *persona.voice.vocabulary,
        *persona.voice.examples,
        transcript.system,
        transcript.summary,
        *transcript.exemplars,
    ]
    return words_of(" ".join(part for part in given if part))


def _replies(transcript: Transcript) -> list[_Reply]:
    turns = transcript.turns
    names = names_of(
        transcript.persona, [turn.prompt for turn in turns], [turn.response for turn in turns]
    )
    return [_Reply.of(turn, names) for turn in turns]


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
        prompt = Text(turn.prompt)
        placed = selfref.place(text, mentions, prompt.folded, common=names.common)
        return cls(prompt, text, placed)


@dataclass(slots=True)
class _Conversation:
    """What one reply is judged against: the whole conversation, and what was said before it.

    ``openers`` counts the replies that open with the name, 0 unless they are most of them;
    ``named`` likewise those that name the persona at all; ``related`` those with a noun of
    relation.
    """

    size: int
    openers: int
    named: int
    related: int
    known: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, replies: list[_Reply]) -> _Conversation:
        size = len(replies)
        openers = sum(selfref.is_formal(reply.placed) for reply in replies)
        named = sum(bool(reply.placed) for reply in replies)
        related = sum(partnership.speaks_of_relation(reply.text) for reply in replies)
        return cls(
            size,
            openers if openers >= MIN_OPENERS and 2 * openers > size else 0,
            named if named >= MIN_NAMED and 2 * named > size else 0,
            related,
        )

    def recurrence(self, text: Text) -> float:
        """Share (0 to 1) of the other replies with a noun of relation."""
        others = self.related - partnership.speaks_of_relation(text)
        return others / (self.size - 1) if self.size > 1 else 0.0


def _read(index: int, turn: Turn, reply: _Reply, conversation: _Conversation) -> ResponseFindings:
    words = len(turn.response.split())
    if not words:
        reason = "empty response"
        return ResponseFindings(index, words, unscored=dict.fromkeys(FINDING_NAMES, reason))
    text = reply.text
    naming, naming_spans = selfref.judge(
        text,
        reply.placed,
        reply.prompt.folded,
        openers=conversation.openers,
        named=conversation.named,
    )
    generic_ai, generic_spans = generic.judge(text, reply.prompt)
    lectures, lecture_spans = lecture.judge(text)
    truncated, truncated_spans = truncation.judge(text, turn.stop_reason)
    shared, shared_spans = partnership.judge(
        text, partnership.Setting(reply.prompt, conversation.recurrence(text))
    )
    setting = confabulation.Setting(conversation.known, generic_ai)
    claims = confabulation.claims(text, setting)
    confabulated, confabulated_spans = confabulation.judge(claims, setting)
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
