"""Whatever is run beside it, production stays as it was, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdtrue.cli.main import cli

COMMANDS = (
    "test scripted:mixed --budget 1 --batch 1",
    "test scripted:collapse --budget 1 --batch 1 --protocol none --label other",
    "run scripted:steady --dry-run --quiet",
    "run scripted:gaming --dry-run --quiet --sessions 2",
    "score production/sessions --json",
    "verdict .",
    "verify .",
    "report .",
    "models",
    "baseline list",
    "run scripted:steady --persona nobody",
    "test scripted:nobody --budget 1",
)


def contents(root: Path) -> dict[str, bytes]:
    paths = sorted((root / "production").rglob("*"))
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        runner = CliRunner()
        assert runner.invoke(cli, ["init", "."]).exit_code == 0
        arguments = ["run", "scripted:steady", "--sessions", "2", "--quiet"]
        result = runner.invoke(cli, arguments, standalone_mode=False)
        assert result.exception is None, result.output
    return root


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=4))
def test_no_command_but_a_production_run_changes_a_byte_of_production(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, commands: list[str]
) -> None:
    monkeypatch.chdir(workspace)
    before = contents(workspace)
    assert len(before) >= 3
    for command in commands:
        CliRunner().invoke(cli, command.split(), standalone_mode=False)
    assert contents(workspace) == before


def test_a_production_run_does_change_it(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    before = contents(workspace)
    arguments = ["run", "scripted:steady", "--quiet"]
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert result.exception is None, result.output
    assert contents(workspace) != before
