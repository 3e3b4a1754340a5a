"""Run folder: the configuration, journal and log of one run, and where its transcripts are.

The journal holds every finished turn before the next is asked for. A run is resumed from it, and
only under the configuration that it began with.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from filelock import FileLock, Timeout

from holdtrue.errors import WorkspaceError
from holdtrue.files import inside, write_atomic
from holdtrue.session import SessionPlan
from holdtrue.transcript import Transcript, Turn, read_transcript, to_json

CONFIG = "config.json"
JOURNAL = "journal.jsonl"
LOG = "engine.log"
MANIFEST = "manifest.json"
RUNS = "runs"
FREE_KEYS = frozenset({"created", "command", "versions", "run_id"})
MAX_CONFIG_BYTES = 20_000_000
PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its ``folder`` (``OUT/runs/ID``), the ``out`` folder of its documents, ``config``.

    ``config`` is plain JSON; what it means is for the stage that wrote it.
    """

    folder: Path
    out: Path
    config: Mapping[str, Any]

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def log_path(self) -> Path:
        return inside(self.out, self.folder / LOG)

    @property
    def journal_path(self) -> Path:
        return inside(self.out, self.folder / JOURNAL)

    @property
    def label(self) -> str:
        return str(self.config["label"])

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end; it may then be judged, not gone on with."""
        return (self.folder / MANIFEST).is_file()

    @property
    def transcripts_folder(self) -> Path:
        return self.out / f"{self.label}-session-transcripts"

    def transcript_path(self, number: int) -> Path:
        """Where session ``number`` is stored."""
        return self.transcripts_folder / f"{self.label}-session-{number:03d}.json"

    def store(self, transcript: Transcript) -> Path:
        """Write a session's transcript, finished or failed; never over another run's."""
        path = inside(self.out, self.transcript_path(transcript.session or 0))
        if path.is_file() and not self._owns(read_transcript(path)):
            raise WorkspaceError(
                "this session belongs to another run",
                where=str(path),
                remedy="Begin a new run, with another --label or --out.",
            )
        return write_atomic(path, to_json(transcript))

    def _owns(self, transcript: Transcript) -> bool:
        """Runs of one label share a folder, and the next run's numbers follow on this one's."""
        return transcript.run in (None, self.config.get("run_id"))

    def transcripts(self) -> list[Transcript]:
        """The stored sessions of this run, by number. Raises TranscriptError for a bad file."""
        first = int(self.config["first_session"])
        last = first + int(self.config["budget"])
        paths = [self.transcript_path(number) for number in range(first, last)]
        found = [read_transcript(inside(self.out, path)) for path in paths if path.is_file()]
        return [transcript for transcript in found if self._owns(transcript)]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run, so that no two processes go on with it at once.

        The lock ends with its process. Raises WorkspaceError when another one holds it.
        """
        lock = FileLock(inside(self.out, self.folder / ".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise WorkspaceError(
                "another process is at work on this run",
                where=str(self.folder),
                remedy="Wait for it to end, or stop that process.",
            ) from None
        except OSError as error:
            raise WorkspaceError(
                f"cannot be locked: {error.strerror}", where=str(self.folder)
            ) from None
        try:
            yield
        finally:
            lock.release()

    def discard_if_empty(self) -> bool:
        """Take away a run that ended before its first turn; whether it was one."""
        if self.journal_path.is_file() and self.journal_path.stat().st_size:
            return False
        if self.is_finished or self.transcripts():
            return False
        shutil.rmtree(self.folder, ignore_errors=True)
        return True

    def finished_turns(self) -> dict[int, tuple[Turn, ...]]:
        """Turns by session number, as the journal has them; a torn last line is dropped."""
        return read_journal(self.journal_path)

    def write_json(self, name: str, value: Any) -> Path:
        """Store a JSON value beside the journal."""
        path = inside(self.out, self.folder / name)
        return write_atomic(path, as_stored(value))

    def read_json(self, name: str) -> Any:
        """A value stored by ``write_json``, None where there is none."""
        path = inside(self.out, self.folder / name)
        return _read_json(path) if path.is_file() else None


def as_stored(value: Any) -> str:
    """The form in which ``Run.write_json`` stores a value."""
    return json.dumps(value, ensure_ascii=False, indent=1)


def config_digest(config: Mapping[str, Any]) -> str:
    """Hash of what decides a run's results (sha256, 16 hex digits)."""
    kept = {key: value for key, value in config.items() if key not in FREE_KEYS}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def create_run(out: Path, config: Mapping[str, Any]) -> Run:
    """Make the run's folder and write its configuration.

    Raises WorkspaceError when a session of that label and number is already there, or the folder
    cannot be written.
    """
    run_id = str(config["run_id"])
    folder = out / RUNS / run_id
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise WorkspaceError(
            f"a run {run_id} is already there",
            where=str(out),
            remedy="Resume it with --resume, or name another --out.",
        ) from None
    except OSError as error:
        raise WorkspaceError(
            f"cannot be written: {error.strerror}",
            where=str(folder),
            remedy="Name a folder that you may write to with --out.",
        ) from None
    run = Run(folder, out, dict(config))
    try:
        with FileLock(out / RUNS / ".new.lock"):
            _check_numbers(run)
            run.write_json(CONFIG, {"digest": config_digest(config), **config})
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return run


def _check_numbers(run: Run) -> None:
    """Refuse numbers that hold sessions, or that an unfinished run still needs."""
    first = int(run.config["first_session"])
    used = used_numbers(run.out, run.label)
    free = next_number(run.out, run.label)
    elsewhere = f"Use --session {free:03d}, another --label or another --out."
    if taken := [n for n in used if n >= first]:
        raise WorkspaceError(
            f"session {min(taken):03d} of label {run.label!r} is already there",
            where=str(run.transcripts_folder),
            remedy=elsewhere,
        )
    for other, numbers in _unfinished(run.out, run.label):
        if first < numbers.stop:
            raise WorkspaceError(
                f"sessions {numbers.start:03d} to {numbers.stop - 1:03d} of label {run.label!r} "
                "are kept for a run that is not finished",
                where=str(other),
                remedy=f"Go on with it by --resume, or delete its folder. {elsewhere}",
            )


def next_number(out: Path, label: str) -> int:
    """The first session number of ``label`` after those stored, or kept for unfinished runs."""
    kept = [numbers.stop - 1 for _, numbers in _unfinished(out, label)]
    return max([0, *used_numbers(out, label), *kept]) + 1


def _unfinished(out: Path, label: str) -> list[tuple[Path, range]]:
    """Folders of the runs of ``label`` that can still be resumed, and the numbers they may use."""
    found = []
    for path in sorted((out / RUNS).glob(f"*/{CONFIG}")):
        if (path.parent / MANIFEST).is_file():
            continue
        try:
            config = _read_json(path)
            _check_names(config, path.parent)
            first = config["first_session"]
            numbers = range(first, first + config["budget"])
        except (WorkspaceError, LookupError, TypeError):
            continue  # it cannot be resumed, so it needs no numbers
        if config["label"] == label:
            found.append((path.parent, numbers))
    return found


def used_numbers(out: Path, label: str) -> list[int]:
    """The session numbers of ``label`` that are stored under ``out``, ascending."""
    folder = out / f"{label}-session-transcripts"
    prefix = f"{label}-session-"
    names = [path.stem.removeprefix(prefix) for path in folder.glob(f"{prefix}*.json")]
    return sorted(int(name) for name in names if name.isdigit())


def newest(path: Path, group: str, marker: str) -> Path | None:
    """``path`` if it holds the file ``marker``, else the last folder under ``group`` that does.

    Folders are named by the time at which they were made.
    """
    if (path / marker).is_file():
        return path
    found = (path / group).glob(f"*/{marker}")
    last = max(found, key=age, default=None)
    return last.parent if last else None


def age(marker: Path) -> tuple[str, int, str]:
    """What sorts folders by when they were made, by a file that was written into them then.

    They are named by the second; within one it is the file's time that tells.
    """
    name = marker.parent.name
    return name[: len("20261123-120000")], marker.stat().st_mtime_ns, name


def open_run(path: Path) -> Run:
    """The run at a run folder, or the newest run of an output folder.

    Raises WorkspaceError when there is none, or its configuration was changed or is damaged.
    """
    folder = newest(path, RUNS, CONFIG)
    if folder is None:
        raise WorkspaceError(
            "no run is here",
            where=str(path),
            remedy="Name a folder under runs/, or the --out folder of a test.",
        )
    config = _read_json(folder / CONFIG)
    if not isinstance(config, dict) or not {"label", "first_session", "budget"} <= set(config):
        raise WorkspaceError("not a run's configuration", where=str(folder / CONFIG))
    digest = config.pop("digest", None)
    if digest != config_digest(config):
        raise WorkspaceError(
            "the configuration does not fit its digest: it was changed after the run began",
            where=str(folder / CONFIG),
            remedy="Restore the file, or start a new run.",
        )
    _check_names(config, folder)
    return Run(folder, folder.parent.parent, config)


def _check_names(config: Mapping[str, Any], folder: Path) -> None:
    """A label from a stranger's run must not lead out of the folder."""
    label = config["label"]
    numbers = (config["first_session"], config["budget"])
    safe = isinstance(label, str) and label == os.path.basename(label) and label not in ("", "..")
    sane = all(isinstance(n, int) and 0 <= n <= 1_000_000 for n in numbers)
    if not safe or not sane:
        raise WorkspaceError("label or numbers are not usable", where=str(folder / CONFIG))


def differing_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The configuration keys by which two runs differ in what decides their results."""
    keys = sorted((set(old) | set(new)) - FREE_KEYS)
    return [key for key in keys if old.get(key) != new.get(key)]


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise WorkspaceError("too large to be ours", where=str(path))
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WorkspaceError(f"cannot be read: {error}", where=str(path)) from None


class Journal:
    """Appends finished turns to the file at ``path``, each flushed to disk before it returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b", opener=_open_no_link)
            _drop_torn_line(self._file)
        except OSError as error:
            raise self._failed(error) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
        except OSError as fault:
            if error is None:
                raise self._failed(fault) from None

    def turn(self, plan: SessionPlan, turn: Turn) -> None:
        """Record one finished turn."""
        body = {"session": plan.number, "turn": turn.model_dump(mode="json", exclude_none=True)}
        try:
            self._file.write(json.dumps(body, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> WorkspaceError:
        return WorkspaceError(
            f"the journal cannot be written: {error.strerror}",
            where=str(self.path),
            remedy="Free some space, then go on with --resume.",
        )


def read_journal(path: Path) -> dict[int, tuple[Turn, ...]]:
    """Turns by session number. A last line without its line feed was torn and is dropped.

    Raises WorkspaceError naming the line when any other line is damaged.
    """
    if not path.is_file():
        return {}
    found: dict[int, list[Turn]] = {}
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            body = json.loads(line)
            turns = found.setdefault(int(body["session"]), [])
            turn = Turn.model_validate(body["turn"])
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
            raise WorkspaceError("damaged journal line", where=f"{path}, line {number}") from None
        if turn.index == len(turns) + 1:
            turns.append(turn)
    return {session: tuple(turns) for session, turns in found.items()}


def _open_no_link(path: str, flags: int) -> int:
    """Open for writing what is a file of its own: a link could lead anywhere."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _drop_torn_line(file: BinaryIO) -> None:
    """Cut off what a kill left after the last line feed."""
    end = start = file.seek(0, os.SEEK_END)
    while start:
        size = min(start, PIECE)
        start = file.seek(start - size)
        keep = file.read(size).rfind(b"\n") + 1
        if keep:
            start += keep
            break
    if start < end:
        file.truncate(start)
