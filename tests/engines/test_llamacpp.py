from __future__ import annotations

import asyncio
import gc
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gguf_factory import write_gguf

from holdtrue.engines import memory
from holdtrue.engines.base import EngineOptions, Reply, StopReason
from holdtrue.engines.fetch import fetch
from holdtrue.engines.llamacpp import LlamaCppEngine
from holdtrue.engines.llamacpp_layout import Layout
from holdtrue.engines.preflight import Plan, run_preflight
from holdtrue.errors import ConfigError, EngineError, GenerationError
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling

MODEL = "smollm2-135m"
SHORT = Sampling(max_tokens=12)
SYSTEM = Message(Role.SYSTEM, "You are Vera, a greenhouse robot. You answer briefly. " * 6)
QUESTIONS = ("How are you?", "What do you notice?", "What will you remember?")


def load(path: Path | str, **options: object) -> str:
    """The error of a model that must not load."""
    engine = LlamaCppEngine(f"gguf:{path}", EngineOptions(**options))  # type: ignore[arg-type]

    async def enter() -> None:
        async with engine:
            raise AssertionError("it loaded")

    with pytest.raises((EngineError, ConfigError)) as error:
        asyncio.run(enter())
    assert error.value.remedy or "no such file" in error.value.message
    return str(error.value)


def test_what_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    assert "no such file" in load(tmp_path / "none.gguf")
    (tmp_path / "text.gguf").write_text("this is only a text, and a long enough one")
    assert "text.gguf: not a sound GGUF file" in load(tmp_path / "text.gguf")
    whole = write_gguf(tmp_path / "whole.gguf").read_bytes()
    (tmp_path / "part.gguf").write_bytes(whole[:-50])
    assert "part.gguf: the file is cut off" in load(tmp_path / "part.gguf")
    assert "Give the .gguf file in it" in load(tmp_path)


def test_a_model_without_chat_template_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "base.gguf", template=None)
    assert "no chat template" in load(path)


def test_a_context_beyond_the_models_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", context=1_024)
    assert "--context 1024 at most" in load(path, context_length=2_048)


def test_a_model_too_large_for_the_memory_is_refused_with_what_would_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1_000_000)
    said = load(write_gguf(tmp_path / "m.gguf"))
    assert "of memory" in said


def test_a_missing_library_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    assert "pip install 'xllamacpp" in load(write_gguf(tmp_path / "m.gguf"))


@pytest.mark.parametrize("logged", [False, True])
def test_a_file_that_llama_cpp_refuses_comes_with_its_reason(tmp_path: Path, logged: bool) -> None:
    path = write_gguf(tmp_path / "odd.gguf")  # a sound header, and half of a model
    said = load(path, log_path=tmp_path / "log" if logged else None)
    assert "odd.gguf: llama.cpp could not load the model: " in said
    assert "error loading model" in said or "key not found" in said


def test_an_engine_that_is_not_open_says_so() -> None:
    engine = LlamaCppEngine(MODEL)
    with pytest.raises(EngineError, match="not open"):
        asyncio.run(engine.generate([SYSTEM], SHORT, seed=1))
    assert engine.facts().model == MODEL


# With the real model


@pytest.fixture(scope="module")
def model() -> str:
    return f"gguf:{fetch(MODEL)}"


@asynccontextmanager
async def opened(model: str, **options: object) -> AsyncIterator[LlamaCppEngine]:
    engine = LlamaCppEngine(model, EngineOptions(**options))  # type: ignore[arg-type]
    async with engine:
        yield engine


async def talk(engine: LlamaCppEngine, seed: int, turns: int = 3) -> list[str]:
    """A short session."""
    messages, said = [SYSTEM], []
    for turn in range(turns):
        messages.append(Message(Role.USER, QUESTIONS[turn]))
        reply = await engine.generate(messages, SHORT, seed=seed * 10 + turn)
        messages.append(Message(Role.ASSISTANT, reply.text))
        said.append(reply.text)
    return said


def with_engine(
    work: Callable[[LlamaCppEngine], Awaitable[Any]], model: str, **options: object
) -> Any:
    async def run() -> Any:
        async with opened(model, **options) as engine:
            return await work(engine)

    return asyncio.run(run())


@pytest.mark.model
def test_the_facts_come_from_the_file_itself(model: str) -> None:
    async def look(engine: LlamaCppEngine) -> None:
        facts = engine.facts()
        assert facts.architecture == "llama"
        assert facts.parameters_total == 134_515_008
        assert facts.file_bytes == 98_362_432
        assert str(facts.source_hash).startswith("b179c9523d0e6a0f")
        assert "SmolLM" in str(facts.template_system)
        assert facts.context_length == 512
        assert facts.device == "cpu"
        assert re.fullmatch(r".+ with (?:\w+ )*\w+", facts.versions["llama.cpp"])
        assert facts.settings["servers"] * facts.settings["slots"] == 2
        assert facts.replayable == (facts.settings["slots"] == 1)
        assert engine.load is not None
        assert engine.load.memory_after > engine.load.memory_before

    with_engine(look, model, concurrency=2, context_length=512)


@pytest.mark.model
def test_sessions_go_on_side_by_side_and_reuse_what_was_read(model: str) -> None:
    async def sessions(engine: LlamaCppEngine) -> tuple[list[list[str]], int]:
        said = await asyncio.gather(*(talk(engine, seed) for seed in range(2)))
        return said, engine.evaluated_tokens

    said, evaluated = with_engine(sessions, model, concurrency=2, context_length=512)
    assert [len(one) for one in said] == [3, 3]
    assert said[0] != said[1]

    async def prompt_tokens(engine: LlamaCppEngine) -> int:
        messages = [SYSTEM, Message(Role.USER, QUESTIONS[0])]
        return (await engine.generate(messages, SHORT, seed=1)).prompt_tokens or 0

    once = with_engine(prompt_tokens, model, concurrency=1, context_length=512)
    assert evaluated < 2 * (once + 2 * 30)  # read again on every turn it would be over 6 × once


@pytest.mark.model
def test_a_reply_tells_why_it_ended_and_what_it_took(model: str) -> None:
    async def ask(engine: LlamaCppEngine) -> tuple[Reply, Reply]:
        messages = [SYSTEM, Message(Role.USER, "Say yes.")]
        long = await engine.generate(messages, SHORT, seed=1)
        brief = await engine.generate(
            [Message(Role.USER, "Hi")], Sampling(max_tokens=100, temperature=0), seed=1
        )
        return long, brief

    long, brief = with_engine(ask, model, concurrency=1, context_length=512)
    assert (long.stop_reason, long.completion_tokens) == (StopReason.LENGTH, 12)
    assert brief.stop_reason is StopReason.STOP
    assert (brief.completion_tokens or 99) < 100
    assert (long.prompt_tokens or 0) > 60


@pytest.mark.model
def test_requests_that_cannot_be_answered_fail_alone(model: str) -> None:
    async def ask(engine: LlamaCppEngine) -> str:
        long = [Message(Role.USER, "word " * 2_000)]
        with pytest.raises(GenerationError, match="the context has 512"):
            await engine.generate(long, SHORT, seed=1)
        with pytest.raises(GenerationError, match="is empty"):
            await engine.generate([Message(Role.USER, "")], SHORT, seed=1)
        return (await engine.generate([SYSTEM, Message(Role.USER, "Hi")], SHORT, seed=1)).text

    assert with_engine(ask, model, concurrency=1, context_length=512)


@pytest.mark.model
def test_a_cancelled_reply_frees_its_slot_at_the_next_token(model: str) -> None:
    async def ask(engine: LlamaCppEngine) -> Reply:
        story = [Message(Role.USER, "Tell me a very long story about the sea.")]
        slow = asyncio.create_task(engine.generate(story, Sampling(max_tokens=400), seed=1))
        await asyncio.sleep(0.3)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        return await engine.generate([SYSTEM, Message(Role.USER, "Hi")], SHORT, seed=1)

    assert with_engine(ask, model, concurrency=1, context_length=512).text


REPLAY = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from test_llamacpp import opened, talk

async def run():
    async with opened(sys.argv[1], concurrency=1, context_length=512, threads=1) as engine:
        assert engine.facts().replayable
        order = [int(seed) for seed in sys.argv[3].split(",")]
        said = {seed: await talk(engine, seed) for seed in order}
        print(repr(sorted(said.items())))

asyncio.run(run())
"""


@pytest.mark.model
def test_equal_seeds_give_the_same_bytes_in_two_processes_and_in_any_order(model: str) -> None:
    here = str(Path(__file__).parent)

    def run(order: str) -> str:
        words = [sys.executable, "-c", REPLAY, model, here, order]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    assert run("1,2") == run("2,1") != ""


@pytest.mark.model
def test_reproducible_output_does_not_depend_on_how_many_talk_at_once(model: str) -> None:
    async def sessions(engine: LlamaCppEngine) -> list[list[str]]:
        assert engine.facts().replayable
        return await asyncio.gather(*(talk(engine, seed, turns=2) for seed in range(2)))

    two = with_engine(sessions, model, reproducible=True, concurrency=2, context_length=512)
    # with one lane for both, each session loses its place to the other after every turn
    one = with_engine(sessions, model, reproducible=True, concurrency=1, context_length=512)
    assert two == one


@pytest.mark.model
def test_a_slot_keeps_the_system_message_for_its_next_session_which_replays_all_the_same(
    model: str,
) -> None:
    async def in_turn(engine: LlamaCppEngine) -> tuple[list[str], int]:
        await talk(engine, 1)
        before = engine.evaluated_tokens
        return await talk(engine, 2), engine.evaluated_tokens - before

    async def alone(engine: LlamaCppEngine) -> tuple[list[str], int]:
        return await talk(engine, 2), engine.evaluated_tokens

    options = {"reproducible": True, "concurrency": 1, "context_length": 512}
    said, evaluated = with_engine(in_turn, model, **options)
    said_alone, evaluated_alone = with_engine(alone, model, **options)
    assert said == said_alone
    assert evaluated < evaluated_alone - 10


SILENT = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_llamacpp import opened, talk

async def run(log):
    async with opened(sys.argv[1], concurrency=2, context_length=512, log_path=log) as engine:
        print("talking", file=sys.stderr)
        await asyncio.gather(talk(engine, 1, 1), talk(engine, 2, 1))

asyncio.run(run(None if sys.argv[3] == "-" else Path(sys.argv[3])))
"""


@pytest.mark.model
@pytest.mark.parametrize("logged", [False, True])
def test_llama_cpp_says_nothing_on_the_terminal(model: str, tmp_path: Path, logged: bool) -> None:
    log = tmp_path / "run.log"
    here = str(Path(__file__).parent)
    words = [sys.executable, "-c", SILENT, model, here, str(log) if logged else "-"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "talking\n")
    assert log.exists() == logged
    if logged:
        text = log.read_text()
        assert "model loaded" in text
        assert "cleaning up" in text


@pytest.mark.model
def test_closing_gives_the_memory_back(model: str) -> None:
    async def once(engine: LlamaCppEngine) -> int:
        await talk(engine, 1, turns=1)
        return memory.resident()

    loaded, freed = [], []
    for _ in range(4):
        loaded.append(with_engine(once, model, concurrency=4, context_length=1_024))
        gc.collect()
        freed.append(memory.resident())
    assert min(loaded) - max(freed) > 80_000_000
    assert freed[-1] - freed[0] < 30_000_000


@pytest.mark.model
def test_preflight_measures_what_the_header_promised(model: str) -> None:
    async def check(engine: LlamaCppEngine) -> None:
        facts = await run_preflight(engine, Plan(4, 5, 60))
        assert facts.problem is None
        assert facts.at_once == 2
        assert facts.memory_after_load is not None
        assert facts.memory_before is not None
        expected = facts.estimate.memory_bytes if facts.estimate else None
        assert expected is not None
        grown = facts.memory_peak - facts.memory_before
        assert 0.5 * expected < grown < 1.5 * expected
        assert {row.name for row in facts.rows} >= {"parameters", "memory", "context"}

    with_engine(check, model, concurrency=2, context_length=1_024)


@pytest.mark.model
def test_an_adapter_that_is_none_is_refused(model: str, tmp_path: Path) -> None:
    wrong = tmp_path / "adapter.gguf"
    wrong.write_bytes(b"GGUF" + b"\0" * 100)
    said = load(model.removeprefix("gguf:"), adapter=wrong, context_length=512, concurrency=1)
    assert "not a sound GGUF" in said


@pytest.mark.model
def test_a_layout_of_ones_own_is_used(model: str) -> None:
    layout = Layout(2, 2, 1, 256, replayable=False)

    async def run() -> Sequence[Reply]:
        async with LlamaCppEngine(model, layout=layout) as engine:
            assert engine.concurrency == 4
            ask = [Message(Role.USER, "Hello")]
            return await asyncio.gather(*(engine.generate(ask, SHORT, seed=s) for s in range(4)))

    assert len(asyncio.run(run())) == 4
