"""Where a response names the persona: by name, alias, variant or spelled-out expansion.

It finds places and says nothing of what they do in the sentence; that is ``selfref.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from holdtrue.persona import Persona

# "SAGE-Legion", 'SAGE "Legion,"', "SAGE's"; the variant must itself be capitalised.
_VARIANT = r"(?:-[A-Z][\w]*|\s[\"“'‘][A-Z][\w ]{0,30},?[\"”'’])?"
_DESCRIPTION = re.compile(r",\s+(?:an?|the|your|our|one)\s|\s[-–—]\s|[;:(]")


@dataclass(frozen=True, slots=True)
class Mention:
    """Characters ``start:end`` that name the persona; ``expansion`` if its acronym is spelled out.

    ``exact`` is False for another letter case than the persona's ("Vera" for VERA), which is as
    likely to be somebody else.
    """

    start: int
    end: int
    expansion: bool = False
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Names:
    """The compiled names of one persona."""

    exact: re.Pattern[str]
    other_case: re.Pattern[str] | None
    expansion: re.Pattern[str] | None
    plain: tuple[str, ...]

    def find(self, text: str) -> list[Mention]:
        """Every mention in order of place, none overlapping another."""
        found: list[Mention] = []
        if self.expansion is not None:
            found += [
                Mention(*match.span(), expansion=True) for match in self.expansion.finditer(text)
            ]
        found += [Mention(*match.span()) for match in self.exact.finditer(text)]
        if self.other_case is not None:
            found += [
                Mention(*match.span(), exact=False) for match in self.other_case.finditer(text)
            ]
        if len(found) < 2:
            return found
        found.sort(key=lambda mention: (mention.start, -mention.end))
        kept: list[Mention] = []
        for mention in found:
            if not kept or mention.start >= kept[-1].end:
                kept.append(mention)
        return kept


def names_of(persona: Persona) -> Names:
    """The compiled names of a persona (kept for the personas seen last)."""
    return _compile(persona.names, persona.expansion)


@lru_cache(maxsize=256)
def _compile(names: tuple[str, ...], expansion: str | None) -> Names:
    longest_first = sorted(set(names), key=len, reverse=True)
    exact = re.compile(rf"(?<![\w-])(?:{'|'.join(map(_flexible, longest_first))}){_VARIANT}(?!\w)")
    titled = {name.title() for name in names if name.isupper() and len(name) > 1} - set(names)
    other = (
        re.compile(rf"(?<![\w-])(?:{'|'.join(map(_flexible, titled))})(?!\w)") if titled else None
    )
    core = core_expansion(names[0], expansion) if expansion else None
    spelled = (
        re.compile(rf"(?<![\w-]){_flexible(core)}(?!\w)", re.IGNORECASE)
        if core and core not in names
        else None
    )
    return Names(exact, other, spelled, tuple(longest_first))


def core_expansion(name: str, expansion: str) -> str:
    """What the name itself stands for, without the description that may follow it.

    "Vent and Root Assistant, a greenhouse robot" gives "Vent and Root Assistant": the shortest
    prefix whose capitals spell the name, or else what comes before the description.
    """
    letters = [letter for letter in name.upper() if letter.isalpha()]
    words = list(re.finditer(r"\w+", expansion))
    position = 0
    for word in words:
        if position < len(letters) and word[0][0] == letters[position]:
            position += 1
            if position == len(letters) and len(letters) > 1:
                return expansion[: word.end()]
    cut = _DESCRIPTION.search(expansion)
    return (expansion[: cut.start()] if cut else expansion).strip().rstrip(".")


def _flexible(name: str) -> str:
    """A pattern for a name whose spaces, hyphens and commas may vary."""
    words = re.findall(r"[^\s,-]+", name)
    return r"[\s,-]{1,3}".join(map(re.escape, words)) if words else re.escape(name)
