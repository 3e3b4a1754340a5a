"""The features on which calibrated scores rest: thirteen numbers per response, each in [0, 1].

Every one has a direction fixed before fitting, for a reason given in FEATURES; the fit may give it
no weight, but never turn it round. They are counts of word classes, marks of layout, phrases that
come again, words shared with the partner, and findings. They do not understand the reply: a
fluent, concrete answer to another question has good features. The word classes are English, and
a reply in another language has no features but a reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from holdtrue.scoring.measures import Naming, ResponseFindings
from holdtrue.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Feature:
    """``sign`` +1 where more of it reads better, -1 where worse; ``why`` in a few words."""

    sign: int
    why: str


FEATURES: Mapping[str, Feature] = {
    "everyday_words": Feature(+1, "share of articles, pronouns, auxiliaries: speech, not jargon"),
    "support": Feature(+1, "share of content words that the partner has used"),
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


WORD = re.compile(r"\w+(?:'\w+)*")
LINE = re.compile(r"^[ \t]*\S", re.MULTILINE)
LIST_LINE = re.compile(r"^[ \t]*(?:[-*•–]|\d{1,2}[.)]|#{1,6})[ \t]", re.MULTILINE)
BRACKETED_QUOTE = re.compile(r"\([\"“'][^()\n]{1,80}[\"”'][^()\n]{0,80}\)")
NAME = "ℕ"  # a letter, so that it counts as a word, and one that no reply in English has
NON_LATIN = re.compile(r"[^\W\d_\u0000-\u024f]")
SCRATCHPAD = re.compile(r"<(think|thinking|scratchpad|reasoning)>(\s*</\1>)?", re.IGNORECASE)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


HEDGES = frozenset(["may", "might", "can", "could", "would"])
FUNCTION_WORDS = _set(
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
STEM = 5  # characters of a word that stand for it when texts are compared
LONG_ENOUGH = 80
RUN = 3
SPEECH = 0.5  # everyday words of fluent speech; more of them is no better
FREE_REPETITION = 0.2  # some phrases come again in any conversation
# Shares of a short reply are drawn to those of ordinary replies, as if it had ten words more.
PRIOR_WORDS, PRIOR_EVERYDAY, PRIOR_PLURAL, PRIOR_HEDGED = 10, 0.38, 0.10, 0.01

_OTHER, _FUNCTION, _HEDGE, _PLURAL = range(4)


class _Kinds(dict[str, int]):
    """The class of a lower-cased word, worked out once; bounded against hostile text."""

    def __missing__(self, word: str) -> int:
        if word in HEDGES:
            kind = _HEDGE
        elif word in FUNCTION_WORDS:
            kind = _FUNCTION
        elif len(word) >= PLURAL_LENGTH and word[-1] == "s" and not word.endswith(NOT_PLURAL):
            kind = _PLURAL
        else:
            kind = _OTHER
        if len(self) < 50_000:
            self[word] = kind
        return kind


_KINDS = _Kinds()


def session_features(transcript: Transcript, findings: Sequence[ResponseFindings]) -> list[Row]:
    """The features of every response, in order.

    The persona's names and its expansion count as one same word each, so that no score depends
    on how a persona is called. A finding that is unscored counts as absent.
    """
    names = _names(transcript.persona.names, transcript.persona.expansion)
    partner: set[str] = set()
    said: set[tuple[str, ...]] = set()
    rows = []
    for turn, finding in zip(transcript.turns, findings, strict=True):
        asked = _words(turn.prompt, names)
        partner |= _content(asked)
        said.update(_runs(asked))
        words = _words(turn.response, names)
        reason = _unreadable(turn.response, words)
        repeated = _repeated(words, said)
        if reason is not None:
            rows.append(Row(None, reason))
            continue
        values = {
            **_word_shares(words, partner),
            **_layout(turn.response),
            "overlong": min(1.0, max(0.0, len(words) / LONG_ENOUGH - 1)),
            "repeated": max(0.0, (repeated - FREE_REPETITION) / (1 - FREE_REPETITION)),
            "natural_partnership": float(finding.partnership is Naming.NATURAL),
            "truncated": float(bool(finding.truncated)),
            "generic_ai": float(bool(finding.generic_ai)),
            "lecture": float(bool(finding.lecture)),
            "confabulated": float(bool(finding.confabulated)),
        }
        rows.append(Row({name: values[name] for name in FEATURES}))
    return rows


def _unreadable(response: str, words: Sequence[str]) -> str | None:
    """Why the features would say nothing of this response, or None."""
    if not response.strip():
        return "empty response"
    if not words:
        return "the response has no words"
    if NON_LATIN.search(response):
        letters = sum(map(str.isalpha, response))
        if 2 * len(NON_LATIN.findall(response)) > letters:
            return "not in the Latin script; the weights were fitted on English"
    if not FOREIGN_WORDS.isdisjoint(words):
        foreign = sum(map(FOREIGN_WORDS.__contains__, words))
        if foreign >= 3 and foreign > sum(map(FUNCTION_WORDS.__contains__, words)):
            return "not in English; the weights were fitted on English"
    return None


def _word_shares(words: Sequence[str], partner: set[str]) -> dict[str, float]:
    kinds = list(map(_KINDS.__getitem__, words))
    hedges, plurals = kinds.count(_HEDGE), kinds.count(_PLURAL)
    everyday = kinds.count(_FUNCTION) + hedges
    content = _content(words)
    total = len(words) + PRIOR_WORDS
    return {
        "everyday_words": min(SPEECH, (everyday + PRIOR_WORDS * PRIOR_EVERYDAY) / total),
        "generic_plurals": (plurals + PRIOR_WORDS * PRIOR_PLURAL) / total,
        "hedged": (hedges + PRIOR_WORDS * PRIOR_HEDGED) / total,
        "support": len(content & partner) / max(1, len(content)),
    }


def _layout(response: str) -> dict[str, float]:
    items = len(LIST_LINE.findall(response))
    clutter = len(BRACKETED_QUOTE.findall(response)) / 3 if "(" in response else 0.0
    if "<" in response and any(match[2] is None for match in SCRATCHPAD.finditer(response)):
        clutter = 1.0
    return {
        "list_lines": items / len(LINE.findall(response)) if items else 0.0,
        "clutter": min(1.0, clutter),
    }


def _repeated(words: Sequence[str], said: set[tuple[str, ...]]) -> float:
    """The share of runs of three words that were said before; puts its own among ``said``.

    "Before" includes this reply itself, so that a loop counts.
    """
    runs = _runs(words)
    new = set(runs) - said
    said |= new
    return 1 - len(new) / len(runs) if runs else 0.0


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(RUN)), strict=False))


def _content(words: Sequence[str]) -> set[str]:
    """The stems of the words that carry content."""
    return {word[:STEM] for word in set(words) - FUNCTION_WORDS - HEDGES if len(word) > 2}


def _words(text: str, names: _Names) -> list[str]:
    text = names.masked(text).lower()
    return WORD.findall(text if text.isascii() else text.replace("’", "'"))


class _Names:
    """A persona's names and expansion, each to be replaced by one word, NAME, in texts."""

    def __init__(self, names: tuple[str, ...]) -> None:
        longest_first = sorted(set(names), key=lambda name: (-len(name), name))
        self.names = longest_first
        self.pattern = re.compile(
            r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)"
        )

    def masked(self, text: str) -> str:
        if any(name in text for name in self.names):
            return self.pattern.sub(NAME, text)
        return text


@lru_cache(maxsize=256)
def _names(names: tuple[str, ...], expansion: str | None) -> _Names:
    return _Names((*names, expansion) if expansion else names)
