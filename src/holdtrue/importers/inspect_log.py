"""Inspect AI logs: ``.eval`` archives, and the same log as one JSON file.

Read directly, so that Inspect itself need not be installed. One sample of one epoch is one
transcript. A sample that ended in an error is a failed session. Stop reasons come from the log's
model events, which hold them per reply. Scores in the log are not read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from holdtrue.engines.base import StopReason
from holdtrue.importers.archive import open_archive
from holdtrue.importers.cast import Casting
from holdtrue.importers.dialogue import Said, build, facts, to_turns
from holdtrue.importers.openai_messages import ROLES, TOOLS, content_text, persona_of
from holdtrue.importers.source import (
    Place,
    decode,
    field_text,
    identity_of,
    kind,
    objects,
    optional_count,
    parse,
    shown,
)
from holdtrue.messages import Role
from holdtrue.transcript import Status, Transcript

SAMPLE = re.compile(r"samples/.+\.json")
STOPS = {
    "stop": StopReason.STOP,
    "max_tokens": StopReason.LENGTH,
    "model_length": StopReason.LENGTH,
}
NUMBERS = frozenset({"session", "seed"})
TEXTS = frozenset({"persona", "persona_expansion", "model", "protocol", "phase", "arm"})
ATTACHED = "attachment://"


def recognises(body: dict[str, Any]) -> bool:
    return isinstance(body.get("eval"), dict) and "samples" in body


def read_archive(path: Path, casting: Casting) -> list[Transcript]:
    """The samples of an ``.eval`` file, sorted by name. Raises TranscriptError."""
    with open_archive(path) as archive:
        names = sorted(name for name in archive.names if SAMPLE.fullmatch(name))
        if not names:
            raise Place(str(path)).fail(
                "holds no samples", remedy="Is it an Inspect log? Run the evaluation to its end."
            )
        first = "header.json" if "header.json" in archive.names else "_journal/start.json"
        header = _member(archive.read(first), Place(str(path), member=first))
        samples = [(_member(archive.read(n), p := Place(str(path), member=n)), p) for n in names]
    return _transcripts(header, samples, casting)


def read_object(body: dict[str, Any], place: Place, casting: Casting) -> list[Transcript]:
    """The samples of a log in JSON. Raises TranscriptError."""
    samples = objects(body["samples"], place, "samples")
    numbered = [
        (sample, Place(place.file, line=place.line, item=number))
        for number, sample in enumerate(samples, start=1)
    ]
    return _transcripts(body, numbered, casting)


def _member(raw: bytes, place: Place) -> dict[str, Any]:
    # Inspect writes NaN for a measure that is unscored.
    value = parse(decode(raw, place), place, with_constants=True)
    if not isinstance(value, dict):
        raise place.fail(f"must hold an object, not {kind(value)}")
    return value


def _transcripts(
    header: dict[str, Any], samples: list[tuple[dict[str, Any], Place]], casting: Casting
) -> list[Transcript]:
    told = header.get("eval")
    model = told.get("model") if isinstance(told, dict) else None
    epochs = {optional_count(sample, "epoch", place) for sample, place in samples}
    return [
        _transcript(sample, place, casting, model=model, several=len(epochs) > 1)
        for sample, place in samples
    ]


def _transcript(
    sample: dict[str, Any], place: Place, casting: Casting, *, model: Any, several: bool
) -> Transcript:
    identity = identity_of(sample, place)
    if identity is None:
        raise place.fail("is missing", key="id")
    place = place.named(f"{identity}@{sample.get('epoch')}" if several else identity)
    messages = objects(sample.get("messages"), place, "messages")
    stops = _stop_reasons(sample)
    said = [
        one
        for number, message in enumerate(messages)
        if (one := _said(message, number, sample, stops, place))
    ]
    told = _told(sample.get("metadata"))
    persona = persona_of(told, [], said, place, casting)
    system, turns = to_turns(said)
    failure = _failure(sample)
    if not turns and failure is None:
        raise place.fail(f"the persona {persona.name!r} says nothing here")
    values = facts({"model": model if isinstance(model, str) else None, **told}, place)
    values["started"] = values["started"] or sample.get("started_at")
    values["finished"] = values["finished"] or sample.get("completed_at")
    return build(
        {
            **values,
            "persona": persona,
            "system": system,
            "turns": turns,
            "status": Status.COMPLETE if failure is None else Status.FAILED,
            "error": failure,
        },
        place,
    )


def _said(
    message: dict[str, Any],
    number: int,
    sample: dict[str, Any],
    stops: dict[str, StopReason],
    place: Place,
) -> Said | None:
    at = f"messages.{number}"
    role = field_text(message, "role", place, at=at)
    if role in TOOLS:
        return None
    if role not in ROLES:
        raise place.fail(f"unknown role {shown(role)}", key=f"{at}.role")
    text = content_text(message, place, at)
    if text is None or (ROLES[role] is Role.ASSISTANT and not text and message.get("tool_calls")):
        return None
    stop = stops.get(str(message.get("id")), StopReason.UNKNOWN)
    return Said(ROLES[role], _attached(text, sample), stop)


def _attached(text: str, sample: dict[str, Any]) -> str:
    """Inspect keeps long texts apart, under their hash."""
    kept = sample.get("attachments")
    if text.startswith(ATTACHED) and isinstance(kept, dict):
        found = kept.get(text.removeprefix(ATTACHED))
        return found if isinstance(found, str) else text
    return text


def _stop_reasons(sample: dict[str, Any]) -> dict[str, StopReason]:
    """Why each reply ended, by the id of its message, as far as the log tells."""
    events = sample.get("events")
    outputs = [sample.get("output")]
    for event in events if isinstance(events, list) else []:
        if isinstance(event, dict) and event.get("event") == "model":
            outputs.append(event.get("output"))
    found: dict[str, StopReason] = {}
    for output in outputs:
        choices = output.get("choices") if isinstance(output, dict) else None
        for choice in choices if isinstance(choices, list) else []:
            message = choice.get("message") if isinstance(choice, dict) else None
            if isinstance(message, dict) and isinstance(message.get("id"), str):
                stop = STOPS.get(str(choice.get("stop_reason")), StopReason.UNKNOWN)
                found[message["id"]] = stop
    return found


def _told(metadata: Any) -> dict[str, Any]:
    """What a sample's metadata says of the session; what else a user keeps there is not ours."""
    found = metadata if isinstance(metadata, dict) else {}
    numbers = {key: found[key] for key in NUMBERS if _is_count(found.get(key))}
    return numbers | {key: found[key] for key in TEXTS if isinstance(found.get(key), str)}


def _is_count(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) < 19
    return type(value) is int and value >= 0


def _failure(sample: dict[str, Any]) -> str | None:
    error = sample.get("error")
    if error is None:
        return None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message)[:2000] or "the sample ended in an error"
