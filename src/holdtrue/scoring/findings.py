"""Findings: what the detectors say of each response of a transcript, with spans and reasons.

The detectors are rules on one response and what was said before it. They read English; of other
languages they still tell self-reference by name and truncation. They never call a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from holdtrue.engines.base import StopReason
from holdtrue.scoring import (
    collapse,
    confabulation,
    generic,
    language,
    lecture,
    partnership,
    placing,
    selfref,
    truncation,
)
from holdtrue.scoring.measures import FINDING_NAMES, Naming, ResponseFindings
from holdtrue.scoring.naming import Mention, Names, core_expansion, names_of
from holdtrue.scoring.text import Prompt, Text, fold, words_of
from holdtrue.transcript import Transcript, Turn

FINDINGS_VERSION = "6"
"""Changes with every change of what a detector says; part of the scorer's version."""
EMPTY = "empty response"
ENGLISH_ONLY = ("generic_ai", "lecture", "partnership", "confabulated")
WIDENS = "\u0130"
"""The one character that is longer in lower case."""
MIN_OPENERS = 2  # replies with an opener that make it a formula, if they are most
MIN_NAMED = 3  # replies with the name in any part, likewise


def find(
    transcript: Transcript, replies: Sequence[Reply] | None = None
) -> tuple[ResponseFindings, ...]:
    """Findings of every turn, in order; ``index`` counts the turns from 1.

    ``replies`` are what ``replies_of`` read, if that was done before.
    """
    if replies is None:
        replies = replies_of(transcript)
    conversation = _Conversation.of(replies, _memory(transcript))
    found = []
    for index, (turn, reply) in enumerate(zip(transcript.turns, replies, strict=True), start=1):
        conversation.known.update(reply.prompt.words)
        found.append(_read(index, turn, reply, conversation))
    return tuple(found)


def _memory(transcript: Transcript) -> frozenset[str]:
    """The words that the persona was given about itself and its past."""
    persona = transcript.persona
    expansion = persona.expansion or ""
    given = [
        expansion.replace(core_expansion(persona.name, expansion), ""),
        persona.nature,
        persona.memory,
        persona.relationship.description,
        *persona.voice.vocabulary,
        *persona.voice.examples,
        transcript.system,
        transcript.summary,
        *transcript.exemplars,
    ]
    return _words_given(" ".join([part for part in given if part]))


@lru_cache(maxsize=64)
def _words_given(text: str) -> frozenset[str]:
    return frozenset(words_of(fold(text)))


def replies_of(transcript: Transcript) -> list[Reply]:
    """The turns of a transcript as the detectors see them."""
    turns = transcript.turns
    names = names_of(
        transcript.persona, [turn.prompt for turn in turns], [turn.response for turn in turns]
    )
    return [Reply.of(turn, names) for turn in turns]


@dataclass(slots=True)
class Reply:
    """A turn as the detectors see it.

    ``named``: the persona's name is somewhere in it. ``lowered`` are as many tokens as it has
    between blanks in lower case, perhaps with fewer different ones, since names may be hidden and
    quotation marks alike. ``english`` if it is English, or too short or bare to tell.
    """

    prompt: Prompt
    text: Text
    named: bool
    placed: list[placing.Placed]
    lowered: list[str]
    english: bool

    @classmethod
    def of(cls, turn: Turn, names: Names) -> Reply:
        folded = fold(turn.response)
        mentions = names.find(turn.response, folded)
        text = Text(turn.response, folded, [mention.span for mention in mentions])
        prompt = names.prompt(turn.prompt)
        placed = placing.place(text, mentions, prompt.folded, common=names.common)
        lowered = text.tokens
        if not _are_lowered(text, mentions):
            lowered = turn.response.lower().split()
        return cls(prompt, text, bool(mentions), placed, lowered, language.is_english(text))


def _are_lowered(text: Text, mentions: Sequence[Mention]) -> bool:
    """Whether the tokens are as many as those of the response in lower case, and at most as many
    different ones: no name was hidden here and left there, and nothing was cut but at blanks."""
    if not text.raw.isascii() and (text.is_wide or WIDENS in text.raw):
        return False
    if not mentions:
        return True
    said = {text.folded[mention.start : mention.end] for mention in mentions}
    return not any([len(name.split()) > 1 or name in text.masked for name in said])


@dataclass(slots=True)
class _Conversation:
    """What one reply is judged against: the whole conversation, and what was said before it.

    ``openers`` counts the replies that open with the name, 0 unless they are most of them;
    ``named`` likewise those that name the persona at all; ``related`` those with a noun of
    relation. ``known`` are the words of what the persona was given about itself and of what the
    partner has said so far.
    """

    size: int
    openers: int
    named: int
    related: int
    known: set[str]

    @classmethod
    def of(cls, replies: Sequence[Reply], memory: frozenset[str]) -> _Conversation:
        size = len(replies)
        openers = sum([selfref.is_formal(reply.placed) for reply in replies])
        named = sum([bool(reply.placed) for reply in replies])
        related = sum([partnership.speaks_of_relation(reply.text) for reply in replies])
        return cls(
            size,
            openers if openers >= MIN_OPENERS and 2 * openers > size else 0,
            named if named >= MIN_NAMED and 2 * named > size else 0,
            related,
            set(memory),
        )

    def recurrence(self, text: Text) -> float:
        """Share (0 to 1) of the other replies with a noun of relation."""
        others = self.related - partnership.speaks_of_relation(text)
        return others / (self.size - 1) if self.size > 1 else 0.0


def _read(index: int, turn: Turn, reply: Reply, conversation: _Conversation) -> ResponseFindings:
    words = len(reply.lowered)
    if not words:
        return _read_empty(index, turn, reply)
    if not reply.english:
        return _read_foreign(index, words, turn, reply)
    text = reply.text
    generic_ai, generic_spans = generic.judge(text, reply.prompt)
    if not generic_ai:
        generic_ai, generic_spans = collapse.judge(text, reply.prompt)
    naming, naming_spans = selfref.judge(
        text,
        reply.placed,
        reply.prompt.folded,
        openers=conversation.openers,
        named=conversation.named,
        collapsed=generic_ai,
    )
    lectures, lecture_spans = lecture.judge(text)
    truncated, truncated_spans = truncation.judge(text, turn.stop_reason)
    shared, shared_spans = partnership.judge(
        text, partnership.Setting(reply.prompt, conversation.recurrence(text), generic_ai)
    )
    confabulated, confabulated_spans = confabulation.judge(
        text, conversation.known, collapsed=generic_ai
    )
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


def _read_empty(index: int, turn: Turn, reply: Reply) -> ResponseFindings:
    """An empty response has no findings but the engine's word on why it ended."""
    unscored = dict.fromkeys(FINDING_NAMES, EMPTY)
    if turn.stop_reason is StopReason.UNKNOWN:
        return ResponseFindings(index, 0, unscored=unscored)
    del unscored["truncated"]
    truncated, _ = truncation.judge(reply.text, turn.stop_reason)
    return ResponseFindings(index, 0, truncated=truncated, unscored=unscored)


def _read_foreign(index: int, words: int, turn: Turn, reply: Reply) -> ResponseFindings:
    """Of a response in another language: whether it was cut off, and that no name is in it."""
    unscored = dict.fromkeys(ENGLISH_ONLY, language.NOT_ENGLISH)
    naming: Naming | None = Naming.NONE
    if reply.named:
        naming, unscored["self_reference"] = None, language.NOT_ENGLISH
    truncated: bool | None
    truncated, spans = truncation.judge(reply.text, turn.stop_reason)
    told = turn.stop_reason is not StopReason.UNKNOWN
    if truncated and not told and language.is_other_script(reply.text):
        truncated, spans, unscored["truncated"] = None, [], language.NO_MARKS
    return ResponseFindings(
        index, words, naming, truncated=truncated, spans=tuple(spans), unscored=unscored
    )
