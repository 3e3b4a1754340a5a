"""Transcript: the record of one session, a frozen value with a versioned JSON form.

It is never edited. Scores, findings and verdicts are computed from it and kept elsewhere.
Everything said in it is hostile text until it is escaped for where it is shown.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from holdtrue.engines.base import StopReason
from holdtrue.errors import TranscriptError
from holdtrue.persona import Persona
from holdtrue.protocol import Sampling
from holdtrue.tomlfile import StrictModel

FORMAT = "holdtrue-transcript"
VERSION = 1
MAX_BYTES = 50_000_000
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Raw = Annotated[str, StringConstraints(strip_whitespace=False)]


class Turn(StrictModel):
    """One prompt and its reply; ``index`` counts from 1.

    ``reminder`` is the system message put before this turn, if any. ``stop_reason`` is UNKNOWN
    where nobody recorded it. Tokens and seconds are None where unknown.
    """

    index: Annotated[int, Field(ge=1)]
    prompt: Raw
    response: Raw
    reminder: Raw | None = None
    stop_reason: StopReason = StopReason.UNKNOWN
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    seconds: Seconds | None = None
    seed: Count | None = None


class Status(StrEnum):
    COMPLETE = "complete"
    FAILED = "failed"


class ProtocolRef(StrictModel):
    """Which protocol was followed: its name, and the hash of its content."""

    name: str
    content_hash: str | None = None
    phase: str | None = None


class Transcript(StrictModel):
    """One session.

    ``arm`` names the set of sessions that it belongs to (equal persona, protocol, model and
    sampling), ``cluster`` the production chain, if it is part of one, ``run`` the id of the run
    that held it. ``engine`` holds EngineFacts as plain values. ``error`` says why a session
    failed; its turns are those that were finished before. ``source`` is the file it was imported
    from, None for our own.
    """

    id: str
    session: Annotated[int, Field(ge=0)] | None = None
    persona: Persona
    protocol: ProtocolRef | None = None
    model: str | None = None
    engine: dict[str, Any] = Field(default_factory=dict)
    sampling: Sampling | None = None
    seed: Count | None = None
    dry_run: bool = True
    cluster: str | None = None
    run: str | None = None
    system: Raw | None = None
    summary: Raw | None = None
    exemplars: tuple[Raw, ...] = ()
    turns: tuple[Turn, ...] = ()
    status: Status = Status.COMPLETE
    error: str | None = None
    started: str | None = None
    finished: str | None = None
    source: str | None = None

    @property
    def arm(self) -> str:
        """Equal for sessions of equal persona, protocol, model and sampling (12 hex digits)."""
        weights = self.engine.get("source_hash")
        adapter = self.engine.get("adapter")
        parts = [
            self.persona.digest,
            (self.protocol.content_hash or self.protocol.name) if self.protocol else None,
            self.protocol.phase if self.protocol else None,
            weights or self.model,
            adapter,
            self.sampling.digest if self.sampling else None,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

    @property
    def draw(self) -> str:
        """Equal for sessions that are one observation: same arm, prompts and randomness.

        At temperature 0 the seed does not count, since it changes nothing. A transcript whose
        seed or sampling is unknown is an observation of its own, known by what was said in it.
        """
        if self.sampling is None or self.seed is None:
            randomness: Any = [turn.response for turn in self.turns]
        else:
            randomness = None if self.sampling.temperature == 0 else self.seed
        parts = [self.arm, [turn.prompt for turn in self.turns], self.session_inputs, randomness]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

    @property
    def session_inputs(self) -> str | None:
        """The system message, by which sessions of a chain differ."""
        return self.system


def to_json(transcript: Transcript) -> str:
    """The stored form: JSON with a format name and version, stable for equal transcripts."""
    body = {"format": FORMAT, "version": VERSION}
    body.update(transcript.model_dump(mode="json", by_alias=True, exclude_none=True))
    return json.dumps(body, ensure_ascii=False, indent=1) + "\n"


def from_json(text: str, *, source: str) -> Transcript:
    """Read the stored form. Raises TranscriptError naming ``source`` and the place."""
    try:
        body = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise TranscriptError(f"not valid JSON: {error}", where=source) from None
    return from_dict(body, source=source)


def from_dict(body: Any, *, source: str) -> Transcript:
    """Read the stored form from parsed JSON. Raises TranscriptError."""
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise TranscriptError("not a holdtrue transcript", where=source)
    if body.get("version") != VERSION:
        raise TranscriptError(
            f"transcript version {body.get('version')!r}; this holdtrue reads version {VERSION}",
            where=source,
            remedy="Install the holdtrue that wrote it, or a newer one.",
        )
    rest = {key: value for key, value in body.items() if key not in ("format", "version")}
    try:
        return Transcript.model_validate(rest, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise TranscriptError(f"key {key!r}: {first['msg']}", where=source) from None


def read_transcript(path: Path) -> Transcript:
    """Read one of our own transcript files. Raises TranscriptError naming the file."""
    return from_json(read_text(path), source=str(path))


def read_text(path: Path) -> str:
    """The text of a transcript file: UTF-8 (a byte order mark is dropped), at most 50 MB."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TranscriptError(f"larger than {MAX_BYTES:,} bytes", where=str(path))
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TranscriptError("no such file", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise TranscriptError(
            f"not UTF-8 text (byte {error.start})",
            where=str(path),
            remedy="Save it as UTF-8.",
        ) from None
    except OSError as error:
        raise TranscriptError(f"cannot be read: {error.strerror}", where=str(path)) from None
