"""Where foreign data comes from: bytes to checked JSON values, with the place of every fault.

It knows nothing of transcripts. Values that come out hold no lone surrogates, no not-a-number, no
number beyond 64 bits and no nesting beyond MAX_DEPTH, so that no later stage stumbles over them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdtrue.errors import TranscriptError
from holdtrue.transcript import MAX_BYTES

MAX_DEPTH = 60
LARGEST = 2**63 - 1
KINDS = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: a file, and in it a line, an item of a list or a member of a zip.

    ``identity`` is what follows ``#`` in the source of a transcript, None where the file holds
    just one.
    """

    file: str
    line: int | None = None
    item: int | None = None
    member: str | None = None
    identity: str | None = None

    @property
    def where(self) -> str:
        parts = [self.file]
        if self.member is not None:
            parts.append(self.member)
        if self.line is not None:
            parts.append(f"line {self.line}")
        if self.item is not None:
            parts.append(f"item {self.item}")
        return ", ".join(parts)

    @property
    def source(self) -> str:
        """FILE, or FILE#ID where a file holds several transcripts."""
        return self.file if self.identity is None else f"{self.file}#{self.identity}"

    def named(self, identity: str) -> Place:
        return replace(self, identity=identity)

    def fail(
        self, message: str, *, key: str | None = None, remedy: str | None = None
    ) -> TranscriptError:
        """The error to raise for what stands here, under ``key`` if given."""
        text = f"key {key!r}: {message}" if key else message
        return TranscriptError(text, where=self.where, remedy=remedy)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file of at most 50 MB. Raises TranscriptError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise TranscriptError("no such file", where=str(path)) from None
    except OSError as error:
        raise TranscriptError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if len(raw) > MAX_BYTES:
        raise TranscriptError(f"larger than {MAX_BYTES:,} bytes", where=str(path))
    return raw


def decode(raw: bytes, place: Place) -> str:
    """UTF-8 text without a byte order mark. Raises TranscriptError naming line and byte."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise TranscriptError(
            f"not UTF-8 text (byte {error.start}, 0x{raw[error.start]:02x})",
            where=f"{place.where}, line {line}",
            remedy="Save the whole file in one encoding, UTF-8.",
        ) from None


def parse(text: str, place: Place, *, with_constants: bool = False) -> Any:
    """One JSON value, checked. Raises TranscriptError naming the line.

    ``with_constants`` takes NaN and Infinity, which are not JSON but which some tools write, for
    unknown (None).
    """
    constant = _unknown if with_constants else _refuse_constant
    try:
        value = json.loads(text, parse_constant=constant)
    except json.JSONDecodeError as error:
        offset = place.line or 1
        spot = Place(place.file, line=offset + error.lineno - 1, member=place.member)
        raise spot.fail(
            f"not valid JSON: {error.msg} (column {error.colno})",
            remedy="Mend or remove what stands there.",
        ) from None
    except RecursionError:
        raise place.fail(f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise place.fail(f"not valid JSON: {_short(str(error))}") from None
    return _checked(value, place, "", 0)


def lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a JSON Lines text that are not blank, numbered from 1.

    Only line feeds separate: other separators may stand inside JSON strings.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _unknown(_name: str) -> None:
    return None


def _short(text: str) -> str:
    return text if len(text) <= 120 else text[:117] + "…"


def _checked(value: Any, place: Place, key: str, depth: int) -> Any:
    """``value`` with lone surrogates replaced; raises TranscriptError for what no one can use."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        if abs(value) > LARGEST or not math.isfinite(value):
            raise place.fail("the number is out of range", key=key)
        return value
    if depth >= MAX_DEPTH:
        raise place.fail(f"nested deeper than {MAX_DEPTH} levels", key=_short(key))
    if isinstance(value, list):
        return [
            _checked(v, place, f"{key}.{n}".lstrip("."), depth + 1) for n, v in enumerate(value)
        ]
    return {
        clean(k): _checked(v, place, f"{key}.{k}".lstrip("."), depth + 1) for k, v in value.items()
    }


def clean(text: str) -> str:
    """``text`` with lone surrogates (half of a broken emoji) shown as U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def field_text(body: dict[str, Any], key: str, place: Place, *, at: str = "") -> str:
    """The text under ``key``. Raises TranscriptError when it is missing or something else."""
    label = f"{at}.{key}" if at else key
    if key not in body:
        raise place.fail("is missing", key=label)
    value = body[key]
    if not isinstance(value, str):
        raise place.fail(f"must be text, not {kind(value)}", key=label)
    return value


def optional_text(body: dict[str, Any], key: str, place: Place) -> str | None:
    """The text under ``key``, None where it is missing, null or blank."""
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise place.fail(f"must be text, not {kind(value)}", key=key)
    return value.strip() or None


def optional_count(body: dict[str, Any], key: str, place: Place) -> int | None:
    """The whole number from 0 under ``key`` (digits in quotes count), None where it is missing."""
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise place.fail(f"must be a whole number from 0, not {shown(value)}", key=key)
    return value


def identity_of(body: dict[str, Any], place: Place, key: str = "id") -> str | None:
    """The ``id`` of an item as text, None where it is missing."""
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise place.fail(f"must be text or a whole number, not {kind(value)}", key=key)
    return str(value).strip() or None


def objects(value: Any, place: Place, key: str) -> list[dict[str, Any]]:
    """``value`` as a list of objects that is not empty. Raises TranscriptError."""
    if not isinstance(value, list):
        raise place.fail(f"must be a list, not {kind(value)}", key=key)
    if not value:
        raise place.fail("is empty: nobody says anything", key=key)
    for number, element in enumerate(value):
        if not isinstance(element, dict):
            raise place.fail(f"must be an object, not {kind(element)}", key=f"{key}.{number}")
    return value


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    return KINDS.get(type(value), "something else")


def shown(value: Any) -> str:
    """A JSON value for an error message, shortened."""
    return _short(json.dumps(value, ensure_ascii=False))
