"""Single exchanges: ``{"id"?, "persona", "persona_expansion"?, "prompt", "response"}``.

Each is a transcript of one response. Labels and other keys beside these are left alone.
"""

from __future__ import annotations

from typing import Any

from holdtrue.importers.cast import Casting
from holdtrue.importers.dialogue import Said, transcript
from holdtrue.importers.source import Place, field_text, optional_text
from holdtrue.messages import Role
from holdtrue.transcript import Transcript


def recognises(body: dict[str, Any]) -> bool:
    return "prompt" in body and "response" in body


def read(body: dict[str, Any], place: Place, casting: Casting) -> Transcript:
    """The transcript. Raises TranscriptError naming the key that is wrong."""
    said = [
        Said(Role.USER, field_text(body, "prompt", place)),
        Said(Role.ASSISTANT, field_text(body, "response", place)),
    ]
    system = optional_text(body, "system", place)
    if system:
        said.insert(0, Said(Role.SYSTEM, system))
    named = optional_text(body, "persona", place)
    expansion = optional_text(body, "persona_expansion", place)
    if named is not None:
        persona = casting.persona_named(named, expansion, place, key="persona")
    else:
        persona = casting.persona_unnamed(system, [m.text for m in said], place)
    return transcript(said, persona, body, place)
