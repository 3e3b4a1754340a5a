from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from holdtrue.engines.registry import GROUP, engines, open_engine
from holdtrue.errors import ConfigError
from paths import ROOT


@pytest.fixture
def parrot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tutorial's package, installed where this test alone sees it."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--disable-pip-version-check",
        "--target",
        str(tmp_path),
        str(ROOT / "tests" / "plugin_package"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return tmp_path


def test_the_tutorials_plug_in_installs_and_speaks(parrot: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "sys.argv = ['holdtrue', 'test', 'parrot:loud', '--budget', '4', '--out', sys.argv[2]]\n"
        "from holdtrue.cli.main import main\n"
        "main()\n"
    )
    out = parrot / "out"
    done = subprocess.run(
        [sys.executable, "-c", code, str(parrot), str(out)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    stored = sorted((out / "loud-session-transcripts").glob("*.json"))
    assert len(stored) == 4
    assert "YOU SAID:" in stored[0].read_text()


def test_an_installed_engine_is_found_by_its_name(parrot: Path) -> None:
    assert "parrot" in engines()
    assert type(open_engine("parrot:quiet")).__name__ == "ParrotEngine"


def test_two_engines_of_one_name_are_an_error_that_names_both() -> None:
    points = [
        EntryPoint("twin", "first_package:Engine", GROUP),
        EntryPoint("twin", "second_package:Engine", GROUP),
    ]
    with pytest.raises(ConfigError) as caught:
        engines(points)
    assert "first_package" in caught.value.message
    assert "second_package" in caught.value.message


def test_the_built_in_engines_are_registered() -> None:
    names = {point.name for point in entry_points(group=GROUP)}
    assert {"llamacpp", "scripted", "remote", "transformers"} <= names
