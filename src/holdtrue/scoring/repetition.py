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
Run = int
"""A run of three words, by its hash (61 bits)."""

NAME = "q0"  # a word that no reply has; in ASCII
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_KEPT, _LONGEST_TOKEN = 50_000, 40


class Names:
    """A persona's names and its expansion."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = sorted(set(names), key=lambda name: (-len(name), name))
        self._pattern = re.compile(
            r"(?<!\w)(?:" + "|".join(map(re.escape, self._names)) + r")(?!\w)"
        )

    def masked(self, text: str) -> str:
        """The text with every name replaced by NAME."""
        present = [name for name in self._names if name in text]
        if not present:
            return text
        if len(present) > 1:
            return self._pattern.sub(NAME, text)
        pieces = text.split(present[0])
        if any(_ends_in_word(piece) for piece in pieces[:-1]) or any(
            _begins_with_word(piece) for piece in pieces[1:]
        ):
            return self._pattern.sub(NAME, text)
        return NAME.join(pieces)


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
    def of(cls, text: str, names: Names, tokens: Sequence[str] | None = None) -> Words:
        """``tokens`` are what stands between the blanks of the lower-cased text, if known."""
        masked = names.masked(text)
        if tokens is None or masked is not text:
            tokens = masked.lower().split()
        words = " ".join(map(_TOKENS.__getitem__, tokens)).split()
        return cls(words, set(map(hash, zip(words, words[1:], words[2:], strict=False))))


def _ends_in_word(piece: str) -> bool:
    return bool(piece) and (piece[-1].isalnum() or piece[-1] == "_")


def _begins_with_word(piece: str) -> bool:
    return bool(piece) and (piece[0].isalnum() or piece[0] == "_")


class _Tokens(dict[str, str]):
    """The words of a token with blanks between them, found once; bounded against hostile text."""

    def __missing__(self, token: str) -> str:
        words = " ".join(_WORD.findall(token.replace("’", "'")))
        if len(self) < _KEPT and len(token) <= _LONGEST_TOKEN:
            self[token] = words
        return words


_TOKENS = _Tokens()


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
