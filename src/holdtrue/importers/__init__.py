"""Foreign transcripts in, ours out: one small module per format.

Reads our own transcripts; ``{"conversation": [...]}``; OpenAI ``messages``; ShareGPT; Inspect
logs; and single exchanges, as JSON or JSON Lines. It never scores, and never guesses between
speakers. Whatever is wrong in a file is a TranscriptError naming file and place.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdtrue.errors import TranscriptError
from holdtrue.importers import (
    conversation,
    exchange,
    inspect_log,
    openai_messages,
    sharegpt,
)
from holdtrue.importers.cast import Casting, matches
from holdtrue.importers.source import Place, decode, identity_of, kind, lines, parse, read_bytes
from holdtrue.persona import Persona
from holdtrue.transcript import FORMAT, Transcript, from_dict

SUFFIXES = (".json", ".jsonl", ".eval")
DIALOGUES = (conversation, openai_messages, sharegpt, exchange)
KNOWN = (
    "Known: holdtrue transcripts, {'conversation': [{'speaker', 'text'}]}, OpenAI messages, "
    "ShareGPT, Inspect .eval logs, and exchanges with 'prompt' and 'response'."
)


class UnknownFormatError(TranscriptError):
    """Valid JSON, but no transcript: an error where a file is named, passed over in a folder."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read: the transcripts, and one line for everything that had to be assumed."""

    transcripts: tuple[Transcript, ...]
    notes: tuple[str, ...]


def read_any(paths: Iterable[Path], *, persona: Persona | None = None) -> list[Transcript]:
    """Every transcript in ``paths`` (files, and folders recursively), in sorted order.

    ``source`` of each is FILE, or FILE#ID where a file holds several (#LINE or #ITEM without id).
    ``persona`` is whose responses are wanted; without it the speakers' names tell, and a file
    that names no persona is an error. Raises TranscriptError naming file and place.
    """
    return list(read_all(paths, persona=persona).transcripts)


def read_all(
    paths: Iterable[Path], *, persona: Persona | None = None, fallback: Persona | None = None
) -> Imported:
    """As read_any, with notes, and ``fallback`` for files that name no persona."""
    casting = Casting(given=persona, fallback=fallback)
    read: dict[Path, list[Transcript]] = {}
    for root in paths:
        if root.is_dir():
            _read_folder(root, casting, read)
        elif (key := root.resolve()) not in read:
            read[key] = read_file(root, casting)
    found = tuple(transcript for several in read.values() for transcript in several)
    return Imported(found, tuple(casting.notes))


def _read_folder(folder: Path, casting: Casting, read: dict[Path, list[Transcript]]) -> None:
    """Add what a folder holds; JSON that is no transcript is passed over, and noted."""
    here = 0
    for path in files_in(folder, SUFFIXES):
        key = path.resolve()
        if key not in read:
            try:
                read[key] = read_file(path, casting)
            except UnknownFormatError:
                casting.note(f"{path}: passed over, not a transcript")
                continue
        here += len(read[key])
    if not here:
        raise TranscriptError("no transcripts in this folder", where=str(folder), remedy=KNOWN)


def read_file(path: Path, casting: Casting) -> list[Transcript]:
    """The transcripts of one file. Raises TranscriptError."""
    place = Place(str(path))
    raw = read_bytes(path)
    if raw[:4] == b"PK\x03\x04" or path.suffix == ".eval":
        return inspect_log.read_archive(path, casting)
    text = decode(raw, place)
    if not text.strip():
        raise place.fail("the file is empty")
    if path.suffix == ".jsonl" or _is_json_lines(text):
        return _read_lines(text, place, casting)
    return _read_value(parse(text, place), place, casting)


def files_in(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of a folder and its subfolders with these endings, sorted, hidden ones left out.

    Raises TranscriptError when a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise TranscriptError(
            f"cannot be listed: {error.strerror}", where=str(error.filename or folder)
        )

    found: list[Path] = []
    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(where, name)
            for name in names
            if name.endswith(suffixes) and not name.startswith(".")
        ]
    return sorted(found, key=lambda path: path.parts)


def _is_json_lines(text: str) -> bool:
    """Whether a text is JSON Lines by another name: two lines that are objects of their own."""
    heads = [line.strip() for _number, line in itertools.islice(lines(text), 2)]
    return len(heads) == 2 and all(head[:1] == "{" and head[-1:] == "}" for head in heads)


def _read_lines(text: str, place: Place, casting: Casting) -> list[Transcript]:
    found: list[Transcript] = []
    taken: set[str] = set()
    for number, line in lines(text):
        here = Place(place.file, line=number)
        body = parse(line, here)
        if openai_messages.is_message(body[0] if isinstance(body, list) and body else None):
            body = {"messages": body}
        if not isinstance(body, dict):
            raise here.fail(f"must be an object, not {kind(body)}")
        try:
            found.extend(_read_object(body, _named(here, body, str(number), taken), casting))
        except UnknownFormatError:
            if not found:
                raise
            raise here.fail("no transcript on this line", remedy=KNOWN) from None
    return found


def _read_value(value: Any, place: Place, casting: Casting) -> list[Transcript]:
    if isinstance(value, dict):
        return _read_object(value, place, casting)
    if not isinstance(value, list):
        raise UnknownFormatError(f"not a transcript but {kind(value)}", where=place.where)
    if not value:
        raise UnknownFormatError("an empty list, no transcript", where=place.where)
    if openai_messages.is_message(value[0]):
        return [openai_messages.read({"messages": value}, place, casting)]
    if conversation.is_message(value[0]):
        return [conversation.read({"conversation": value}, place, casting)]
    found: list[Transcript] = []
    taken: set[str] = set()
    for number, body in enumerate(value, start=1):
        here = Place(place.file, item=number)
        if not isinstance(body, dict):
            raise here.fail(f"must be an object, not {kind(body)}", remedy=KNOWN)
        found.extend(_read_object(body, _named(here, body, str(number), taken), casting))
    return found


def _read_object(body: dict[str, Any], place: Place, casting: Casting) -> list[Transcript]:
    """The transcripts in one JSON object, whose format its keys tell."""
    if body.get("format") == FORMAT:
        return [_own(body, place, casting)]
    if inspect_log.recognises(body):
        return inspect_log.read_object(body, place, casting)
    for form in DIALOGUES:
        if form.recognises(body):
            return [form.read(body, place, casting)]
    raise UnknownFormatError("not a transcript in a known format", where=place.where, remedy=KNOWN)


def _own(body: dict[str, Any], place: Place, casting: Casting) -> Transcript:
    transcript = from_dict(body, source=place.where)
    if casting.given is not None and not matches(transcript.persona.name, casting.given):
        raise place.fail(
            f"a session of {transcript.persona.name!r}, not of {casting.given.name!r}",
            remedy="Leave out --persona: our own transcripts hold their persona.",
        )
    return transcript.model_copy(update={"source": place.source})


def _named(place: Place, body: dict[str, Any], number: str, taken: set[str]) -> Place:
    """The place with the id of the item; with its number where it has none or a repeated one."""
    if body.get("format") != FORMAT and not any(form.recognises(body) for form in DIALOGUES):
        return place
    identity = identity_of(body, place)
    if identity is None or identity in taken:
        identity = number
    taken.add(identity)
    return place.named(identity)
