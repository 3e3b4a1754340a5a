"""``{"conversation": [{"speaker", "text"}]}`` with optional facts beside it."""

from __future__ import annotations

from typing import Any

from holdtrue.importers.cast import SYSTEM, Casting, find_speaker
from holdtrue.importers.dialogue import Said, texts, transcript
from holdtrue.importers.source import Place, field_text, objects, optional_text
from holdtrue.messages import Role
from holdtrue.transcript import Transcript

KEY = "conversation"


def recognises(body: dict[str, Any]) -> bool:
    return KEY in body


def is_message(value: Any) -> bool:
    """Whether a list of such values is a bare conversation."""
    return isinstance(value, dict) and "speaker" in value


def read(body: dict[str, Any], place: Place, casting: Casting) -> Transcript:
    """The transcript. Raises TranscriptError naming the key that is wrong."""
    messages = objects(body[KEY], place, KEY)
    lines = [
        (
            field_text(message, "speaker", place, at=f"{KEY}.{number}").strip(),
            field_text(message, "text", place, at=f"{KEY}.{number}"),
        )
        for number, message in enumerate(messages)
    ]
    for number, (speaker, _text) in enumerate(lines):
        if not speaker:
            raise place.fail("is empty", key=f"{KEY}.{number}.speaker")
    speakers = list(dict.fromkeys(s for s, _ in lines if s.casefold() not in SYSTEM))
    named = optional_text(body, "persona", place) if isinstance(body.get("persona"), str) else None
    if named is not None:
        expansion = optional_text(body, "persona_expansion", place)
        own = casting.persona_named(named, expansion, place, key="persona")
        casting = Casting(given=own, fallback=casting.fallback, notes=casting.notes)
    ours, persona = find_speaker(speakers, casting, place)
    said = [Said(_role(speaker, ours), text) for speaker, text in lines]
    if persona is None:
        persona = casting.persona_unnamed(*texts(said), place)
    return transcript(said, persona, body, place)


def _role(speaker: str, ours: frozenset[str]) -> Role:
    if speaker in ours:
        return Role.ASSISTANT
    return Role.SYSTEM if speaker.casefold() in SYSTEM else Role.USER
