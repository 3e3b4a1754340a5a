"""Workspace: a folder that a user keeps in git, with personas, protocols and production state.

Layout: ``holdtrue.toml`` marks it; ``personas/``, ``protocols/``, ``criteria/``, ``baselines/``;
``production/`` with ``state.json``, ``sessions/`` and dated ``backups/``; ``runs/``; documents at
the root. A dry run reads the state and writes nothing under ``production/``.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psutil
from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from holdtrue.errors import WorkspaceError
from holdtrue.files import inside, write_atomic
from holdtrue.persona import Name, Persona
from holdtrue.session import Snapshot, self_identifications, summary_of
from holdtrue.tomlfile import StrictModel, load_toml
from holdtrue.transcript import Status, Transcript, to_json

MARKER = "holdtrue.toml"
DEFAULT_OUT = "holdtrue-out"
STATE_FORMAT = "holdtrue-state"
STATE_VERSION = 2
MAX_STATE_BYTES = 20_000_000
KEPT_BACKUPS = 20
EXEMPLAR_SESSIONS = 100


class Settings(StrictModel):
    """Defaults of a workspace, in ``holdtrue.toml``; a command-line option overrides each."""

    persona: Name = "sage"
    protocol: Name = "v2.0"
    model: Name = "smollm2-135m"
    baseline: Name = "s35"


class SessionMemory(StrictModel):
    """What one production session left behind.

    ``transcript`` is the sha256 of its stored transcript, None where version 1 wrote it.
    """

    session: Annotated[int, Field(ge=1)]
    summary: str | None = None
    exemplars: tuple[str, ...] = ()
    transcript: str | None = None


class Chain(StrictModel):
    """The production sessions of one persona: ``sessions`` done, the memories of the last ones."""

    sessions: Annotated[int, Field(ge=0)] = 0
    memories: tuple[SessionMemory, ...] = ()


class State(StrictModel):
    """Production state: one chain per persona name."""

    format: str = STATE_FORMAT
    version: int = STATE_VERSION
    chains: dict[str, Chain] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace at ``root``. ``settings`` are its defaults; made without a marker, the built-in.

    ``production`` state is only there where a marker is: elsewhere every session starts fresh.
    """

    root: Path
    settings: Settings

    def folders(self, kind: str) -> tuple[Path, ...]:
        """Where names of ``kind`` (personas, protocols, criteria, baselines) are looked up."""
        return (self.root / kind,)

    @property
    def state_path(self) -> Path:
        return self.root / "production" / "state.json"

    @property
    def sessions_folder(self) -> Path:
        return self.root / "production" / "sessions"


def find_workspace(given: Path | None = None) -> Workspace:
    """The workspace at ``given``, else the nearest one above the current folder, else a plain
    output folder.

    Raises WorkspaceError when ``given`` is not a folder.
    """
    if given is not None:
        if given.exists() and not given.is_dir():
            raise WorkspaceError("not a folder", where=str(given))
        return _open(given)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / MARKER).is_file():
            return _open(folder)
    return Workspace(here / DEFAULT_OUT, Settings())


def _open(root: Path) -> Workspace:
    marker = inside(root, root / MARKER)
    return Workspace(root, load_toml(marker, Settings) if marker.is_file() else Settings())


def read_state(workspace: Workspace) -> State:
    """Production state; an empty one where none is stored.

    Raises WorkspaceError when the file is damaged or of a newer version.
    """
    path = inside(workspace.root, workspace.state_path)
    try:
        if path.stat().st_size > MAX_STATE_BYTES:
            raise WorkspaceError("too large to be ours", where=str(path))
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, RecursionError) as error:
        raise WorkspaceError(
            f"production state cannot be read: {error}",
            where=str(path),
            remedy=_restore(path),
        ) from None
    return _migrated(body, path)


def _migrated(body: Any, path: Path) -> State:
    """A stored state in today's form: each version is taken to the next by ``MIGRATIONS``.

    The file itself changes when the next session is recorded, and is kept among the backups then.
    """
    if not isinstance(body, dict) or body.get("format") != STATE_FORMAT:
        raise WorkspaceError("not a holdtrue production state", where=str(path))
    version = body.get("version")
    if type(version) is not int or not 1 <= version <= STATE_VERSION:
        newer = type(version) is int and version > STATE_VERSION
        raise WorkspaceError(
            f"production state of version {version!r:.20}; this holdtrue knows versions 1 to "
            f"{STATE_VERSION}",
            where=str(path),
            remedy="Use the holdtrue that wrote it, or a newer one." if newer else _restore(path),
        )
    try:
        for step in range(version, STATE_VERSION):
            body = {**MIGRATIONS[step](body), "version": step + 1}
        return State.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        problem = f"key {key!r}: {first['msg']}"
    except (AttributeError, LookupError, TypeError, ValueError):
        problem = f"it has not the form of version {version}"
    raise WorkspaceError(f"production state: {problem}", where=str(path), remedy=_restore(path))


def _restore(path: Path) -> str:
    return f"Restore the newest file of {path.parent / 'backups'}."


def _name_transcripts(body: Mapping[str, Any]) -> dict[str, Any]:
    """Version 2 keeps the hash of each session's transcript, which version 1 did not record."""
    chains = {
        name: {
            **chain,
            "memories": [{**memory, "transcript": None} for memory in chain.get("memories", [])],
        }
        for name, chain in body.get("chains", {}).items()
    }
    return {**body, "chains": chains}


MIGRATIONS: Mapping[int, Callable[[Mapping[str, Any]], dict[str, Any]]] = {1: _name_transcripts}
"""From each version to the next."""


def snapshot_of(state: State, persona: Persona, *, sessions: int) -> Snapshot:
    """What the next session of ``persona`` knows; exemplars come from its last ``sessions``."""
    chain = state.chains.get(persona.name, Chain())
    recent = chain.memories[-sessions:] if sessions else ()
    return Snapshot(
        session=chain.sessions + 1,
        summary=chain.memories[-1].summary if chain.memories else None,
        exemplars=tuple(line for memory in reversed(recent) for line in memory.exemplars),
    )


def record_session(workspace: Workspace, transcript: Transcript) -> Path:
    """Store a finished production session and advance the state by it.

    The transcript is written before the state, and the old state is backed up, so that a crash
    in between loses nothing. A failed session is stored and does not advance the chain.
    Call it under ``locked``.
    """
    number = transcript.session or 0
    failed = transcript.status is Status.FAILED
    suffix = f"-failed-{_stamp()}" if failed else ""
    folder = inside(workspace.root, workspace.sessions_folder)
    path = folder / f"session-{number:03d}{suffix}.json"
    text = to_json(transcript)
    write_atomic(path, text)
    if failed:
        return path
    state = read_state(workspace)
    chain = state.chains.get(transcript.persona.name, Chain())
    memory = SessionMemory(
        session=number,
        summary=summary_of(transcript),
        exemplars=self_identifications(transcript),
        transcript=hashlib.sha256(text.encode()).hexdigest(),
    )
    advanced = Chain(sessions=number, memories=(*chain.memories, memory)[-EXEMPLAR_SESSIONS:])
    chains = {**state.chains, transcript.persona.name: advanced}
    _back_up(workspace)
    body = state.model_copy(update={"chains": chains}).model_dump(mode="json")
    write_atomic(workspace.state_path, json.dumps(body, ensure_ascii=False, indent=1) + "\n")
    return path


def _back_up(workspace: Workspace) -> None:
    """Keep the present state under a dated name; the oldest beyond KEPT_BACKUPS go."""
    path = workspace.state_path
    if not path.exists():
        return
    folder = inside(workspace.root, path.parent / "backups")
    inside(workspace.root, path)
    write_atomic(folder / f"state-{_stamp()}.json", path.read_bytes())
    for old in sorted(folder.glob("state-*.json"))[:-KEPT_BACKUPS]:
        old.unlink(missing_ok=True)


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")


@contextmanager
def locked(workspace: Workspace, purpose: str) -> Iterator[None]:
    """Hold the workspace for production work.

    The lock is the operating system's, so that it ends with its process: a dead owner's lock is
    free. Raises WorkspaceError naming the living owner and since when it holds the lock.
    """
    folder = inside(workspace.root, workspace.root / "production")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(f"cannot be written: {error.strerror}", where=str(folder)) from None
    owner = folder / "lock.json"
    lock = FileLock(inside(workspace.root, folder / ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise WorkspaceError(
            f"this workspace is in use{_owner_text(owner)}",
            where=str(workspace.root),
            remedy="Wait for it to end, or stop that process.",
        ) from None
    except OSError as error:
        raise WorkspaceError(f"cannot be locked: {error.strerror}", where=str(folder)) from None
    try:
        facts = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "purpose": purpose,
        }
        write_atomic(owner, json.dumps(facts) + "\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _owner_text(path: Path) -> str:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        since = datetime.fromisoformat(facts["since"])
        minutes = (datetime.now(UTC) - since).total_seconds() / 60
        name = f"process {int(facts['pid'])} on {facts['host']}"
        alive = psutil.pid_exists(int(facts["pid"])) or facts["host"] != socket.gethostname()
        gone = "" if alive else ", which seems to have ended"
        return f" by {name} ({facts['purpose']}, for {minutes:.0f} minutes){gone}"
    except (OSError, ValueError, KeyError, TypeError):
        return " by another process"
