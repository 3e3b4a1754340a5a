"""sha256 of large files, remembered by path, size and time of change.

A remembered hash is not a proof against someone who sets a file's time back on purpose.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import platformdirs

FRESH_NS = 2_000_000_000
MAX_REMEMBERED = 1_000


def cache_folder() -> Path:
    """Where fetched models and remembered hashes are kept; ``HOLDTRUE_CACHE`` overrides it."""
    if chosen := os.environ.get("HOLDTRUE_CACHE"):
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("holdtrue", appauthor=False)


def sha256_of(path: Path) -> str:
    """The sha256 of a file as 64 hex digits; OSError where it cannot be read.

    Files changed within the last two seconds are hashed anew, since their time of change does not
    tell one content from the next.
    """
    state = path.stat()
    stamp = [state.st_size, state.st_mtime_ns, state.st_ino]
    key = str(path.resolve())
    store = cache_folder() / "hashes.json"
    remembered = _read(store)
    entry = remembered.get(key)
    if isinstance(entry, list) and entry[:3] == stamp and isinstance(entry[-1], str):
        return entry[-1]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if time.time_ns() - state.st_mtime_ns > FRESH_NS:
        remembered[key] = [*stamp, digest]
        _write(store, dict(list(remembered.items())[-MAX_REMEMBERED:]))
    return digest


def _read(store: Path) -> dict[str, Any]:
    """What is remembered; nothing where the store is missing or damaged: it only saves time."""
    try:
        body = json.loads(store.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _write(store: Path, body: dict[str, Any]) -> None:
    """Replace the store; a folder that cannot be written only costs time at the next start."""
    name = ""
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=store.parent, prefix=".hashes-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(body, file)
        os.replace(name, store)
    except OSError:
        if name:
            Path(name).unlink(missing_ok=True)
