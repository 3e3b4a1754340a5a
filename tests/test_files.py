from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from holdtrue.errors import WorkspaceError
from holdtrue.files import append_atomic, write_atomic


def test_a_failed_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_atomic(tmp_path / "a.txt", "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkspaceError) as caught:
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]
    assert caught.value.where == str(path)
    assert "space" in caught.value.message
    assert caught.value.remedy


def test_a_folder_that_is_a_file_gives_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        write_atomic(tmp_path / "f" / "a.txt", "x")


def _append(path: Path, name: str) -> None:
    for index in range(20):
        append_atomic(path, f"{name}{index}\n")


def test_two_processes_appending_at_once_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    append_atomic(path, "first\n")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append, args=(path, name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    lines = path.read_text().splitlines()
    assert lines[0] == "first"
    for name in "ab":
        assert [x for x in lines if x.startswith(name)] == [f"{name}{i}" for i in range(20)]
    assert len(lines) == 41
