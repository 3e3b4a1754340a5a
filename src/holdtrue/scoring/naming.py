"""Where a response names the persona: by name, alias, variant or spelled-out expansion.

It finds places and says nothing of what they do in the sentence; that is ``selfref.py``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from holdtrue.persona import Persona
from holdtrue.scoring.text import Prompt, fold

# "SAGE-Legion", 'SAGE "Legion,"', "SAGE (Legion)"; the variant must itself be capitalised.
_HYPHEN = r"[-\u2010\u2011]"
_VARIANT = rf"(?:{_HYPHEN}[A-Z]\w*|\s[\"“'‘(][A-Z][\w ]{{0,30}},?[\"”'’)])?"
_DESCRIPTION = re.compile(r",\s+(?:an?|the|your|our|one)\s|\s[-–—]\s|[;:(]")
_GIVEN = re.compile(
    r"\b[Yy]ou(?: are|'re|’re| -| –| —) (?:([A-Z][\w-]{1,30})(?![\w'’])|([a-z][\w-]{1,30}), "
    r"(?:running|an? |the |one of|our |my ))"
)
_OPENING = re.compile(r"\s*[\"*_]*[Aa]s ([A-Za-z][\w-]{1,30}),\s")
_NOT_NAMES = frozenset(
    [
        "always",
        "usual",
        "such",
        "ever",
        "before",
        "promised",
        "mentioned",
        "requested",
        "expected",
        "discussed",
        "noted",
        "described",
        "stated",
        "above",
        "well",
        "far",
        "follows",
        "planned",
        "agreed",
        "asked",
        "instructed",
        "ordered",
        "suggested",
        "explained",
        "said",
        "intended",
        "predicted",
        "needed",
        "desired",
        "previously",
        "earlier",
        "yet",
        "of",
        "today",
        "tomorrow",
        "humans",
        "people",
        "individuals",
    ]
)
TITLES = (
    r"captain|capt\.?|mr\.?|mrs\.?|ms\.?|miss|dr\.?|doctor|professor|prof\.?|sergeant|nurse|aunt|"
    r"uncle|sister|brother|mother|lady|lord|sir|king|queen"
)
"""Titles that stand before a name, as alternatives of a pattern."""
_TITLED = re.compile(
    rf"(?:{TITLES}|father|nana|granny|auntie|madame?|old)\.?\s+(?=[A-Z]\w+$)", re.IGNORECASE
)
MIN_OPENINGS = 2
KEPT, LONGEST_KEPT = 1_000, 2_000  # prompts


@dataclass(slots=True)
class Mention:
    """Characters ``start:end`` that name the persona; ``expansion`` if its acronym is spelled out.

    ``exact`` is False for another letter case than the persona's ("Vera" for VERA), which is as
    likely to be somebody else.
    """

    start: int
    end: int
    expansion: bool = False
    exact: bool = True

    @property
    def span(self) -> tuple[int, int]:
        return self.start, self.end


@dataclass(frozen=True, slots=True)
class Names:
    """The compiled names of one persona.

    ``common`` is True for a name that is not all capitals, which may also begin a sentence as an
    ordinary word. ``firsts`` are the first words of its names and of the expansion, folded.
    ``openings`` are names that replies give themselves in "As NAME, …".
    """

    exact: re.Pattern[str]
    other_case: re.Pattern[str] | None
    expansion: re.Pattern[str] | None
    common: bool
    firsts: tuple[str, ...]
    openings: frozenset[str] = frozenset()
    prompts: dict[str, Prompt] = field(default_factory=dict, compare=False)

    def prompt(self, text: str) -> Prompt:
        """What the partner said, with the names hidden; kept, since sessions share prompts."""
        found = self.prompts.get(text)
        if found is None:
            folded = fold(text)
            found = Prompt(folded, [mention.span for mention in _apart(self._named(text, folded))])
            if len(text) <= LONGEST_KEPT and len(self.prompts) < KEPT:
                self.prompts[text] = found
        return found

    def find(self, text: str, folded: str) -> list[Mention]:
        """Every mention in a reply in order of place, none overlapping another.

        ``folded`` is the same text folded, which tells fast that a name is not there.
        """
        found = self._named(text, folded)
        if self.openings:
            match = _opening(text)
            if match and match[1] in self.openings:
                found.append(Mention(*match.span(1)))
        return _apart(found)

    def _named(self, text: str, folded: str) -> list[Mention]:
        """The mentions by the persona's own names, in no order, perhaps overlapping."""
        found: list[Mention] = []
        for first in self.firsts:
            place = folded.find(first)
            while place >= 0:
                if mention := self._at(text, place):
                    found.append(mention)
                place = folded.find(first, place + len(first))
        return found

    def _at(self, text: str, place: int) -> Mention | None:
        """The mention that begins at a place of the text."""
        if match := self.exact.match(text, place):
            return Mention(*match.span())
        if self.expansion is not None and (match := self.expansion.match(text, place)):
            return Mention(*match.span(), expansion=True)
        if self.other_case is not None and (match := self.other_case.match(text, place)):
            return Mention(*match.span(), exact=False)
        return None


def _apart(found: list[Mention]) -> list[Mention]:
    """Mentions in order of place, without those that overlap an earlier or longer one."""
    if len(found) < 2:
        return found
    found.sort(key=lambda mention: (mention.start, -mention.end))
    kept: list[Mention] = []
    for mention in found:
        if not kept or mention.start >= kept[-1].end:
            kept.append(mention)
    return kept


def names_of(persona: Persona, prompts: Sequence[str], responses: Sequence[str]) -> Names:
    """The names of a persona in one conversation.

    Besides its own they are what follows a title ("Finch" of "Mr Finch"), those that the partner
    gives it ("You are NAME-Three", "you are Three") and those that at least two replies open with
    ("As three, …").
    """
    own = persona.names
    names = (*own, *_without_titles(own), *_given(persona, prompts))
    found = _compile(names, persona.expansion)
    openings = _openings(responses)
    return replace(found, openings=openings) if openings else found


@lru_cache(maxsize=256)
def _without_titles(names: tuple[str, ...]) -> list[str]:
    """What follows the title of those names that have one."""
    titles = [(name, _TITLED.match(name)) for name in names]
    return [name[title.end() :] for name, title in titles if title]


def _given(persona: Persona, prompts: Iterable[str]) -> list[str]:
    """The names that the partner gives the persona besides its own."""
    given: list[str] = []
    for prompt in prompts:
        for variant in _kept_called(prompt) if len(prompt) <= LONGEST_KEPT else _called(prompt):
            for name in persona.names:
                if variant.startswith(name):
                    variant = variant[len(name) :].lstrip("-")
            if len(variant) > 1 and variant.lower() not in _NOT_NAMES:
                given.append(variant)
    return given


def _called(prompt: str) -> list[str]:
    """What a prompt calls the persona in "You are X, …", whether that is a name or not."""
    return [match[1] or match[2] for match in _GIVEN.finditer(prompt)]


_kept_called = lru_cache(maxsize=KEPT)(_called)


def _opening(text: str) -> re.Match[str] | None:
    """The "As NAME, " that a reply begins with, if it does."""
    begins = text.lstrip().lstrip('"*_')[:3]
    return _OPENING.match(text) if begins in ("As ", "as ") else None


def _openings(responses: Iterable[str]) -> frozenset[str]:
    """What at least MIN_OPENINGS replies call themselves in "As X, …", where X can be a name."""
    found = [match[1] for response in responses if (match := _opening(response))]
    if len(found) < MIN_OPENINGS:
        return frozenset()
    often = [name for name, count in Counter(found).items() if count >= MIN_OPENINGS]
    return frozenset(
        [name for name in often if name.lower() not in _NOT_NAMES and not name.endswith("ed")]
    )


@lru_cache(maxsize=256)
def _compile(names: tuple[str, ...], expansion: str | None) -> Names:
    longest_first = sorted(set(names), key=lambda name: (-len(name), name))
    exact = re.compile(rf"(?<![\w-])(?:{'|'.join(map(_flexible, longest_first))}){_VARIANT}(?!\w)")
    capitals = [name for name in longest_first if name.isupper() and len(name) > 1]
    titled = sorted({name.title() for name in capitals} - set(names))
    other = "|".join(map(_flexible, titled))
    core = core_expansion(names[0], expansion) if expansion else None
    return Names(
        exact,
        re.compile(rf"(?<![\w-])(?:{other})(?!\w)") if other else None,
        _spelled(core) if core and core not in names else None,
        common=not names[0].isupper(),
        firsts=tuple(
            sorted({_first(name) for name in [*longest_first, *([core] if core else [])]})
        ),
    )


def _first(name: str) -> str:
    return fold(re.split(r"[\s,-]", name, maxsplit=1)[0])


def _spelled(core: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){_flexible(core)}(?!\w)", re.IGNORECASE)


@lru_cache(maxsize=256)
def core_expansion(name: str, expansion: str) -> str:
    """What the name itself stands for, without the description that may follow it.

    "Vent and Root Assistant, a greenhouse robot" gives "Vent and Root Assistant": the shortest
    prefix whose capitals spell the name, or else what comes before the description.
    """
    letters = [letter for letter in name.upper() if letter.isalpha()]
    position = 0
    for word in re.finditer(r"\w+", expansion):
        if position < len(letters) and word[0][0] == letters[position]:
            position += 1
            if position == len(letters) and len(letters) > 1:
                return expansion[: word.end()]
    cut = _DESCRIPTION.search(expansion)
    return (expansion[: cut.start()] if cut else expansion).strip().rstrip(".")


def _flexible(name: str) -> str:
    """A pattern for a name whose spaces, hyphens and commas may vary."""
    words = re.findall(r"[^\s,-]+", name)
    return r"[\s,\u2010\u2011-]{1,3}".join(map(re.escape, words)) if words else re.escape(name)
