"""ShareGPT: ``{"conversations": [{"from", "value"}]}``, alone or in a list."""

from __future__ import annotations

from typing import Any

from holdtrue.importers.cast import Casting
from holdtrue.importers.dialogue import Said, transcript
from holdtrue.importers.openai_messages import persona_of
from holdtrue.importers.source import Place, field_text, objects, shown
from holdtrue.messages import Role
from holdtrue.transcript import Transcript

KEY = "conversations"
ROLES = {
    "system": Role.SYSTEM,
    "human": Role.USER,
    "user": Role.USER,
    "gpt": Role.ASSISTANT,
    "chatgpt": Role.ASSISTANT,
    "assistant": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "bing": Role.ASSISTANT,
    "bard": Role.ASSISTANT,
}
TOOLS = frozenset({"tool", "function_call", "observation", "function"})


def recognises(body: dict[str, Any]) -> bool:
    return KEY in body


def read(body: dict[str, Any], place: Place, casting: Casting) -> Transcript:
    """The transcript. Raises TranscriptError naming the key that is wrong."""
    messages = objects(body[KEY], place, KEY)
    said: list[Said] = []
    for number, message in enumerate(messages):
        at = f"{KEY}.{number}"
        role = field_text(message, "from", place, at=at).strip().lower()
        if role in TOOLS:
            continue
        if role not in ROLES:
            raise place.fail(
                f"unknown speaker {shown(role)}",
                key=f"{at}.from",
                remedy="Known: " + ", ".join(ROLES),
            )
        said.append(Said(ROLES[role], field_text(message, "value", place, at=at)))
    if isinstance(system := body.get("system"), str) and system.strip():
        said.insert(0, Said(Role.SYSTEM, system))
    persona = persona_of(body, [], said, place, casting)
    return transcript(said, persona, body, place)
