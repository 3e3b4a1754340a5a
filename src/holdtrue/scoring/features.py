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

from holdtrue.scoring.measures import Naming, ResponseFindings
from holdtrue.scoring.repetition import RUN, Run, Words, names_of, prompt_words
from holdtrue.transcript import Transcript


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


@dataclass(frozen=True, slots=True)
class Row:
    """The features of one response by name, or None and the reason."""

    values: Mapping[str, float] | None
    reason: str | None = None


LIST_LINE = re.compile(r"(?:[-*•–]|\d{1,2}[.)]|#{1,6})[ \t]")
BRACKETED_QUOTE = re.compile(r"\([\"“'][^()\n]{1,80}[\"”'][^()\n]{0,80}\)")
NON_LATIN = re.compile(r"[^\W\d_\u0000-\u024f]")
SCRATCHPAD = re.compile(r"<(think|thinking|scratchpad|reasoning)>(\s*</\1>)?", re.IGNORECASE)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


HEDGES = frozenset(["may", "might", "can", "could", "would"])
EVERYDAY_WORDS = HEDGES | _set(
    """i me my mine myself i'm i've i'll i'd you your yours yourself you're you've you'll you'd
    a an the and or but if so as at by for from in into of on to with about than that this these
    those it its is are was were be been being am do does did have has had we us our ours he him
    his she her they them their there here not no yes what which who how when where why all any
    some more most very just too also will shall should must it's that's we're we've don't isn't
    can't let's what's doesn't there's didn't wasn't won't wouldn't haven't"""
)
FOREIGN_WORDS = _set(
    """de la que el los las una por del su como pero der das und ist nicht ein eine ich mit auf
    für le les et une dans pour qui sur pas il ne je vous nous os que não um uma com em het een
    niet voor zijn di che è per sono non och att det som är jeg og ikke nie jest się"""
)
PLURAL_LENGTH = 5
NOT_PLURAL = ("ss", "us", "is", "'s")
LONG_ENOUGH = 80
CACHED, LONGEST_CACHED = 50_000, 40
SPEECH = 0.5  # everyday words of fluent speech; more of them is no better
FREE_REPETITION = 0.2  # some phrases come again in any conversation
# Shares of a short reply are drawn to those of ordinary replies, as if it had ten words more.
PRIOR_WORDS, PRIOR_EVERYDAY, PRIOR_PLURAL, PRIOR_HEDGED = 10, 0.38, 0.10, 0.01

_OTHER, _EVERYDAY, _HEDGE, _PLURAL = range(4)
_FOREIGN = 4  # added to the class of a word that other languages have too


class _Kinds(dict[str, int]):
    """The class (a byte) of a lower-cased word, worked out once; bounded against hostile text."""

    def __missing__(self, word: str) -> int:
        if word in HEDGES:
            kind = _HEDGE
        elif word in EVERYDAY_WORDS:
            kind = _EVERYDAY
        elif len(word) >= PLURAL_LENGTH and word[-1] == "s" and not word.endswith(NOT_PLURAL):
            kind = _PLURAL
        else:
            kind = _OTHER
        if word in FOREIGN_WORDS:
            kind += _FOREIGN
        if len(self) < CACHED and len(word) <= LONGEST_CACHED:
            self[word] = kind
        return kind


_KINDS = _Kinds()


def session_features(
    transcript: Transcript, findings: Sequence[ResponseFindings], replies: Sequence[Words]
) -> list[Row]:
    """The features of every response, in order; ``replies`` are the words of each.

    A finding that is unscored counts as absent.
    """
    names = names_of(transcript.persona)
    said: set[Run] = set()
    rows = []
    for turn, finding, words in zip(transcript.turns, findings, replies, strict=True):
        said |= prompt_words(turn.prompt, names).runs
        new = words.runs - said
        said |= new
        kinds = bytes(map(_KINDS.__getitem__, words.all))
        reason = _unreadable(turn.response, kinds)
        if reason is None:
            runs = len(kinds) - RUN + 1
            repeated = 1 - len(new) / runs if runs > 0 else 0.0
            rows.append(Row(_features(turn.response, kinds, repeated, finding)))
        else:
            rows.append(Row(None, reason))
    return rows


def _unreadable(response: str, kinds: bytes) -> str | None:
    """Why the features would say nothing of this response, or None."""
    if not kinds:
        if not response.strip():
            return "empty response"
        return "the response has no words"
    if not response.isascii() and NON_LATIN.search(response):
        letters = sum(map(str.isalpha, response))
        if 2 * len(NON_LATIN.findall(response)) > letters:
            return "not in the Latin script; the weights were fitted on English"
    if max(kinds) >= _FOREIGN:
        foreign = sum([kind >= _FOREIGN for kind in kinds])
        everyday = sum([kind % _FOREIGN in (_EVERYDAY, _HEDGE) for kind in kinds])
        if foreign >= 3 and foreign > everyday:
            return "not in English; the weights were fitted on English"
    return None


def _features(
    response: str,
    kinds: bytes,
    repeated: float,
    finding: ResponseFindings,
) -> dict[str, float]:
    """The numbers, in the order of FEATURES. ``kinds`` are the classes of its words, ``repeated``
    is the share of all runs of words that were said before, in this reply too, so that a loop
    counts."""
    hedges = _count(kinds, _HEDGE)
    everyday = _count(kinds, _EVERYDAY) + hedges + PRIOR_WORDS * PRIOR_EVERYDAY
    total = len(kinds) + PRIOR_WORDS
    return {
        "everyday_words": min(SPEECH, everyday / total),
        "natural_partnership": float(finding.partnership is Naming.NATURAL),
        "generic_plurals": (_count(kinds, _PLURAL) + PRIOR_WORDS * PRIOR_PLURAL) / total,
        "hedged": (hedges + PRIOR_WORDS * PRIOR_HEDGED) / total,
        "list_lines": _list_lines(response),
        "overlong": min(1.0, max(0.0, len(kinds) / LONG_ENOUGH - 1)),
        "clutter": _clutter(response),
        "repeated": max(0.0, (repeated - FREE_REPETITION) / (1 - FREE_REPETITION)),
        "truncated": float(bool(finding.truncated)),
        "generic_ai": float(bool(finding.generic_ai)),
        "lecture": float(bool(finding.lecture)),
        "confabulated": float(bool(finding.confabulated)),
    }


def _count(kinds: bytes, kind: int) -> int:
    return kinds.count(kind) + kinds.count(kind + _FOREIGN)


def _list_lines(response: str) -> float:
    lines = [line.lstrip(" \t") for line in response.split("\n")]
    items = sum([LIST_LINE.match(line) is not None for line in lines])
    if not items:
        return 0.0
    return items / sum([bool(line) and not line[0].isspace() for line in lines])


def _clutter(response: str) -> float:
    if "<" in response and any(match[2] is None for match in SCRATCHPAD.finditer(response)):
        return 1.0
    return min(1.0, len(BRACKETED_QUOTE.findall(response)) / 3) if "(" in response else 0.0
