"""The folder of a ladder: its plan, the results so far, and going on after an interruption.

``OUT/ladders/ID/`` holds ``ladder.json`` (the plan with its digest), ``results/RUNG.json``,
``costs.json`` where costs are measured, and in ``runs/`` the capacity test of each rung with its
transcripts beside. A result is written once its rung is decided; a test that was interrupted is
resumed turn by turn by the capacity test itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from holdtrue.errors import WorkspaceError
from holdtrue.files import write_atomic
from holdtrue.ladder.plan import Ladder
from holdtrue.ladder.results import RungResult
from holdtrue.runconfig import now
from holdtrue.runs import MAX_CONFIG_BYTES, Run, create_run, newest, open_run

LADDERS = "ladders"
PLAN = "ladder.json"
COSTS = "costs.json"
FORMAT = "holdtrue-ladder"
VERSION = 1


@dataclass(frozen=True, slots=True)
class LadderFolder:
    """One ladder on disk. ``created`` and ``command`` say when and how it began."""

    path: Path
    ladder: Ladder
    created: str
    command: str

    @property
    def id(self) -> str:
        return self.path.name

    def results(self) -> dict[str, RungResult]:
        """The results so far by rung name. Raises WorkspaceError for a damaged one."""
        found = {}
        for rung in self.ladder.rungs:
            path = self._result_path(rung.name)
            if path.is_file():
                try:
                    found[rung.name] = RungResult.model_validate(_read(path))
                except ValidationError as error:
                    raise _damaged(path, error) from None
        return found

    def store(self, result: RungResult) -> Path:
        """Keep a rung's result."""
        body = json.dumps(result.model_dump(mode="json"), ensure_ascii=False, indent=1)
        return write_atomic(self._result_path(result.name), body + "\n")

    def costs(self) -> dict[str, dict[str, float | None]]:
        """Measured costs by rung name: ``seconds`` a session, ``memory`` in bytes."""
        path = self.path / COSTS
        body = _read(path) if path.is_file() else {}
        if not isinstance(body, dict) or not all(isinstance(one, dict) for one in body.values()):
            raise WorkspaceError("not the costs of a ladder", where=str(path))
        return body

    def store_costs(self, costs: Mapping[str, Mapping[str, float | None]]) -> Path:
        """Keep the measured costs."""
        return write_atomic(self.path / COSTS, json.dumps(costs, indent=1) + "\n")

    def run_of(self, name: str) -> Run:
        """The capacity test of a rung: the one begun before, else a new one."""
        rung = next(one for one in self.ladder.rungs if one.name == name)
        folder = self.path / "runs" / name
        if (folder / "config.json").is_file():
            return open_run(folder)
        if folder.is_dir():
            folder.rmdir()  # left by a kill before its configuration was written
        config = self.ladder.run_config(rung, created=self.created, command=self.command)
        return create_run(self.path, config.model_dump(mode="json", by_alias=True))

    def _result_path(self, name: str) -> Path:
        return self.path / "results" / f"{name}.json"


def create_ladder(out: Path, ladder: Ladder, *, command: str = "") -> LadderFolder:
    """Make a ladder's folder under ``out``. Raises WorkspaceError when it cannot be written."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    slug = re.sub(r"[^a-z0-9]+", "-", ladder.name.lower()).strip("-")[:30] or "ladder"
    path = out / LADDERS / f"{stamp}-{slug}-{os.urandom(2).hex()}"
    created = now()
    plan = ladder.model_dump(mode="json", by_alias=True)
    body = {
        "format": FORMAT,
        "version": VERSION,
        "digest": ladder.digest,
        "created": created,
        "command": command,
        "plan": plan,
    }
    write_atomic(path / PLAN, json.dumps(body, ensure_ascii=False, indent=1) + "\n")
    return LadderFolder(path, ladder, created, command)


def open_ladder(path: Path) -> LadderFolder:
    """The ladder in a folder, or the newest one of an output folder.

    Raises WorkspaceError when there is none, or its plan was changed or is damaged.
    """
    folder = newest(path, LADDERS, PLAN)
    if folder is None:
        raise WorkspaceError(
            "no ladder is here",
            where=str(path),
            remedy="Name a folder under ladders/, or the --out folder of a ladder.",
        )
    place = folder / PLAN
    body = _read(place)
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise WorkspaceError("not the plan of a ladder", where=str(place))
    if body.get("version") != VERSION:
        raise WorkspaceError(
            f"ladder version {body.get('version')!r}; this holdtrue reads version {VERSION}",
            where=str(place),
        )
    try:
        ladder = Ladder.model_validate(body["plan"])
    except (ValidationError, KeyError) as error:
        raise _damaged(place, error) from None
    if ladder.digest != body.get("digest"):
        raise WorkspaceError(
            "the plan does not fit its digest: it was changed after the ladder began",
            where=str(place),
            remedy="Restore the file, or begin a new ladder.",
        )
    return LadderFolder(folder, ladder, str(body.get("created", "")), str(body.get("command", "")))


def check_same(folder: LadderFolder, wanted: Ladder) -> None:
    """Raises WorkspaceError naming every difference between the plan begun and the one wanted."""
    if found := differences(folder.ladder, wanted):
        raise WorkspaceError(
            "a ladder is only resumed under its own plan; differing: " + "; ".join(found),
            where=str(folder.path),
            remedy="Leave these out to go on with the ladder as it is, or begin a new one.",
        )


def differences(begun: Ladder, wanted: Ladder) -> list[str]:
    """What tells two plans apart, in words; empty for equal ones.

    Sizes are not compared: they follow from the models, and a model that could not be read when
    the ladder began may be there now.
    """
    old = {rung.name: rung for rung in begun.rungs}
    new = {rung.name: rung for rung in wanted.rungs}
    found = [f"rung {name} was added" for name in new if name not in old]
    found += [f"rung {name} was removed" for name in old if name not in new]
    for name in old.keys() & new.keys():
        for key in ("model", "adapter", "bits", "track"):
            before, after = getattr(old[name], key), getattr(new[name], key)
            if before != after:
                found.append(f"rung {name} has {key} {after!r} instead of {before!r}")
        for key in ("protocol", "snapshot"):
            if getattr(old[name], key) != getattr(new[name], key):
                found.append(f"rung {name} has another {key}")
    if not found and [*old] != [*new] and begun.cost == "listed":
        found.append("the rungs are listed in another order")
    hashed = ("persona", "criteria", "also", "baseline")
    for key in Ladder.model_fields:
        if key in ("rungs", "host", "name"):
            continue
        before, after = getattr(begun, key), getattr(wanted, key)
        if before != after:
            told = "" if key in hashed else f" {after!r} instead of {before!r}"
            found.append(f"{key}{told or ' has another content'}")
    return found


@contextmanager
def held(folder: LadderFolder) -> Iterator[None]:
    """Keep other processes out of a ladder. Raises WorkspaceError when one is at it."""
    lock = FileLock(folder.path / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise WorkspaceError(
            "another process is climbing this ladder",
            where=str(folder.path),
            remedy="Wait for it to end, or begin a new ladder.",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise WorkspaceError("too large to be ours", where=str(path))
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> WorkspaceError:
    first = str(error).splitlines()[0]
    return WorkspaceError(
        f"cannot be read: {first}",
        where=str(path),
        remedy="Restore the file; a damaged result may be removed, its rung is then judged again.",
    )
