"""``holdtrue ladder`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from holdtrue.cli.ladder import command
from holdtrue.errors import ConfigError, WorkspaceError
from holdtrue.ladder import climb
from ladderkit import QUICK


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The verb in an empty folder, expected errors raised as they are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.toml").write_text(QUICK, encoding="utf-8")

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(command, list(arguments), standalone_mode=False)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def listed(*extra: str) -> tuple[str, ...]:
    models = ("scripted:gaming", "scripted:steady")
    return (*models, "--cost", "listed", "--criteria", "./quick.toml", "--budget", "24", *extra)


def ladders(folder: Path) -> list[Path]:
    return sorted((folder / "holdtrue-out" / "ladders").iterdir())


def test_a_list_of_models_is_climbed_and_written_down(call: Any, tmp_path: Path) -> None:
    result = call(*listed())
    assert result.return_value == 0
    assert "steady is the smallest rung that holds" in result.stdout
    assert "gaming: not met after 4 sessions" in result.stderr
    (folder,) = ladders(tmp_path)
    for name in ("LADDER.md", "report.html", "ladder.csv", "ladder.json"):
        assert (folder / name).is_file()
        assert name == "ladder.json" or name in result.stdout


def test_json_is_one_document(call: Any) -> None:
    body = json.loads(call(*listed("--json")).stdout)
    assert body["smallest"] == "steady"
    assert [one["standing"] for one in body["rungs"]] == ["not met", "met"]


def test_a_file_says_the_same_and_options_override_it(call: Any, tmp_path: Path) -> None:
    path = tmp_path / "ladder.toml"
    path.write_text(
        'name = "sizes"\ncriteria = "./quick.toml"\nalso = []\nbudget = 24\n'
        '[[rung]]\nmodel = "scripted:steady"\nparameters = 2\nname = "two"\n'
        '[[rung]]\nmodel = "scripted:gaming"\nparameters = 1\nname = "one"\n',
        encoding="utf-8",
    )
    body = json.loads(call("--file", str(path), "--json").stdout)
    assert [one["name"] for one in body["rungs"]] == ["one", "two"]
    assert body["smallest"] == "two"
    body = json.loads(call("--file", str(path), "--budget", "4", "--json").stdout)
    assert body["smallest"] is None
    assert body["tracks"][0]["undetermined"] == ["two"]


def test_an_interrupted_ladder_says_how_to_go_on(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        async def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(climb, "climb", interrupted)
        result = call(*listed())
    assert result.return_value == 130
    (folder,) = ladders(tmp_path)
    assert f"--resume holdtrue-out/ladders/{folder.name}" in result.stderr
    assert call("--resume", str(folder)).return_value == 0
    assert len(ladders(tmp_path)) == 1
    assert call(*listed("--resume", str(folder))).return_value == 0
    with pytest.raises(WorkspaceError, match="rung mixed was added"):
        call("scripted:mixed", *listed("--resume", str(folder)))
    with pytest.raises(WorkspaceError, match="seed 3 instead of 0"):
        call(*listed("--seed", "3", "--resume", str(folder)))


def test_nothing_is_made_when_the_input_is_wrong(call: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two rungs are equal"):
        call("scripted:steady", "scripted:steady", "--cost", "listed")
    with pytest.raises(ConfigError, match="--cost listed"):
        call("scripted:steady")
    with pytest.raises(ConfigError, match="quantizations"):
        call("scripted:steady", "--quantization", "few")
    with pytest.raises(ConfigError, match="no criteri"):
        call(*listed("--criteria", "nothing"))
    assert not (tmp_path / "holdtrue-out" / "ladders").exists()


def test_options_that_belong_to_a_cluster_are_refused_without_one(call: Any) -> None:
    from click import UsageError

    with pytest.raises(UsageError, match="--executor ray"):
        call(*listed("--address", "somewhere:6379"))
    with pytest.raises(UsageError, match="not both"):
        call("scripted:a", "--file", "x.toml")


def test_a_ladder_of_which_nothing_could_be_tested_ends_with_the_engines_code(call: Any) -> None:
    result = call("gguf:./no.gguf")
    assert result.return_value == 4
    assert "No rung could be tested" in result.stdout
