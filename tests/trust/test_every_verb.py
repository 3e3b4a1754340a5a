"""Every verb explains itself, and what it calls JSON is JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from holdtrue.cli.main import cli


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every verb and verb of a verb, by its words."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            for inner, one in command.commands.items():
                yield f"{name} {inner}", one


ALL = dict(commands())
MODEL = "scripted:steady"
JSON = {
    "test": f"test {MODEL} --budget 1 --label other --json",
    "score": "score T-session-transcripts --json",
    "compare": "compare T-session-transcripts T-session-transcripts --json",
    "verdict": "verdict . --json",
    "report": "report . --json",
    "ladder": f"ladder {MODEL} --budget 1 --cost listed --out ladder --json",
    "check": f"check {MODEL} --json",
    "models": "models --json",
    "baseline list": "baseline list --json",
    "baseline show": "baseline show s35 --json",
    "calibrate": "calibrate labels.jsonl --json",
    "plan": "plan --budget 4 --json",
    "verify": "verify . --json",
    "sleep curate": "sleep curate T-session-transcripts --out data --min-sessions 1 --json",
}
TRAINING = {"sleep train", "sleep cycle", "sleep merge"}  # these need a model to train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("verbs")
    label = {"id": "a", "persona": "Pim", "prompt": "Hi?", "response": "I am Pim."}
    (root / "labels.jsonl").write_text(json.dumps({**label, "self_ref": "natural"}) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        command = f"test {MODEL} --budget 4 --label T --host h --out ."
        assert CliRunner().invoke(cli, command.split()).exit_code == 0
    return root


@pytest.mark.parametrize("words", sorted(ALL))
def test_every_verb_has_help_with_every_option_in_it(words: str) -> None:
    result = CliRunner().invoke(cli, [*words.split(), "--help"])
    assert result.exit_code == 0, result.output
    for parameter in ALL[words].params:
        if isinstance(parameter, click.Option):
            assert any(name in result.output for name in parameter.opts)
            assert parameter.help, f"{words} {parameter.opts}"


def test_every_verb_that_offers_json_is_among_those_tried() -> None:
    offering = {words for words, one in ALL.items() if any("--json" in p.opts for p in one.params)}
    assert offering - TRAINING == set(JSON)


@pytest.mark.parametrize("words", sorted(JSON))
def test_what_is_called_json_is_one_json_document(
    words: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(cli, JSON[words].split(), standalone_mode=False)
    assert result.exception is None, (result.output, result.exception)
    body = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(name))
    assert isinstance(body, dict | list)
    assert body
