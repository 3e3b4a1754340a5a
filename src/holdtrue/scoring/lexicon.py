"""Word classes and word weights, kept as data, and their look-up.

A word's classes (``data/weights/findings_words.toml``) are the bits of an integer, so that a
sentence's classes are those of its words together, and a detector can pass by a sentence that holds
nothing of its own. Word weights (``data/weights/word_weights.json``) are what single words add to a
fitted score. What is known of a token is looked up once, all together, which is most of what makes
scoring fast.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

SELF = 1 << 0
YOU = 1 << 1
WE = 1 << 2
AUDIENCE = 1 << 3
GENERIC = 1 << 4
SPECIFIC = 1 << 5
RELATION = 1 << 6
STOCK = 1 << 7
COLLECTIVE = 1 << 8
MACHINE = 1 << 9
MAKER = 1 << 10
SOURCE = 1 << 11
STATE = 1 << 12
NEGATION = 1 << 13
HELP = 1 << 14
PAST = 1 << 15
SUBJECT = 1 << 16
LIFE = 1 << 17
ABSTRACT = 1 << 18
PRODUCT = 1 << 19
MAKE = 1 << 20
RELATING = 1 << 21
ASSISTANT_TALK = 1 << 22
FRAME = 1 << 23
TRAINED = 1 << 24
SERVED = 1 << 25
SENSED = 1 << 26
LASTING = 1 << 27
ANYONE = 1 << 28
SUPPOSED = 1 << 29
PAIRING = 1 << 30
ENGLISH = 1 << 31
FOREIGN = 1 << 32
SEVERAL = 1 << 33  # a token of several words
EVERYDAY = 1 << 34
HEDGE = 1 << 35
PLURAL = 1 << 36
GENERAL = 1 << 37  # GENERIC or ABSTRACT
MOOD = 1 << 38
NO_WORD = 1 << 39
OUTSET = 1 << 40
LEARNED = 1 << 41
LEARNED_FROM = 1 << 42

NAME_MARK = "\x1a"
"""Stands for every character of the persona's names, wherever they are hidden: no letter, no blank,
and ASCII, so that hiding a name makes no text wider."""

_CLASSES = {
    "self": SELF,
    "you": YOU,
    "we": WE,
    "audience": AUDIENCE,
    "generic": GENERIC,
    "specific": SPECIFIC,
    "relation": RELATION,
    "relating": RELATING,
    "stock": STOCK,
    "collective": COLLECTIVE,
    "machine": MACHINE,
    "maker": MAKER,
    "source": SOURCE,
    "product": PRODUCT,
    "make": MAKE,
    "state": STATE,
    "negation": NEGATION,
    "help": HELP,
    "assistant_talk": ASSISTANT_TALK,
    "frame": FRAME,
    "english": ENGLISH,
    "foreign": FOREIGN,
    "pairing": PAIRING,
    "trained": TRAINED,
    "served": SERVED,
    "sensed": SENSED,
    "lasting": LASTING,
    "anyone": ANYONE,
    "past": PAST,
    "supposed": SUPPOSED,
    "subject": SUBJECT,
    "life": LIFE,
    "everyday": EVERYDAY,
    "hedge": HEDGE,
    "mood": MOOD,
    "outset": OUTSET,
    "learned": LEARNED,
    "learned_from": LEARNED_FROM,
}
ENDS, ENDS_UNLESS_FIRST = 1, 2
"""Whether a token ends a sentence; "3." does unless it is the first of its line, where it numbers
a list."""

_ABSTRACT = re.compile(
    r"\w{3,}(?:tions?|sions?|ments?|ities|ity|ness|ances?|ences?|ships?|ancy|ency|isms?|ological|"
    r"ively|izing|ising|ating|ative|ional|ability|ingful|ingly)$"
)
_WORD = re.compile(rf"{NAME_MARK}+|[^\W_]+(?:['_-][^\W_]+)*")
_END = re.compile(r"[.!?…][.!?…\"')\]*_]*\Z")
_ABBREVIATIONS = frozenset(
    ["mr", "mrs", "ms", "dr", "st", "no", "vs", "etc", "capt", "prof", "approx", "e.g", "i.e"]
)
_MARKS = ".,;:!?…\"'()[]*_-–—"
"""What may stand at a word; a word within it is the same word."""
LONGEST_ABBREVIATION = 6
SHORTEST_PLURAL = 5
_NOT_PLURAL = ("ss", "us", "is", "'s")
_KEPT, _LONGEST_KEPT = 100_000, 64

FIELD = 24
"""Bits of a packed count: texts of up to 16 million words."""
COUNTED = {
    kind: FIELD * place
    for place, kind in enumerate(
        (
            *(NO_WORD, GENERAL, EVERYDAY, HEDGE, PLURAL, SPECIFIC, FOREIGN, ENGLISH),
            *(YOU, RELATION, RELATING, STOCK, ASSISTANT_TALK),
        )
    )
}
"""The classes that are counted in nearly every reply: where their count stands."""


WORD_SCORES = ("collapse", "partnership", "stock_partnership", "lecture", "confabulation")
"""The scores that single words have weights in, in the order of the weights file."""
HUNDREDTHS = 100
NAME_KEY = "NAME"
"""How the persona's name is written in the weights file, where words are lower case."""
WEIGHED = FIELD * len(COUNTED)
"""Where the number of words with weights stands in a packed count; their sums follow it."""
WEIGHT_FIELD = 40
WEIGHT_PRIOR = 5
"""Words without weight that every mean counts besides."""
WEIGHT_OFFSET = 1 << 14
"""Added to every weight in hundredths, so that sums stay positive."""
_MOST = (1 << FIELD) - 1
_MOST_WEIGHT = (1 << WEIGHT_FIELD) - 1
WEIGHT_PLACES = {
    score: WEIGHED + FIELD + WEIGHT_FIELD * place for place, score in enumerate(WORD_SCORES)
}
"""Where the sum of a score's word weights stands in a packed count."""


class Token(NamedTuple):
    """What is known of a token: a word, or several, with the marks that stand at it.

    ``classes`` are those of all its words; one without a word is NO_WORD, one with more SEVERAL.
    ``words`` are without those marks, blanks between them, every name one NAME_MARK. ``counts`` has
    a 1 in the field of each of its COUNTED classes, and behind them the number and the weights of
    its words that have weights, so that a text's counts are the sum of its tokens'. ``end`` is 0,
    ENDS or ENDS_UNLESS_FIRST.
    """

    classes: int
    words: str
    counts: int
    end: int


class Tokens(dict[str, Token]):
    """What is known of every token, found once and kept; bounded against hostile text.

    Numerals are SPECIFIC; a long word whose ending makes an abstract noun or adjective is ABSTRACT;
    one that ends in an s of its own is PLURAL, unless it is EVERYDAY.
    """

    def __init__(self, listed: dict[str, int], weights: Mapping[str, Sequence[float]]) -> None:
        super().__init__()
        self._listed = listed
        self._packed = {
            NAME_MARK if word == NAME_KEY else word: _pack(each) for word, each in weights.items()
        }

    def packed(self, words: Iterable[str]) -> int:
        """The packed weights of some words."""
        return sum([self._packed.get(word, 0) for word in words])

    def __missing__(self, token: str) -> Token:
        bare = token.strip(_MARKS)
        if bare.isalnum() and bare != token:
            known = Token(*self[bare][:-1], _ending(token))
        else:
            known = self._find(token)
        if len(token) <= _LONGEST_KEPT:
            if len(self) >= _KEPT:
                self.clear()
            self[token] = known
        return known

    def _find(self, token: str) -> Token:
        words = [NAME_MARK if word[0] == NAME_MARK else word for word in _WORD.findall(token)]
        found = (SEVERAL if len(words) > 1 else 0) if words else NO_WORD
        for word in words:
            listed = self._listed.get(word, 0)
            found |= listed | _by_spelling(word)
            if not listed & EVERYDAY and _is_plural(word):
                found |= PLURAL
        if found & (GENERIC | ABSTRACT):
            found |= GENERAL
        counts = _counted(found) + self.packed(words)
        return Token(found, sys.intern(" ".join(words)), counts, _ending(token))


@lru_cache(maxsize=4096)
def _counted(classes: int) -> int:
    """The packed count of one token of some classes."""
    return sum([1 << place for kind, place in COUNTED.items() if classes & kind])


def _pack(weights: Sequence[float]) -> int:
    """The weights of a word in every score as they are added to a packed count."""
    return (1 << WEIGHED) + sum(
        (WEIGHT_OFFSET + round(weight * HUNDREDTHS)) << WEIGHT_PLACES[score]
        for score, weight in zip(WORD_SCORES, weights, strict=True)
    )


def weighed(counts: int) -> int:
    """How many words with weights a packed count holds."""
    return counts >> WEIGHED & _MOST


def mean_weight(counts: int, score: str, number: int) -> float:
    """The mean weight in a score of the words in a packed count, taken over ``number`` words.

    WEIGHT_PRIOR more words without weight are counted, since the mean of a few says little.
    """
    total = (counts >> WEIGHT_PLACES[score] & _MOST_WEIGHT) - WEIGHT_OFFSET * weighed(counts)
    return total / HUNDREDTHS / (number + WEIGHT_PRIOR)


def _ending(token: str) -> int:
    """Whether a token ends a sentence."""
    match = _END.search(token)
    if match is None:
        return 0
    word = token[: match.start()]
    if token[match.start()] != "." or len(word) > LONGEST_ABBREVIATION:
        return ENDS
    if word.isdigit():
        return ENDS_UNLESS_FIRST
    word = word.lstrip("(\"'")
    short = word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word != "i")
    return 0 if short else ENDS


def _by_spelling(word: str) -> int:
    if word[0].isdigit():
        return SPECIFIC
    return ABSTRACT if 6 < len(word) < 30 and _ABSTRACT.match(word) else 0


def _is_plural(word: str) -> bool:
    return len(word) >= SHORTEST_PLURAL and word[-1] == "s" and not word.endswith(_NOT_PLURAL)


@lru_cache(maxsize=1)
def tokens() -> Tokens:
    """The table of tokens; the word classes and weights are read once."""
    folder = resources.files("holdtrue") / "data" / "weights"
    classes = (folder / "findings_words.toml").read_text(encoding="utf-8")
    weights = json.loads((folder / "word_weights.json").read_text(encoding="utf-8"))
    lists: dict[str, str] = tomllib.loads(classes)
    listed: dict[str, int] = {}
    for name, words in lists.items():
        for word in words.split():
            listed[word] = listed.get(word, 0) | _CLASSES[name]
    return Tokens(listed, weights["words"])
