"""Words of a conversation, and phrases that come again across its turns.

Phrases are runs of three equal words; a thought repeated in other words is not seen. Every name
of the persona counts as one same word, so that nothing here depends on how a persona is called.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from holdtrue.persona import Persona

RUN = 3
LONGEST_KEPT = 2_000
Run = tuple[str, str, str]

NAME = "q0"  # a word that no reply has; in ASCII
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_TYPOGRAPHIC = "—–“”…•"
# On ASCII text, blanks for every mark but apostrophes within words, then a split, gives the words
# that the pattern finds, in half the time or less.
_BLANKS = {code: " " for code in range(128) if not chr(code).isalnum() and chr(code) != "'"}


class Names:
    """A persona's names and its expansion."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = sorted(set(names), key=lambda name: (-len(name), name))
        self._pattern = re.compile(
            r"(?<!\w)(?:" + "|".join(map(re.escape, self._names)) + r")(?!\w)"
        )

    def masked(self, text: str) -> str:
        """The text with every name replaced by NAME."""
        for name in self._names:
            if name in text:
                return self._pattern.sub(NAME, text)
        return text


def names_of(persona: Persona) -> Names:
    """The names to be masked for a persona."""
    return _names((*persona.names, persona.expansion) if persona.expansion else persona.names)


@lru_cache(maxsize=256)
def _names(names: tuple[str, ...]) -> Names:
    return Names(names)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text, lower-cased, with straight apostrophes and NAME for every name; and
    its different runs of three words."""

    all: list[str]
    runs: set[Run]

    @classmethod
    def of(cls, text: str, names: Names) -> Words:
        words = _words(names.masked(text).lower())
        return cls(words, set(zip(words, words[1:], words[2:], strict=False)))


def _words(text: str) -> list[str]:
    if not text.isascii():
        text = text.replace("’", "'")
        for mark in _TYPOGRAPHIC:
            text = text.replace(mark, " ")
        if not text.isascii():
            return _WORD.findall(text)
    if "''" in text:
        return _WORD.findall(text)
    text = f" {text} ".translate(_BLANKS)
    return text.replace(" '", " ").replace("' ", " ").split()


@lru_cache(maxsize=1_000)
def _kept(text: str, names: Names) -> Words:
    return Words.of(text, names)


def prompt_words(text: str, names: Names) -> Words:
    """The words of a prompt, kept if it is short: sessions share their prompts."""
    return _kept(text, names) if len(text) <= LONGEST_KEPT else Words.of(text, names)


def overlaps(replies: Sequence[Words]) -> list[float | None]:
    """Per reply, the share of its different runs that an earlier one has, in [0, 1].

    None where it cannot be said: nothing was said before it, or it has fewer than three words.
    """
    seen: set[Run] = set()
    values: list[float | None] = []
    for runs in (reply.runs for reply in replies):
        values.append(len(runs & seen) / len(runs) if seen and runs else None)
        seen |= runs
    return values
