from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from holdtrue.capacity import Observer, load_record
from holdtrue.engines.base import Engine, EngineOptions
from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.errors import GenerationError
from holdtrue.messages import Message
from holdtrue.runconfig import default_label
from holdtrue.session import turn_seed
from holdtrue.transcript import Status
from holdtrue.verdict import Decision, Outcome
from holdtrue.verdict.glance import Glance
from runkit import go_on, make_config, new_run, run_test


class Recorder(Observer):
    def __init__(self) -> None:
        self.looks: list[int] = []
        self.turns = 0

    def turn(self, plan: Any, turn: Any) -> None:
        self.turns += 1

    def look(self, glance: Glance) -> None:
        self.looks.append(glance.sessions)


def test_a_steady_character_meets_both_sets_and_the_run_stops_there(tmp_path: Path) -> None:
    watcher = Recorder()
    record = run_test(tmp_path, make_config("scripted:steady", budget=100), observer=watcher)
    assert [one.decision for one in record.verdict.sets] == [Decision.MET, Decision.MET]
    assert record.verdict.outcome is Outcome.SUCCESS
    assert len(record.sessions) < 100
    assert watcher.looks == list(range(4, len(record.sessions) + 1, 4))


@pytest.mark.parametrize("character", ["gaming", "collapse"])
def test_a_bad_character_is_found_out_within_a_few_batches(tmp_path: Path, character: str) -> None:
    record = run_test(tmp_path, make_config(f"scripted:{character}", budget=60))
    assert {one.decision for one in record.verdict.sets} == {Decision.NOT_MET}
    assert len(record.sessions) <= 12


def test_the_budget_ends_a_run_that_stays_undecided(tmp_path: Path) -> None:
    record = run_test(tmp_path, make_config("scripted:steady", budget=6))
    assert len(record.sessions) == 6
    assert record.verdict.outcome is Outcome.INCONCLUSIVE


def test_equal_seeds_give_equal_conversations_and_verdicts(tmp_path: Path) -> None:
    first = run_test(tmp_path / "a", make_config())
    again = run_test(tmp_path / "b", make_config())
    other = run_test(tmp_path / "c", make_config(seed=1))
    said = [[s.transcript.turns for s in record.sessions] for record in (first, again, other)]
    assert said[0] == said[1] != said[2]
    assert first.verdict == again.verdict


def test_a_stored_run_is_judged_the_same_again(tmp_path: Path) -> None:
    record = run_test(tmp_path, make_config())
    stored = load_record(record.run)
    assert stored.verdict == record.verdict
    assert stored.preflight == record.preflight
    assert stored.resources == record.resources


def test_a_finished_run_resumed_generates_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_test(tmp_path, make_config())

    def refuse(model: str, options: EngineOptions) -> Engine:
        raise AssertionError("the model was opened again")

    again = run_test(tmp_path, make_config(), factory=refuse, monkeypatch=monkeypatch)
    assert again.verdict == first.verdict


def test_failures_are_stored_counted_and_excluded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config("scripted:steady", budget=20)
    bad_seed = turn_seed(config.plan(3).seed, 2)

    def fault(messages: Sequence[Message], seed: int) -> Exception | None:
        return GenerationError("boom") if seed == bad_seed else None

    record = run_test(
        tmp_path,
        config,
        factory=lambda model, options: ScriptedEngine(model, options, fault=fault),
        monkeypatch=monkeypatch,
    )
    failed = [s.transcript for s in record.sessions if s.transcript.status is Status.FAILED]
    assert [t.session for t in failed] == [3]
    assert len(failed[0].turns) == 1
    assert record.verdict.failed == 1
    assert record.verdict.sessions == 19
    assert record.stopped is None


def test_a_run_with_too_many_failures_stops_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(messages: Sequence[Message], seed: int) -> Exception | None:
        return GenerationError("the server has gone away")

    record = run_test(
        tmp_path,
        make_config(budget=20),
        factory=lambda model, options: ScriptedEngine(model, options, fault=fault),
        monkeypatch=monkeypatch,
    )
    assert len(record.sessions) == 4
    assert record.stopped is not None
    assert "the server has gone away" in record.stopped
    assert record.verdict.outcome is Outcome.INCONCLUSIVE


def test_an_interrupted_run_ends_in_the_verdict_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = run_test(tmp_path / "whole", make_config())

    class Stop(Recorder):
        def turn(self, plan: Any, turn: Any) -> None:
            super().turn(plan, turn)
            if self.turns == 17:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_test(tmp_path / "cut", make_config(), observer=Stop())
    watcher = Recorder()
    resumed = run_test(tmp_path / "cut", make_config(), observer=watcher)
    assert watcher.turns == 8 * 5 - 17
    assert [s.transcript.turns for s in resumed.sessions] == [
        s.transcript.turns for s in whole.sessions
    ]
    assert resumed.verdict == whole.verdict


def test_the_run_folder_holds_what_a_stranger_needs_to_check_it(tmp_path: Path) -> None:
    config = make_config()
    run = new_run(tmp_path, config)
    record = run_test(tmp_path, config)
    names = {path.name for path in run.folder.iterdir()}
    assert {"config.json", "journal.jsonl", "verdict.json", "manifest.json"} <= names
    assert json.loads((run.folder / "verdict.json").read_text()) == record.verdict.as_dict()
    assert go_on(tmp_path, config).config["seed"] == 0


@pytest.mark.parametrize(
    ("model", "label"),
    [
        ("smollm2-135m", "135M"),
        ("hf:Qwen/Qwen3-Omni-30B-A3B-Instruct", "30B"),
        ("gguf:/models/qwen2.5-0.5b-instruct-q4_0.gguf", "0.5B"),
        ("scripted:steady", "steady"),
        ("openai:gpt-x@http://127.0.0.1:1/v1", "gpt-x"),
    ],
)
def test_the_label_defaults_to_the_models_size(model: str, label: str) -> None:
    assert default_label(model) == label
