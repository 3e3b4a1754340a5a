"""Who speaks: which speaker is the persona, and which persona that is.

Names are compared without regard to case, and a name followed by something that is no letter or
digit is a variant of it (``SAGE-Legion``). It never guesses between speakers: it names them and
the remedy.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from holdtrue.importers.source import Place
from holdtrue.persona import Persona, load_persona

REMEDY = "Say who is the persona: --persona NAME or --persona FILE.toml."
ANSWERING = frozenset({"assistant", "model", "bot", "ai", "gpt", "chatgpt", "chatbot", "llm"})
SYSTEM = frozenset({"system", "developer"})
INTRODUCED = re.compile(
    r"\b(?:[Yy]ou are|[Yy]our name is|[Yy]ou're)\s+([A-Z][\w-]{1,40})\b(?=[\s,.(:;—–-])"
)
NOT_NAMES = frozenset({"A", "AI", "An", "The", "Not", "Now", "In", "Here", "One", "I"})


@dataclass(slots=True)
class Casting:
    """The persona asked for, the one to take where nothing names any, and what was assumed.

    ``given`` must be the speaker wherever a file names its speakers. ``fallback`` None makes an
    unnamed persona an error. ``notes`` holds one line per file for whatever was assumed.
    """

    given: Persona | None = None
    fallback: Persona | None = None
    notes: dict[str, None] = field(default_factory=dict)

    def note(self, text: str) -> None:
        self.notes.setdefault(text)

    def persona_named(self, name: str, expansion: str | None, place: Place, *, key: str) -> Persona:
        """The persona that a file calls by ``name``."""
        if self.given is not None:
            if matches(name, self.given):
                return self.given
            raise place.fail(
                f"the persona here is {name!r}, not {self.given.name!r} as asked for",
                key=key,
                remedy="Leave out --persona, or name a persona that goes by this name.",
            )
        known = builtin_named(name)
        if known is not None and expansion in (None, known.expansion):
            return known
        try:
            return Persona(name=name, expansion=expansion)
        except ValidationError as error:
            raise place.fail(
                f"no name for a persona: {error.errors()[0]['msg']}", key=key
            ) from None

    def persona_unnamed(self, system: str | None, texts: Iterable[str], place: Place) -> Persona:
        """The persona of a dialogue whose roles are named (assistant) but whose persona is not.

        The one asked for; else the built-in one whose name the system message or else the texts
        hold; else the one that the system message introduces ("You are VERA"); else the fallback.
        """
        if self.given is not None:
            return self.given
        for said in (system or "", "\n".join(texts)):
            mentioned = [p for p in builtins() if _holds_word(said, p.name)]
            if len(mentioned) == 1:
                return mentioned[0]
        introduced = INTRODUCED.search(system or "")
        if introduced and introduced[1] not in NOT_NAMES:
            self.note(
                f"{place.file}: the persona is taken to be {introduced[1]}, as its system message "
                f"says. {REMEDY}"
            )
            return Persona(name=introduced[1])
        if self.fallback is None:
            raise place.fail("nothing here names the persona that speaks", remedy=REMEDY)
        self.note(f"{place.file}: names no persona; scored as {self.fallback.name}. {REMEDY}")
        return self.fallback


@lru_cache(maxsize=1)
def builtins() -> tuple[Persona, ...]:
    """The personas that ship with holdtrue."""
    folder = Path(str(resources.files("holdtrue") / "data" / "personas"))
    return tuple(load_persona(path.stem) for path in sorted(folder.glob("*.toml")))


def builtin_named(speaker: str) -> Persona | None:
    """The built-in persona whose name or alias a speaker bears."""
    return next((persona for persona in builtins() if matches(speaker, persona)), None)


def matches(speaker: str, persona: Persona) -> bool:
    """Whether a speaker bears one of a persona's names, or a variant of it."""
    said = " ".join(speaker.split()).casefold()
    for name in persona.names:
        wanted = " ".join(name.split()).casefold()
        if said == wanted:
            return True
        if said.startswith(wanted) and not said[len(wanted)].isalnum():
            return True
    return False


def find_speaker(
    speakers: Sequence[str], casting: Casting, place: Place
) -> tuple[frozenset[str], Persona | None]:
    """Which of ``speakers`` (in order of appearance, without system roles) are the persona.

    The persona is None where the speaker bears only a role (``assistant``). Raises
    TranscriptError naming the speakers and the remedy when it cannot be told.
    """
    for persona in (casting.given,) if casting.given else builtins():
        ours = frozenset(speaker for speaker in speakers if matches(speaker, persona))
        if ours:
            _refuse_near_misses(speakers, ours, persona, place)
            return ours, persona
    roles = frozenset(speaker for speaker in speakers if speaker.strip().casefold() in ANSWERING)
    if len(roles) == 1:
        return roles, None
    listed = ", ".join(repr(speaker) for speaker in speakers)
    if casting.given is not None:
        raise place.fail(
            f"none of the speakers is the persona {casting.given.name!r}: {listed}",
            remedy="Give the persona an alias that is a speaker's name, or another --persona.",
        )
    if len(speakers) == 2:
        casting.note(
            f"{place.file}: the persona is taken to be {speakers[1]}, who answers. {REMEDY}"
        )
        return frozenset({speakers[1]}), casting.persona_named(
            speakers[1], None, place, key="speaker"
        )
    reason = "only one speaker" if len(speakers) < 2 else "none is known as the persona"
    raise place.fail(f"no persona speaker: {reason} among {listed}", remedy=REMEDY)


def _refuse_near_misses(
    speakers: Sequence[str], ours: frozenset[str], persona: Persona, place: Place
) -> None:
    """A third speaker whose name is almost the persona's is a slip that would lose responses."""
    others = [speaker for speaker in speakers if speaker not in ours]
    if len(others) < 2:
        return
    for other in others:
        near = difflib.SequenceMatcher(None, other.casefold(), persona.name.casefold()).ratio()
        if near >= 0.75:
            raise place.fail(
                f"unknown speaker {other!r}, almost {persona.name!r}",
                remedy="Mend the name, or add it to the persona's aliases.",
            )


def _holds_word(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None
