"""Generic AI: does the speaker drop the persona and speak as any language model would?

Evidence is gathered sentence by sentence and added up: claims to be a model, program or somebody's
product; talk of training and text statistics; denials of memory, feeling or history put as a rule
about what such things have; offers of general help. Quoted sentences and denied claims count
nothing, and "I'm an AI" alone is honest, not a collapse. It does not judge whether a claim is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdtrue.scoring import cues
from holdtrue.scoring.lexicon import (
    ANYONE,
    ASSISTANT_TALK,
    HELP,
    MACHINE,
    MAKE,
    MAKER,
    NAME_MARK,
    NEGATION,
    PRODUCT,
    SOURCE,
    SPECIFIC,
    STATE,
    WE,
)
from holdtrue.scoring.measures import Span
from holdtrue.scoring.text import Prompt, Sentence, Text, kinds_of, words_of

THRESHOLD = 2.0
RULED = 2.0  # a denial put as a rule about machines or men
DENIED = 1.0
CERTAIN = 2.0  # a claim to be a model in a text of general words
MODEST = 1.0  # a claim to be a program
GENERIC = 0.10  # share of generic words at which a text is one of general words
CONCRETE = 0.06  # share below which a text with numbers or times speaks of its own world
CONCRETE_CREDIT = 0.5
_RELEVANT = MACHINE | MAKER | SOURCE | STATE | PRODUCT | ASSISTANT_TALK
MIN_TALK = 3  # assistants' words that a denial alone needs beside it
TALK_SHARE = 0.05  # of all words
TALK_EACH = 0.4  # weight of each assistants' word after the first
TALK_MOST = 1.6
_DENIES = "denies memory, feeling or history as a rule"
_CLAIMS = frozenset(cue.reason for cue in cues.CUES if cue.family == "claim")
_BARE_CLAIM = "calls itself a model or program"


class _Aside:
    """Reasons that count only beside other evidence, each at most as much as stated."""

    NOBODY = "says that nothing and nobody is there"
    MADE = "explains itself as the making of text"
    DATA = "explains itself by data and statistics"
    TOOL = "speaks of a tool or service"
    ANYONE = "speaks to whoever asks"
    OFFER = "offers general help"
    ITSELF = "denies something of itself in an assistant's words"


_WORTH = {
    _Aside.NOBODY: 0.75,
    _Aside.MADE: 0.75,
    _Aside.DATA: 0.75,
    _Aside.TOOL: 0.5,
    _Aside.ANYONE: 0.75,
    _Aside.OFFER: 1.0,
    _Aside.ITSELF: 0.5,
}


@dataclass(slots=True)
class _Evidence:
    weight: float
    start: int
    end: int
    reason: str


def judge(text: Text, prompt: Prompt) -> tuple[bool, list[Span]]:
    """Whether the response speaks as a generic AI, with the spans of the evidence if so.

    Words that the prompt brought in are not held against the reply.
    """
    if not text.kinds & _RELEVANT:
        return False, []
    found: list[_Evidence] = []
    for sentence in text.sentences:
        tried = cues.cues_for(sentence.kinds & cues.NEEDED)
        denies = sentence.kinds & NEGATION and sentence.kinds & STATE
        if tried or denies:
            found += _evidence(text, sentence, tried)
    total = sum([evidence.weight for evidence in found])
    if total < THRESHOLD and (beside := _beside(text, prompt, found)):
        found += beside
        total += sum({aside.reason: aside.weight for aside in beside}.values())
    concrete = text.generic_share < CONCRETE and text.kinds & SPECIFIC
    if concrete and not any([evidence.weight >= CERTAIN for evidence in found]):
        total -= CONCRETE_CREDIT
    if total < THRESHOLD:
        return False, []
    return True, [Span("generic_ai", item.start, item.end, item.reason) for item in found]


def _beside(text: Text, prompt: Prompt, found: list[_Evidence]) -> list[_Evidence]:
    """What counts only beside other evidence; nothing where that is missing."""
    kept = _is_kept(text)
    if kept and all([evidence.reason in cues.EXPLAINS for evidence in found]):
        return []
    if not found and not _may_count(text):
        return []
    denials = [] if any(one.reason == _DENIES for one in found) else _of_itself(text)
    if not found and not denials and not any([_nobody(text, one) for one in text.sentences]):
        return []
    asides = [aside for sentence in text.sentences for aside in _asides(text, sentence)] + denials
    reasons = {aside.reason for aside in asides}
    if any(evidence.reason in _CLAIMS for evidence in found):
        reasons.discard(_Aside.TOOL)
    talk = 0 if kept else _assistant_words(text, prompt)
    explains = len(reasons & {_Aside.MADE, _Aside.DATA, _Aside.TOOL}) > 1
    if not explains:
        reasons.discard(_Aside.NOBODY)
    denies = _Aside.ITSELF in reasons and talk >= MIN_TALK
    if not found and not denies and _Aside.NOBODY not in reasons:
        return []
    beside = [aside for aside in asides if aside.reason in reasons]
    if talk >= MIN_TALK and talk >= TALK_SHARE * text.size:
        weight = min(TALK_EACH * (talk - 1), TALK_MOST)
        whole = (text.sentences[0].start, text.sentences[-1].end)
        beside.append(_Evidence(weight, *whole, f"{talk} words of assistants on themselves"))
    return beside


def _may_count(text: Text) -> bool:
    """Whether asides could count with no other evidence: a denial in an assistant's words, or
    nobody there beside two ways of explaining itself as made."""
    kinds = text.kinds
    if not kinds & NEGATION:
        return False
    ways = bool(kinds & MACHINE) + bool(kinds & MAKE) + bool(kinds & SOURCE)
    return ways > 1 or text.count(ASSISTANT_TALK) >= MIN_TALK


def _of_itself(text: Text) -> list[_Evidence]:
    """The first denial of something of its own, in an assistant's words or of all there is."""
    for sentence in text.sentences:
        if not sentence.kinds & NEGATION:
            continue
        match = cues.OF_ITSELF.search(sentence.text)
        if match is None or not _is_own(text, sentence, match):
            continue
        if _talks_after(sentence, match.end()) or cues.ABSENT.search(sentence.text):
            return [_at(sentence, match, _WORTH[_Aside.ITSELF], _Aside.ITSELF)]
    return []


def _talks_after(sentence: Sentence, place: int) -> bool:
    """Whether an assistant's word follows a place in a sentence."""
    return bool(
        sentence.kinds & ASSISTANT_TALK and kinds_of(sentence.text[place:]) & ASSISTANT_TALK
    )


def _assistant_words(text: Text, prompt: Prompt) -> int:
    """Different words of assistants on themselves that are neither quoted nor from the prompt."""
    words = {
        word
        for sentence in text.sentences
        if sentence.kinds & ASSISTANT_TALK
        for word in sentence.words(ASSISTANT_TALK)
    }
    if text.quotations:
        words.intersection_update(words_of(text.unquoted()))
    return len(words.difference(prompt.words))


def _is_kept(text: Text) -> bool:
    """Whether the persona is still there: the reply names it, or speaks of "us"."""
    return bool(text.kinds & WE) or NAME_MARK in text.masked


def _evidence(text: Text, sentence: Sentence, tried: Sequence[cues.Cue]) -> Iterator[_Evidence]:
    """What counts by itself in one sentence; of each family of cues the first that matches."""
    kinds = sentence.kinds
    seen: set[str] = set()
    if kinds & NEGATION and kinds & STATE:
        denial = cues.DENIAL.search(sentence.text)
        if denial and cues.DENIED.search(sentence.text, denial.end()):
            weight = RULED if cues.AS_A_RULE.search(sentence.text) else DENIED
            if _is_own(text, sentence, denial):
                seen.add("denial")
                yield _at(sentence, denial, weight, _DENIES)
    for cue in tried:
        if cue.family in seen:
            continue
        match = cue.pattern.search(sentence.text)
        if match is not None and _is_own(text, sentence, match):
            seen.add(cue.family)
            yield _at(sentence, match, _weight(cue, match, text), cue.reason)


def _weight(cue: cues.Cue, match: re.Match[str], text: Text) -> float:
    if cue.reason != _BARE_CLAIM:
        return cue.weight
    if text.generic_share >= GENERIC:
        return CERTAIN
    if cues.is_modest(match):
        return MODEST
    return CERTAIN if cues.is_belittling(match) else cue.weight


def _asides(text: Text, sentence: Sentence) -> Iterator[_Evidence]:
    """What counts only beside other evidence in one sentence."""
    kinds = sentence.kinds
    yield from _nobody(text, sentence)
    if kinds & MACHINE:
        yield from _search(text, sentence, cues.A_TOOL, _Aside.TOOL)
    if kinds & MAKE and kinds & (PRODUCT | SOURCE):
        yield _Evidence(_WORTH[_Aside.MADE], sentence.start, sentence.end, _Aside.MADE)
    if kinds & SOURCE and kinds & (PRODUCT | MACHINE):
        yield _Evidence(_WORTH[_Aside.DATA], sentence.start, sentence.end, _Aside.DATA)
    if kinds & ANYONE and (match := cues.SPOKEN_TO_ANYONE.search(sentence.text)):
        yield _at(sentence, match, _WORTH[_Aside.ANYONE], _Aside.ANYONE)
    if kinds & HELP and (match := cues.OFFER.search(sentence.text)):
        yield _at(sentence, match, _WORTH[_Aside.OFFER], _Aside.OFFER)


def _nobody(text: Text, sentence: Sentence) -> list[_Evidence]:
    """What a sentence says of nothing and nobody being there."""
    if not sentence.kinds & NEGATION:
        return []
    return _search(text, sentence, cues.NOBODY_THERE, _Aside.NOBODY)


def _search(
    text: Text, sentence: Sentence, pattern: re.Pattern[str], reason: str
) -> list[_Evidence]:
    match = pattern.search(sentence.text)
    if match is None or not _is_own(text, sentence, match):
        return []
    return [_at(sentence, match, _WORTH[reason], reason)]


def _at(sentence: Sentence, match: re.Match[str], weight: float, reason: str) -> _Evidence:
    return _Evidence(weight, sentence.start + match.start(), sentence.start + match.end(), reason)


def _is_own(text: Text, sentence: Sentence, match: re.Match[str]) -> bool:
    """Whether the speaker says it of itself: not quoted, not denied, not somebody else's words."""
    if text.is_quoted(sentence.start + match.start()):
        return False
    before = sentence.text[max(0, match.start() - 60) : match.start()]
    if cues.NOT_CLAIMED.search(before):
        return False
    return not cues.REPORTED.search(before) or cues.I_SAY.search(before) is not None
