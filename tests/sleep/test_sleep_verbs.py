"""``holdtrue sleep`` as a user types it, on models of two layers."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sleepkit import sessions, small_dataset
from tinymodel import make_tiny

from command_line import HOLDTRUE
from holdtrue.cli.main import cli
from holdtrue.errors import ConfigError, EngineError, WorkspaceError
from holdtrue.sleep.dataset import write_dataset
from holdtrue.sleep.weights import load_base
from holdtrue.transcript import to_json

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
SHORT = """
schema = 1
name = "short"
description = "Two questions, soon answered"
window = 2
[anchoring]
system = "You are {{ persona.name }}, a partner in this talk."
[sampling]
temperature = 0.7
max_tokens = 4
[[phases]]
name = "questioning"
first = 1
context = "Questions."
[[phases.flow]]
intent = "now"
phrasings = ["What is here?", "What is it now?", "What do you see?"]
[[phases.flow]]
intent = "keep"
phrasings = ["What stays?", "What is kept?", "What remains?"]
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_tiny(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Transcripts of a scripted character that is mostly good."""
    folder = tmp_path_factory.mktemp("talks")
    for session in sessions("mixed", 6):
        number = session.transcript.session
        (folder / f"{number}.json").write_text(to_json(session.transcript), encoding="utf-8")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace to work in, with a short protocol."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holdtrue.toml").write_text('persona = "sage"\n', encoding="utf-8")
    (tmp_path / "short.toml").write_text(SHORT, encoding="utf-8")
    return tmp_path


def call(*arguments: object) -> Result:
    """The command, expected errors raised as they are."""
    result = CliRunner().invoke(cli, ["sleep", *map(str, arguments)], standalone_mode=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def cycle(number: int, talks: Path, tiny: str, *more: object) -> Result:
    return call(
        "cycle", number, talks, "--base", tiny, "--sessions", 2, "--protocol", "./short.toml",
        "--anchored", 0, "--epochs", 1, "--max-tokens", 900, "--host", "h", *more,
    )  # fmt: skip


def test_curate_says_what_it_dropped_and_writes_the_data(here: Path, talks: Path) -> None:
    result = call("curate", talks, "--out", "data")
    assert "names itself mechanically" in result.stdout
    assert "preference pairs" in result.stdout
    for name in ("train.jsonl", "held-out.jsonl", "pairs.jsonl", "card.json", "CARD.md"):
        assert (here / "data" / name).is_file()
        assert f"data/{name}" in result.stdout
    with pytest.raises(ConfigError, match="not empty"):
        call("curate", talks, "--out", "data")


def test_curate_says_how_many_good_sessions_are_missing(here: Path, talks: Path) -> None:
    with pytest.raises(ConfigError, match=r"9 wanted: \d are missing"):
        call("curate", talks, "--out", "data", "--min-sessions", 9)
    assert not (here / "data").exists()


def test_a_dataset_is_trained_on_and_the_way_to_test_it_told(
    here: Path, talks: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("curate", talks, "--out", "data", "--anchored", 0)
    result = call("train", "data", "--base", tiny, "--out", "a", "--max-tokens", 900)
    assert "held-out loss" in result.stdout
    assert f"holdtrue test {tiny}+{here / 'a'}" in result.stdout  # works from any folder
    assert "loss" in result.stderr
    for name in ("adapter_model.safetensors", "manifest.json", "loss.svg", "loss.png"):
        assert (here / "a" / name).is_file()
    with pytest.raises(ConfigError, match="finished adapter"):
        call("train", "data", "--base", tiny, "--out", "a")


def test_a_dataset_of_another_tokenizer_is_refused(here: Path, tiny: str, tmp_path: Path) -> None:
    other = make_tiny(tmp_path / "other", extra="<|other|>")
    bound = small_dataset(tokenizer=load_base(other).tokenizer_hash)
    write_dataset(bound, here / "data")
    with pytest.raises(ConfigError, match="bound to tokenizer"):
        call("train", "data", "--base", tiny, "--out", "a")


@pytest.mark.parametrize("base", ["scripted:mixed", "smollm2-135m@layers=20", "no-such"])
def test_a_base_that_cannot_be_trained_is_refused_before_anything_is_read(
    here: Path, base: str
) -> None:
    with pytest.raises(ConfigError, match="trained"):
        call("cycle", 1, "no-such-folder", "--base", base)
    assert not (here / "sleep").exists()


def test_a_cycle_ends_in_a_verdict_with_its_documents(here: Path, talks: Path, tiny: str) -> None:
    result = cycle(7, talks, tiny)
    folder = here / "sleep" / "cycle-007"
    assert "Did gaming fall?" in result.stdout
    assert f"holdtrue test {tiny}+{folder}" in result.stdout
    assert "Undo it: remove sleep/cycle-007" in result.stdout
    for name in ("CYCLE.md", "report.html", "result.json", "dataset/CARD.md", "figures/loss.svg"):
        assert (folder / name).is_file()
    assert "sleep/cycle-007/CYCLE.md" in (here / "LATEST_STATUS.md").read_text()
    body = json.loads((folder / "result.json").read_text())
    assert set(body["perplexity"]) == {"base", "adapter", "sham"}

    again = cycle(7, talks, tiny, "--json")  # nothing is left to be done, nor told twice
    assert json.loads(again.stdout)["tag"] == body["outcome"]["tag"]
    assert (here / "LATEST_STATUS.md").read_text().count("## ") == 1
    assert len((here / "h_worklog.txt").read_text().splitlines()) == 1
    with pytest.raises(WorkspaceError, match="differing: sessions"):
        cycle(7, talks, tiny, "--sessions", 3)


def test_a_cycle_stopped_in_training_goes_on_and_ends_alike(
    here: Path, talks: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdtrue.sleep.train import Trainer

    real, steps = Trainer._step, []

    def stopping(self: Trainer, step: int) -> float:
        if len(steps) == 6:
            steps.append(-1)
            raise KeyboardInterrupt
        steps.append(step)
        return real(self, step)

    monkeypatch.setattr(Trainer, "_step", stopping)
    stopped = cycle(1, talks, tiny, "--batch", 1)
    assert stopped.return_value == 130
    assert "The same command goes on" in stopped.stderr
    cycle(1, talks, tiny, "--batch", 1)
    assert steps[:8] == [0, 1, 2, 3, 4, 5, -1, 5]  # on from the checkpoint of five steps
    cycle(2, talks, tiny, "--batch", 1)
    losses = [
        json.loads((here / "sleep" / f"cycle-00{n}" / "manifest.json").read_text())["losses"]
        for n in (1, 2)
    ]
    assert losses[0] == losses[1]


def test_ctrl_c_stops_a_training_and_the_same_command_finishes_it(here: Path, tiny: str) -> None:
    write_dataset(small_dataset(), here / "data")
    command = [*HOLDTRUE, "sleep", "train", "data", "--base", tiny, "--out", "a"]
    command += ["--epochs", "400", "--batch", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list((here / "a").glob("checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "goes on from the last checkpoint" in said
    assert "Traceback" not in said
    (newest,) = sorted((here / "a" / "checkpoints").glob("step-*"))[-1:]
    at = json.loads((newest / "state.json").read_text())
    assert 0 < at["step"] == len(at["losses"]) < 2400


def test_a_loss_that_is_no_number_ends_with_the_last_good_checkpoint(
    here: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdtrue.sleep.train import Trainer

    write_dataset(small_dataset(), here / "data")
    real = Trainer._backward

    def spoilt(self: Trainer, places: Any) -> float:
        return float("nan") if self.state.step == 6 else real(self, places)

    monkeypatch.setattr(Trainer, "_backward", spoilt)
    with pytest.raises(EngineError, match=r"(?s)step 7 is not a number.*last good checkpoint"):
        call("train", "data", "--base", tiny, "--out", "a", "--batch", 1)
    assert (here / "a" / "checkpoints" / "step-000005").is_dir()


def test_full_memory_is_told_with_what_helps(
    here: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdtrue.sleep.train import Trainer

    def full(self: Trainer, places: Any) -> float:
        raise MemoryError

    write_dataset(small_dataset(), here / "data")
    monkeypatch.setattr(Trainer, "_backward", full)
    with pytest.raises(EngineError, match=r"(?s)memory is full.*--max-tokens"):
        call("train", "data", "--base", tiny, "--out", "a")


def test_an_adapter_of_another_base_is_refused_by_the_verbs_that_open_it(
    here: Path, tiny: str, tmp_path: Path
) -> None:
    write_dataset(small_dataset(), here / "data")
    call("train", "data", "--base", tiny, "--out", "a", "--epochs", 1)
    other = make_tiny(tmp_path / "other", seed=1)
    with pytest.raises(ConfigError, match="was trained on"):
        call("merge", "a", "--out", "m", "--base", other)
    result = CliRunner().invoke(cli, ["test", f"{other}+a", "--budget", "4"], standalone_mode=False)
    assert isinstance(result.exception, EngineError)
    assert "another base model" in str(result.exception)


def test_merge_makes_a_folder_that_test_opens(here: Path, tiny: str) -> None:
    write_dataset(small_dataset(), here / "data")
    call("train", "data", "--base", tiny, "--out", "a", "--epochs", 1)
    result = call("merge", "a", "--out", "merged")
    assert f"holdtrue test hf:{here / 'merged'}" in result.stdout
    done = CliRunner().invoke(
        cli,
        ["test", f"hf:{here / 'merged'}", "--protocol", "./short.toml", "--budget", "4"],
        standalone_mode=False,
    )
    assert done.exception is None, done.output
    assert done.return_value == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--out", "m", "--adapter-only"], "end in .gguf"),
        (["--out", "m", "--bits", "8"], "--bits 8 does not go with"),
        (["--out", "m.gguf", "--bits", "32"], "--bits 32 does not go with"),
        (["--out", "m.gguf", "--adapter-only"], "no GGUF file"),
    ],
)
def test_forms_that_cannot_be_merged_are_refused(
    here: Path, tiny: str, more: list[str], said: str
) -> None:
    write_dataset(small_dataset(), here / "data")
    call("train", "data", "--base", tiny, "--out", "a", "--epochs", 1)
    with pytest.raises(ConfigError, match=said):
        call("merge", "a", *more)
