"""A disk that fills up at any write leaves no unreadable file, and the run can go on."""

from __future__ import annotations

import builtins
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from holdtrue import runs
from holdtrue.errors import WorkspaceError
from holdtrue.runs import read_journal
from runkit import make_config, run_test


class Disk:
    """Counts writes; from the ``full_at``-th on, half is written and the rest has no room."""

    def __init__(self, full_at: int | None) -> None:
        self.full_at = full_at
        self.writes = 0

    def wrap(self, file: Any) -> Any:
        write = file.write

        def limited(data: bytes) -> int:
            self.writes += 1
            if self.full_at is not None and self.writes >= self.full_at:
                write(data[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
            return int(write(data))

        return _Proxy(file, limited)


class _Proxy:
    def __init__(self, file: Any, write: Any) -> None:
        self._file = file
        self.write = write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Proxy:
        return self

    def __exit__(self, *details: object) -> None:
        self._file.close()


def install(monkeypatch: pytest.MonkeyPatch, disk: Disk) -> None:
    fdopen = os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda *args: disk.wrap(fdopen(*args)))
    plain_open = builtins.open
    monkeypatch.setattr(
        runs, "open", lambda *args, **more: disk.wrap(plain_open(*args, **more)), raising=False
    )


def test_no_write_that_fails_leaves_a_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config("scripted:mixed", budget=2, batch=2)
    with monkeypatch.context() as patch:
        counting = Disk(None)
        install(patch, counting)
        whole = run_test(tmp_path / "whole", config)
    assert counting.writes > 10
    for full_at in range(1, counting.writes + 1):
        out = tmp_path / f"full{full_at}"
        with monkeypatch.context() as patch:
            install(patch, Disk(full_at))
            with pytest.raises(WorkspaceError, match="No space left"):
                run_test(out, config)
        readable(out)
        if not (out / "runs" / "run" / "config.json").exists():
            continue
        assert run_test(out, config).verdict == whole.verdict


def readable(out: Path) -> None:
    for path in out.rglob("*"):
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".jsonl":
            read_journal(path)
        assert path.suffix != ".tmp", path
