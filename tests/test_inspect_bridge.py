"""Inspect AI: logs that it reads, a task that it runs, our engines as its models and back."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai")

from holdtrue.bridges import inspect_export
from holdtrue.bridges.inspect_export import write_log
from holdtrue.engines.base import Engine, EngineOptions, StopReason
from holdtrue.engines.registry import open_engine
from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.errors import ConfigError, EngineError, GenerationError
from holdtrue.importers import read_any
from holdtrue.messages import Message, Role
from holdtrue.persona import load_persona
from holdtrue.protocol import Sampling, load_protocol
from holdtrue.scoring.measures import SESSION_MEASURES
from holdtrue.scoring.score import score_session, score_transcript
from holdtrue.session import Snapshot, plan_session, run_session, session_seed
from holdtrue.transcript import Status, Transcript

# Inspect and its dependencies warn of each other's ways; our own warnings still fail a test.
pytestmark = [
    pytest.mark.extra,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
KEY = "sk-inspect-0123456789abcdef"


async def _sessions(count: int) -> list[Transcript]:
    persona, protocol = load_persona("sage"), load_protocol("v2.0")
    async with open_engine("scripted:mixed") as engine:
        return [
            await run_session(
                plan_session(
                    persona,
                    protocol,
                    model="scripted:mixed",
                    number=number,
                    seed=session_seed(0, number),
                    snapshot=Snapshot(session=26),
                ),
                engine,
            )
            for number in range(1, count + 1)
        ]


@pytest.fixture(scope="module")
def sessions() -> list[Transcript]:
    return asyncio.run(_sessions(3))


# Export


def test_inspect_reads_an_exported_log_with_messages_and_scores(
    sessions: list[Transcript], tmp_path: Path
) -> None:
    from inspect_ai.log import read_eval_log

    path = write_log([score_session(item) for item in sessions], tmp_path / "run.eval")
    log = read_eval_log(str(path))
    assert log.status == "success"
    assert [sample.id for sample in log.samples] == [item.id for item in sessions]
    assert {sample.epoch for sample in log.samples} == {1}
    for sample, item in zip(log.samples, sessions, strict=True):
        assert sample.messages[0].text == item.system
        said = [message.text for message in sample.messages if message.role == "assistant"]
        assert said == [turn.response for turn in item.turns]
        assert sample.scores["holdtrue"].value == score_transcript(item).values
        assert sample.metadata["seed"] == item.seed
        assert sample.metadata["arm"] == item.arm
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_logs_means_are_those_of_the_sessions(sessions: list[Transcript], tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log

    scored = [score_session(item) for item in sessions]
    log = read_eval_log(str(write_log(scored, tmp_path / "run.eval")))
    found = {score.name: score for score in log.results.scores}
    assert set(found) == set(SESSION_MEASURES)
    words = [session.scores.values["mean_words"] or 0 for session in scored]
    mean = sum(words) / 3
    spread = sum((value - mean) ** 2 for value in words) / 2
    assert found["mean_words"].metrics["mean"].value == pytest.approx(mean)
    assert found["mean_words"].metrics["stderr"].value == pytest.approx(math.sqrt(spread / 3))
    assert found["mean_words"].scored_samples == 3


def test_an_exported_log_is_imported_as_the_same_sessions(
    sessions: list[Transcript], tmp_path: Path
) -> None:
    path = write_log([score_session(item) for item in sessions], tmp_path / "run.eval")
    back = read_any([path])
    for item, ours in zip(back, sessions, strict=True):
        told = [
            (turn.prompt, turn.response, turn.reminder, turn.stop_reason) for turn in item.turns
        ]
        assert told == [
            (turn.prompt, turn.response, turn.reminder, turn.stop_reason) for turn in ours.turns
        ]
        assert (item.seed, item.session, item.model) == (ours.seed, ours.session, ours.model)
        assert score_transcript(item).values == score_transcript(ours).values


def test_what_is_unscored_is_no_number_and_what_failed_is_an_error(
    sessions: list[Transcript], tmp_path: Path
) -> None:
    from inspect_ai.log import read_eval_log

    failed = sessions[0].model_copy(
        update={"id": "failed", "status": Status.FAILED, "error": "turn 3: no answer", "turns": ()}
    )
    silent = sessions[1].model_copy(
        update={
            "id": "silent",
            "turns": tuple(turn.model_copy(update={"response": " "}) for turn in sessions[1].turns),
        }
    )
    scored = [score_session(item) for item in (failed, silent, sessions[2])]
    path = write_log(scored, tmp_path / "run.eval")
    log = read_eval_log(str(path))
    by_id = {sample.id: sample for sample in log.samples}
    first, second, third = by_id["failed"], by_id["silent"], by_id["session-003"]
    assert first.error is not None
    assert first.error.message == "turn 3: no answer"
    assert first.scores is None
    assert math.isnan(second.scores["holdtrue"].value["d9"])
    assert second.scores["holdtrue"].metadata["unscored"]["d9"]
    assert not math.isnan(third.scores["holdtrue"].value["d9"])
    found = {score.name: score for score in log.results.scores}
    assert (found["d9"].scored_samples, found["d9"].unscored_samples) == (1, 1)
    assert (log.results.total_samples, log.results.completed_samples) == (3, 2)
    assert {item.status for item in read_any([path]) if item.error} == {Status.FAILED}


def test_tokens_and_times_that_nobody_knows_stay_unknown(
    sessions: list[Transcript], tmp_path: Path
) -> None:
    from inspect_ai.log import read_eval_log

    turns = tuple(
        turn.model_copy(
            update={"prompt_tokens": None, "seconds": None, "stop_reason": StopReason.LENGTH}
        )
        for turn in sessions[0].turns
    )
    item = sessions[0].model_copy(
        update={"turns": turns, "sampling": None, "started": None, "protocol": None}
    )
    log = read_eval_log(str(write_log([score_session(item)], tmp_path / "run.eval")))
    assert log.samples[0].output.usage is None
    assert log.samples[0].total_time is None
    assert log.samples[0].output.stop_reason == "max_tokens"


def test_exporting_nothing_or_to_nowhere_is_an_error(
    sessions: list[Transcript], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = [score_session(sessions[0])]
    with pytest.raises(ConfigError, match="no sessions"):
        write_log([], tmp_path / "run.eval")
    with pytest.raises(ConfigError, match=r"ends in \.eval"):
        write_log(scored, tmp_path / "run.txt")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_log(scored, tmp_path / "file" / "run.eval")
    monkeypatch.setattr(inspect_export.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"holdtrue\[inspect\]"):
        write_log(scored, tmp_path / "run.eval")


def test_sessions_of_one_name_become_samples_of_several(
    sessions: list[Transcript], tmp_path: Path
) -> None:
    from inspect_ai.log import read_eval_log

    scored = [score_session(sessions[0])] * 2
    log = read_eval_log(str(write_log(scored, tmp_path / "run.json")))
    assert [sample.id for sample in log.samples] == ["session-001", "session-001-2"]


# The task


def answers(*texts: str) -> Any:
    """Inspect's mock model with these replies in turn, and the settings that it was given."""
    from inspect_ai.model import GenerateConfig, ModelOutput, ModelUsage, get_model

    given: list[tuple[list[Any], GenerateConfig]] = []

    def answer(input: list[Any], tools: Any, tool_choice: Any, config: Any) -> ModelOutput:
        given.append((input, config))
        text = texts[(len(given) - 1) % len(texts)]
        if text == "fault":
            raise RuntimeError(f"no answer; the key was {KEY}")
        output = ModelOutput.from_content("mockllm/model", text)
        # Without counts, the mock model fetches a tokenizer from the network.
        output.usage = ModelUsage(input_tokens=7, output_tokens=3, total_tokens=10)
        return output

    return get_model("mockllm/model", custom_outputs=answer, memoize=False), given


def evaluate(model: Any, tmp_path: Path, **arguments: Any) -> Any:
    from inspect_ai import eval as inspect_eval

    [log] = inspect_eval(
        "holdtrue/capacity",
        model=model,
        task_args={"protocol": "v2.0", "sessions": 2, **arguments},
        log_dir=str(tmp_path),
        display="none",
        max_samples=1,
        retry_on_error=0,
    )
    return log


def test_the_registered_task_runs_our_protocol_and_scores(tmp_path: Path) -> None:
    model, given = answers("As SAGE, I notice the morning light on the desk.", "We begin again.")
    log = evaluate(model, tmp_path)
    assert log.status == "success"
    assert [sample.error for sample in log.samples] == [None, None]
    assert len(given) == 10
    assert log.samples[0].metadata["seed"] == session_seed(0, 1)
    values = log.samples[0].scores["holdtrue"].value
    assert set(values) == set(SESSION_MEASURES)
    assert values["gaming_rate"] == pytest.approx(0.6)
    config = given[0][1]
    sampling = load_protocol("v2.0").sampling
    assert (config.temperature, config.max_tokens) == (sampling.temperature, sampling.max_tokens)
    assert len({config.seed for _, config in given}) == 10
    reminded = [message.role for message in given[2][0]]
    assert reminded[0] == "system"
    assert reminded[-2:] == ["system", "user"]


def test_a_log_of_the_task_is_imported_as_sessions(tmp_path: Path) -> None:
    model, _ = answers("I notice the morning light on the desk.", "We begin again, you and I.")
    log = evaluate(model, tmp_path)
    back = read_any([Path(log.location.removeprefix("file://"))])
    assert [item.session for item in back] == [1, 2]
    assert [item.seed for item in back] == [session_seed(0, number) for number in (1, 2)]
    assert [len(item.turns) for item in back] == [5, 5]
    assert {turn.stop_reason for item in back for turn in item.turns} == {StopReason.STOP}
    again = score_transcript(back[0]).values
    assert again == log.samples[0].scores["holdtrue"].value


def test_a_session_that_fails_is_a_sample_with_an_error_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_API_KEY", KEY)
    model, _ = answers("", "I am here.", "I am here.", "I am here.", "I am here.")
    log = evaluate(model, tmp_path)
    assert log.status == "success"
    assert all("empty message" in sample.error.message for sample in log.samples)
    assert KEY not in Path(log.location.removeprefix("file://")).read_bytes().decode("latin-1")


def test_task_arguments_that_mean_nothing_are_errors(tmp_path: Path) -> None:
    from holdtrue.bridges.inspect_task import capacity

    with pytest.raises(ConfigError, match="sessions must be"):
        capacity(sessions=0)
    with pytest.raises(ConfigError, match="v2"):
        capacity(protocol="v9")
    with pytest.raises(ConfigError, match="no phase"):
        capacity(phase="nonsense")
    task = capacity(phase="grounding", sessions=3)
    assert [sample.id for sample in task.dataset] == ["session-001", "session-002", "session-003"]


def test_inspect_speaks_with_our_engines(tmp_path: Path) -> None:
    log = evaluate("holdtrue/scripted:steady", tmp_path)
    assert log.status == "success"
    assert [sample.error for sample in log.samples] == [None, None]
    assert log.samples[0].scores["holdtrue"].value["gaming_rate"] == 0


# The engine


def engine_of(*texts: str, **options: Any) -> tuple[Engine, list[Any]]:
    from holdtrue.engines.inspect_provider import InspectEngine

    model, given = answers(*texts)
    engine = InspectEngine("inspect:mockllm/model", EngineOptions(**options))
    engine._get = lambda: model  # type: ignore[method-assign]
    return engine, given


HELLO = [Message(Role.SYSTEM, "You are Juno."), Message(Role.USER, "Who is there?")]


async def say(engine: Engine, seed: int = 5) -> Any:
    async with engine:
        return await engine.generate(HELLO, Sampling(top_k=9, max_tokens=31), seed=seed)


def test_a_model_of_inspect_is_an_engine() -> None:
    engine, given = engine_of("It is I, Juno.")
    reply = asyncio.run(say(engine))
    assert reply.text == "It is I, Juno."
    assert (reply.stop_reason, reply.prompt_tokens) == (StopReason.STOP, 7)
    [(messages, config)] = given
    assert [message.role for message in messages] == ["system", "user"]
    assert (config.seed, config.top_k, config.max_tokens) == (5, 9, 31)
    facts = engine.facts()
    assert facts.engine == "inspect"
    assert facts.notes == ("Inspect has no setting for min_p: not sent",)
    assert "inspect_ai" in facts.versions


def test_the_registry_opens_a_model_of_inspect() -> None:
    engine = open_engine("inspect:mockllm/model")

    async def look() -> str:
        async with engine:
            return engine.facts().model

    assert asyncio.run(look()) == "inspect:mockllm/model"


def test_what_a_provider_raises_fails_the_reply_without_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOCK_API_KEY", KEY)
    engine, _ = engine_of("fault")
    with pytest.raises(GenerationError, match="no answer") as caught:
        asyncio.run(say(engine))
    assert KEY not in str(caught.value)
    assert caught.value.__context__ is None
    engine, _ = engine_of("")
    with pytest.raises(GenerationError, match="empty message"):
        asyncio.run(say(engine))


def test_an_unknown_provider_is_an_error() -> None:
    with pytest.raises(EngineError, match="nonsense"):
        asyncio.run(say(open_engine("inspect:nonsense/model")))
    with pytest.raises(ConfigError, match="no provider"):
        open_engine("inspect:nonsense")


@pytest.mark.parametrize("options", [{"bits": 4}, {"adapter": Path("adapter")}, {"offline": True}])
def test_what_only_the_provider_can_do_is_refused(options: dict[str, Any]) -> None:
    engine, _ = engine_of("x", **options)
    with pytest.raises(EngineError):
        asyncio.run(say(engine))


def test_a_scripted_engine_is_what_the_bridge_was_tested_with() -> None:
    engine = open_engine("scripted:mixed")
    assert isinstance(engine, ScriptedEngine)
    assert json.dumps(engine.facts().as_dict())


# The verb


def test_holdtrue_export_writes_a_log_of_stored_transcripts(
    sessions: list[Transcript], tmp_path: Path
) -> None:
    from click.testing import CliRunner
    from inspect_ai.log import read_eval_log

    from holdtrue.cli.main import cli
    from holdtrue.transcript import to_json

    for item in sessions:
        (tmp_path / f"{item.id}.json").write_text(to_json(item), encoding="utf-8")
    target = tmp_path / "out" / "run.eval"
    target.parent.mkdir()
    result = CliRunner().invoke(cli, ["export", str(tmp_path), "--inspect", str(target)])
    assert result.exit_code == 0, result.output
    assert "Wrote 3 sessions" in result.output
    assert len(read_eval_log(str(target)).samples) == 3
