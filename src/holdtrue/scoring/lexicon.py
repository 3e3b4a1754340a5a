"""Word classes, kept as data in ``data/weights/findings_words.toml``, and their look-up.

A word's classes are the bits of an integer, so that a sentence's classes are those of its words
together, and a detector can pass by a sentence that holds nothing of its own.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources

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
MEDIUM = 1 << 33
NO_WORD = 1 << 34
ENDS = 1 << 35
ENDS_UNLESS_FIRST = 1 << 36

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
    "medium": MEDIUM,
    "subject": SUBJECT,
    "life": LIFE,
}
_ABSTRACT = re.compile(
    r"\w{3,}(?:tions?|sions?|ments?|ities|ity|ness|ances?|ences?|ships?|ancy|ency|isms?|ological|"
    r"ively|izing|ising|ating|ative|ional|ability|ingful|ingly)$"
)
_WORD = re.compile("\ue000+|\\w+(?:['-]\\w+)*")
_END = re.compile(r"[.!?…][.!?…\"')\]*_]*\Z")
_ABBREVIATIONS = frozenset(
    ["mr", "mrs", "ms", "dr", "st", "no", "vs", "etc", "capt", "prof", "approx", "e.g", "i.e"]
)
LONGEST_ABBREVIATION = 6
_KEPT = 100_000


class Classes(dict[str, int]):
    """The classes of a token (a word with the marks that stand at it), found once and kept.

    A token of several words ("this—that") has the classes of all; one without a word is NO_WORD.
    Numerals are SPECIFIC; a long word whose ending makes an abstract noun or adjective is ABSTRACT.
    A token that ends a sentence is ENDS; "3." is ENDS_UNLESS_FIRST in its line, where it numbers a
    list.
    """

    def __init__(self, listed: dict[str, int]) -> None:
        super().__init__(listed)
        self._listed = listed

    def __missing__(self, token: str) -> int:
        if len(self) > _KEPT:
            self.clear()
            self.update(self._listed)
        words = _WORD.findall(token)
        found = 0 if words else NO_WORD
        for word in words:
            found |= self._listed.get(word, 0) | _by_spelling(word)
        self[token] = found = found | _ending(token)
        return found


class Words(dict[str, str]):
    """The first word of a token without the marks at it ("" for none), found once and kept."""

    def __missing__(self, token: str) -> str:
        if len(self) > _KEPT:
            self.clear()
        match = _WORD.search(token)
        self[token] = word = match[0] if match else ""
        return word


WORDS = Words()


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


@lru_cache(maxsize=1)
def classes() -> Classes:
    """The table of word classes, read once."""
    source = resources.files("holdtrue") / "data" / "weights" / "findings_words.toml"
    lists: dict[str, str] = tomllib.loads(source.read_text(encoding="utf-8"))
    listed: dict[str, int] = {}
    for name, words in lists.items():
        for word in words.split():
            listed[word] = listed.get(word, 0) | _CLASSES[name] | _by_spelling(word)
    return Classes(listed)
