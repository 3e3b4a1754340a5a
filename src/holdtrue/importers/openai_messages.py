"""OpenAI ``messages``: an object that holds them, or a bare list of them.

Tool calls and their results are no conversation with the partner and are left out.
"""

from __future__ import annotations

from typing import Any

from holdtrue.importers.cast import Casting, matches
from holdtrue.importers.dialogue import Said, texts, transcript
from holdtrue.importers.source import Place, field_text, kind, objects, optional_text, shown
from holdtrue.messages import Role
from holdtrue.persona import Persona
from holdtrue.transcript import Transcript

KEY = "messages"
ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "human": Role.USER,
    "assistant": Role.ASSISTANT,
    "model": Role.ASSISTANT,
}
TOOLS = frozenset({"tool", "function"})


def recognises(body: dict[str, Any]) -> bool:
    return KEY in body


def is_message(value: Any) -> bool:
    """Whether a list of such values is a bare list of messages."""
    return isinstance(value, dict) and "role" in value


def read(body: dict[str, Any], place: Place, casting: Casting) -> Transcript:
    """The transcript. Raises TranscriptError naming the key that is wrong."""
    messages = objects(body[KEY], place, KEY)
    said = [
        one for number, message in enumerate(messages) if (one := _said(message, number, place))
    ]
    persona = persona_of(body, messages, said, place, casting)
    return transcript(said, persona, body, place)


def persona_of(
    body: dict[str, Any],
    messages: list[dict[str, Any]],
    said: list[Said],
    place: Place,
    casting: Casting,
) -> Persona:
    """The persona under ``persona`` or by the assistant's ``name``, else as an unnamed one."""
    named = body.get("persona")
    if isinstance(named, dict):
        named = named.get("name")
    if isinstance(named, str) and named.strip():
        expansion = optional_text(body, "persona_expansion", place)
        return casting.persona_named(named.strip(), expansion, place, key="persona")
    names = {
        message["name"]
        for message in messages
        if ROLES.get(str(message.get("role"))) is Role.ASSISTANT
        and isinstance(message.get("name"), str)
    }
    if len(names) == 1:
        name = names.pop().strip()
        if name and (casting.given is None or matches(name, casting.given)):
            return casting.persona_named(name, None, place, key="name")
    return casting.persona_unnamed(*texts(said), place)


def _said(message: dict[str, Any], number: int, place: Place) -> Said | None:
    at = f"{KEY}.{number}"
    role = field_text(message, "role", place, at=at).strip().lower()
    if role in TOOLS:
        return None
    if role not in ROLES:
        raise place.fail(
            f"unknown role {shown(role)}", key=f"{at}.role", remedy="Known: " + ", ".join(ROLES)
        )
    text = content_text(message, place, at)
    return None if text is None else Said(ROLES[role], text)


def content_text(message: dict[str, Any], place: Place, at: str) -> str | None:
    """The text of a message; None where it is only a tool call.

    ``content`` is text, or a list of parts of which the texts (and refusals) are joined.
    """
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_part(part, place, f"{at}.content.{n}") for n, part in enumerate(content))
    if content is None:
        if isinstance(message.get("refusal"), str):
            return str(message["refusal"])
        if message.get("tool_calls") or message.get("function_call"):
            return None
        problem = "must be text, not null" if "content" in message else "is missing"
        raise place.fail(problem, key=f"{at}.content")
    raise place.fail(f"must be text or a list, not {kind(content)}", key=f"{at}.content")


def _part(part: Any, place: Place, at: str) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise place.fail(f"must be an object, not {kind(part)}", key=at)
    for key in ("text", "refusal"):
        if key in part:
            return field_text(part, key, place, at=at)
    return ""
