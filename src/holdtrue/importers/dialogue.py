"""From what was said, in order, to the turns of a transcript, for every format alike.

Messages of partners before a response are its prompt (joined by a blank line); a system message
before the first of them is the system prompt, a later one the reminder of the next turn. Every
message of the persona is a response, one after another too. What is said after the last response
has no answer and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from holdtrue.engines.base import StopReason
from holdtrue.importers.source import Place, identity_of, kind, optional_count, optional_text
from holdtrue.messages import Role
from holdtrue.persona import Persona
from holdtrue.transcript import ProtocolRef, Transcript, Turn

JOINT = "\n\n"


@dataclass(frozen=True, slots=True)
class Said:
    """One message: the persona's is Role.ASSISTANT, a partner's Role.USER."""

    role: Role
    text: str
    stop_reason: StopReason = StopReason.UNKNOWN
    completion_tokens: int | None = None
    seconds: float | None = None


def to_turns(said: Iterable[Said]) -> tuple[str | None, tuple[Turn, ...]]:
    """The system prompt (None where there is none) and the turns."""
    system: list[str] = []
    reminders: list[str] = []
    prompts: list[str] = []
    turns: list[Turn] = []
    for message in said:
        if message.role is Role.SYSTEM:
            (reminders if turns or prompts else system).append(message.text)
        elif message.role is Role.USER:
            prompts.append(message.text)
        else:
            turns.append(
                Turn(
                    index=len(turns) + 1,
                    prompt=JOINT.join(prompts),
                    response=message.text,
                    reminder=JOINT.join(reminders) or None,
                    stop_reason=message.stop_reason,
                    completion_tokens=message.completion_tokens,
                    seconds=message.seconds,
                )
            )
            prompts, reminders = [], []
    return JOINT.join(system) or None, tuple(turns)


def texts(said: Sequence[Said]) -> tuple[str | None, list[str]]:
    """The system messages as one, and everything else that was said."""
    system = JOINT.join(message.text for message in said if message.role is Role.SYSTEM)
    return system or None, [m.text for m in said if m.role is not Role.SYSTEM]


def transcript(
    said: Sequence[Said], persona: Persona, body: dict[str, Any], place: Place
) -> Transcript:
    """A transcript of ``said`` with the facts that ``body`` holds under well-known keys.

    Raises TranscriptError when the persona says nothing, or a known key has a wrong value.
    """
    system, turns = to_turns(said)
    if not turns:
        raise place.fail(f"the persona {persona.name!r} says nothing here")
    return build(
        {"persona": persona, "system": system, "turns": turns, **facts(body, place)}, place
    )


def build(values: dict[str, Any], place: Place) -> Transcript:
    """The transcript with these values, its source being ``place``."""
    try:
        return Transcript(source=place.source, **values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise place.fail(str(first["msg"]), key=key) from None


def facts(body: dict[str, Any], place: Place) -> dict[str, Any]:
    """What ``body`` tells of the session: id, model, session, seed, times and protocol.

    Keys that are not known are left alone: foreign files hold many. A seed of -1 is none.
    """
    protocol = _protocol(body, place)
    return {
        "id": place.identity or identity_of(body, place) or place.file,
        "model": optional_text(body, "model", place),
        "session": optional_count(body, "session", place),
        "seed": None if body.get("seed") == -1 else optional_count(body, "seed", place),
        "started": _time(body, ("started", "start"), place),
        "finished": _time(body, ("finished", "end"), place),
        "protocol": protocol,
    }


def _protocol(body: dict[str, Any], place: Place) -> ProtocolRef | None:
    phase = optional_text(body, "phase", place)
    for key in ("protocol", "identity_anchoring", "arm", "generation_mode"):
        value = body.get(key)
        if isinstance(value, str) and value.strip():
            return ProtocolRef(name=value.strip(), phase=phase)
    return ProtocolRef(name="unknown", phase=phase) if phase else None


def _time(body: dict[str, Any], keys: tuple[str, ...], place: Place) -> str | None:
    for key in keys:
        value = body.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise place.fail(f"must be a time, not {kind(value)}", key=key)
        return str(value)
    return None
