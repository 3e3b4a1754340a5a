"""The remote engine against servers on loopback: scripted ones, and llama.cpp's own."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_server import Answer, FakeServer, completion

from holdtrue.engines.base import EngineOptions, Reply, StopReason
from holdtrue.engines.registry import open_engine
from holdtrue.engines.remote import RemoteEngine
from holdtrue.engines.transport import Retries
from holdtrue.errors import ConfigError, EngineError, GenerationError
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling

KEY = "sk-test-0123456789abcdefXYZ"
HELLO = [Message(Role.SYSTEM, "You are Juno."), Message(Role.USER, "Who is there?")]
SAMPLING = Sampling(temperature=0.4, top_p=0.9, top_k=7, min_p=0.1, max_tokens=33)
VLLM = {"/v1/models": {"data": [{"id": "tiny", "owned_by": "vllm", "max_model_len": 4096}]}}


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOLDTRUE_API_KEY", "OPENAI_API_KEY", "VLLM_API_KEY", "OLLAMA_API_KEY"):
        monkeypatch.delenv(name, raising=False)


class Waits:
    """Stands in for asyncio.sleep and remembers what was waited for."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def engine(name: str, waits: Waits | None = None, **options: Any) -> RemoteEngine:
    seconds = options.pop("seconds", 20.0)
    attempts = options.pop("attempts", 3)
    return RemoteEngine(
        name,
        EngineOptions(**options),
        rng=np.random.default_rng(5),
        retries=Retries(attempts=attempts),
        seconds=seconds,
        sleep=waits or Waits(),
    )


async def say(remote: RemoteEngine, messages: list[Message] = HELLO, seed: int = 11) -> Reply:
    async with remote:
        return await remote.generate(messages, SAMPLING, seed=seed)


def one(remote: RemoteEngine, **more: Any) -> Reply:
    return asyncio.run(say(remote, **more))


# Dialects


def test_an_unknown_server_gets_only_what_openai_documents_and_the_rest_is_noted() -> None:
    with FakeServer(completion()) as server:
        remote = engine(f"openai:tiny@{server.url}")
        reply = one(remote)
        sent = server.chats[0]
    assert sent.path == "/v1/chat/completions"
    assert sent.body == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "You are Juno."},
            {"role": "user", "content": "Who is there?"},
        ],
        "max_tokens": 33,
        "stream": False,
        "temperature": 0.4,
        "top_p": 0.9,
        "seed": 11,
    }
    assert (reply.text, reply.stop_reason) == ("Good morning.", StopReason.STOP)
    assert (reply.prompt_tokens, reply.completion_tokens) == (21, 4)
    assert reply.seconds is not None
    assert remote.facts().notes == (
        "the server takes no min_p: not sent",
        "the server takes no top_k: not sent",
    )


def test_vllm_gets_every_setting_and_tells_its_context() -> None:
    gets = {**VLLM, "/version": {"version": "0.11.2"}}
    with FakeServer(completion(reason="length"), gets=gets) as server:
        remote = engine(f"vllm:tiny@{server.url}/v1/")
        reply = one(remote)
        sent = server.chats[0].body
    assert (sent["top_k"], sent["min_p"], sent["max_tokens"]) == (7, 0.1, 33)
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert reply.stop_reason is StopReason.LENGTH
    facts = remote.facts()
    assert (facts.engine, facts.context_length, facts.notes) == ("remote (vllm)", 4096, ())
    assert facts.versions["vllm"] == "0.11.2"
    assert remote.concurrency == 32


OLLAMA_GETS = {
    "/api/version": {"version": "0.12.3"},
    "/api/tags": {
        "models": [{"name": "qwen2.5:0.5b", "digest": "a8b0c5157701", "size": 397821319}]
    },
}
OLLAMA_SHOW = {
    "details": {"family": "qwen2", "parameter_size": "494.03M", "quantization_level": "Q4_K_M"},
    "model_info": {
        "general.architecture": "qwen2",
        "general.parameter_count": 494032768,
        "qwen2.context_length": 32768,
    },
    "capabilities": ["completion", "tools"],
}


def ollama_reply(reason: str = "stop", text: str = "Hello.") -> dict[str, Any]:
    return {
        "model": "qwen2.5:0.5b",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": text},
        "done": True,
        "done_reason": reason,
        "total_duration": 174560334,
        "prompt_eval_count": 26,
        "eval_count": 9,
    }


def test_ollama_is_asked_in_its_own_way_with_every_setting_and_a_context() -> None:
    chat = ollama_reply("length")
    with FakeServer(chat, gets=OLLAMA_GETS, posts={"/api/show": OLLAMA_SHOW}) as server:
        remote = engine(f"ollama:qwen2.5:0.5b@{server.url}")
        reply = one(remote)
        sent = server.chats[0]
    assert sent.path == "/api/chat"
    assert sent.body["options"] == {
        "temperature": 0.4,
        "top_p": 0.9,
        "top_k": 7,
        "min_p": 0.1,
        "num_predict": 33,
        "seed": 11,
        "repeat_penalty": 1.0,
        "num_ctx": 8192,
    }
    assert "think" not in sent.body
    assert (reply.stop_reason, reply.prompt_tokens, reply.completion_tokens) == (
        StopReason.LENGTH,
        26,
        9,
    )
    facts = remote.facts()
    assert facts.architecture == "qwen2"
    assert facts.parameters_total == 494032768
    assert facts.source_hash == "a8b0c5157701"
    assert facts.bits == pytest.approx(8 * 397821319 / 494032768, abs=1e-3)
    assert facts.versions["quantization"] == "Q4_K_M"


def test_a_model_that_ollama_has_not_pulled_is_named_with_the_command_that_fetches_it() -> None:
    missing = Answer({"error": "model 'qwen2.5:0.6b' not found"}, 404)
    with (
        FakeServer(gets=OLLAMA_GETS, posts={"/api/show": missing}) as server,
        pytest.raises(EngineError, match=r"ollama pull qwen2.5:0.6b. Did you mean qwen2.5:0.5b"),
    ):
        one(engine(f"ollama:qwen2.5:0.6b@{server.url}"))


def test_a_thinking_model_of_ollama_is_told_not_to_think() -> None:
    show = {**OLLAMA_SHOW, "capabilities": ["completion", "thinking"]}
    with FakeServer(ollama_reply(), gets=OLLAMA_GETS, posts={"/api/show": show}) as server:
        one(engine(f"ollama:qwen2.5:0.5b@{server.url}"))
        assert server.chats[0].body["think"] is False


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", StopReason.STOP),
        ("eos_token", StopReason.STOP),
        ("length", StopReason.LENGTH),
        ("max_tokens", StopReason.LENGTH),
        (None, StopReason.UNKNOWN),
        ("something else", StopReason.UNKNOWN),
        (["stop"], StopReason.UNKNOWN),
    ],
)
def test_stop_reasons_of_all_dialects_are_understood(reason: Any, expected: StopReason) -> None:
    with FakeServer(completion(reason=reason)) as server:
        assert one(engine(f"openai:tiny@{server.url}")).stop_reason is expected


def test_a_server_that_wants_the_other_name_of_the_limit_gets_it() -> None:
    refusal = Answer(
        {"error": {"message": "'max_tokens' is not supported. Use 'max_completion_tokens'."}}, 400
    )
    with FakeServer(refusal, completion()) as server:
        one(engine(f"openai:tiny@{server.url}"))
        bodies = [item.body for item in server.chats]
    assert "max_tokens" in bodies[0]
    assert "max_tokens" not in bodies[1]
    assert bodies[1]["max_completion_tokens"] == 33


def test_requests_that_are_refused_together_give_up_one_thing_only() -> None:
    refusal = Answer(
        {"error": {"message": "'max_tokens' is not supported. Use 'max_completion_tokens'."}}, 400
    )
    system = Answer({"error": {"message": "Jinja Exception: System role not supported"}}, 500)

    async def many(remote: RemoteEngine) -> list[Reply]:
        async with remote:
            asks = (remote.generate(HELLO, SAMPLING, seed=seed) for seed in range(3))
            return list(await asyncio.gather(*asks))

    for first in (refusal, system):
        slow = [Answer(first.body, first.status, delay=0.1) for _ in range(3)]
        with FakeServer(*slow, completion()) as server:
            replies = asyncio.run(many(engine(f"openai:tiny@{server.url}")))
            assert [reply.text for reply in replies] == ["Good morning."] * 3
            assert len(server.chats) == 6


def test_a_refused_seed_is_left_out_and_noted_but_a_refused_temperature_fails() -> None:
    refusal = Answer({"error": {"message": "Unrecognized request argument: seed"}}, 400)
    with FakeServer(refusal, completion()) as server:
        remote = engine(f"openai:tiny@{server.url}")
        one(remote)
        assert "seed" not in server.chats[1].body
    assert "the server takes no seed: not sent" in remote.facts().notes
    refusal = Answer({"error": {"message": "temperature does not support 0.4"}}, 400)
    with FakeServer(refusal) as server:
        with pytest.raises(GenerationError, match=r"HTTP 400: temperature does not support 0\.4"):
            one(engine(f"openai:tiny@{server.url}"))
        assert len(server.chats) == 1


def test_system_messages_go_into_the_users_where_the_template_takes_none() -> None:
    refusal = Answer({"error": {"message": "Jinja Exception: System role not supported"}}, 500)
    with FakeServer(refusal, completion()) as server:
        remote = engine(f"openai:tiny@{server.url}")
        messages = [*HELLO[:1], Message(Role.SYSTEM, "Stay brief."), HELLO[1]]
        one(remote, messages=messages)
        assert server.chats[1].body["messages"] == [
            {"role": "user", "content": "You are Juno.\n\nStay brief.\n\nWho is there?"}
        ]
    assert any("system messages" in note for note in remote.facts().notes)


def test_reasoning_is_not_part_of_what_was_said() -> None:
    with FakeServer(completion("<think>\nA greeting.\n</think>\n\nHello there.")) as server:
        assert one(engine(f"openai:tiny@{server.url}")).text == "Hello there."
    with (
        FakeServer(completion("<think>\nA greet", reason="length")) as server,
        pytest.raises(GenerationError, match="only reasoning"),
    ):
        one(engine(f"openai:tiny@{server.url}"))


def test_the_text_parts_of_a_message_in_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "Good "}, {"type": "image"}, {"type": "text", "text": "day."}]
    with FakeServer(completion(parts)) as server:
        assert one(engine(f"openai:tiny@{server.url}")).text == "Good day."


# Faults


def test_a_busy_server_is_asked_again_after_the_time_it_names() -> None:
    busy = Answer({"error": {"message": "slow down"}}, 429, {"Retry-After": "7"})
    waits = Waits()
    with FakeServer(busy, completion()) as server:
        assert one(engine(f"openai:tiny@{server.url}", waits)).text == "Good morning."
        assert len(server.chats) == 2
    assert len(waits.seconds) == 1
    assert 7 <= waits.seconds[0] < 8


def test_a_server_that_asks_for_an_hour_is_not_waited_for() -> None:
    busy = Answer({"error": {"message": "slow down"}}, 429, {"Retry-After": "3600"})
    waits = Waits()
    with (
        FakeServer(busy) as server,
        pytest.raises(GenerationError, match="the server asks to wait 3600 s"),
    ):
        one(engine(f"openai:tiny@{server.url}", waits))
    assert waits.seconds == []


def test_a_used_up_quota_is_not_tried_again() -> None:
    body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    with FakeServer(Answer(body, 429)) as server:
        with pytest.raises(GenerationError, match="The quota is used up"):
            one(engine(f"openai:tiny@{server.url}"))
        assert len(server.chats) == 1


def test_waits_grow_and_are_drawn_from_the_generator_and_then_the_session_fails() -> None:
    waits = Waits()
    with FakeServer(Answer({"error": "boom"}, 500)) as server:
        with pytest.raises(GenerationError, match=r"HTTP 500: boom \(5 tries\)") as caught:
            one(engine(f"openai:tiny@{server.url}", waits, attempts=5))
        assert len(server.chats) == 5
    assert not caught.value.transient
    draws = np.random.default_rng(5).uniform(size=4)
    assert waits.seconds == pytest.approx([0.5 * 2**k * draw for k, draw in enumerate(draws)])


def test_a_server_that_is_slower_than_the_limit_is_given_up() -> None:
    with (
        FakeServer(Answer(completion(), delay=0.5)) as server,
        pytest.raises(GenerationError, match=r"no answer from .* within 0 s \(2 tries\)"),
    ):
        one(engine(f"openai:tiny@{server.url}", seconds=0.05, attempts=5))


def test_a_connection_that_breaks_in_mid_answer_is_tried_again() -> None:
    with FakeServer(Answer(completion(), drop=True), completion("Back.")) as server:
        assert one(engine(f"openai:tiny@{server.url}")).text == "Back."
    with (
        FakeServer(Answer(completion(), drop=True)) as server,
        pytest.raises(GenerationError, match="broke"),
    ):
        one(engine(f"openai:tiny@{server.url}"))


BAD_ANSWERS = {
    "malformed JSON: '{": b'{"choices": [',
    "a web page, not JSON": b"<!DOCTYPE html><html><body>Welcome</body></html>",
    "JSON that is not an object": [1, 2],
    "holds no choices": {"choices": []},
    "holds no message": {"choices": [{"finish_reason": "stop"}]},
    "empty message \\(nothing, stop reason 'stop'": completion(""),
    "empty message \\(nothing, stop": completion(None),
    "content filter": completion("x", reason="content_filter"),
    "'other-model' answered": completion("x", model="other-model"),
    "more than 8,000,000 bytes": completion("x" * 8_000_001),
    "answered with an error: kaput": {"error": {"message": "kaput"}},
    "malformed JSON: '\\[\\[": b"[" * 200_000,
}


@pytest.mark.parametrize("message", BAD_ANSWERS)
def test_an_answer_that_is_none_says_what_is_wrong_with_it(message: str) -> None:
    with (
        FakeServer(BAD_ANSWERS[message]) as server,
        pytest.raises(GenerationError, match=message) as caught,
    ):
        one(engine(f"openai:tiny@{server.url}"))
    assert len(str(caught.value)) < 600


def test_odd_counts_are_unknown_and_not_zero() -> None:
    usage = {"prompt_tokens": "many", "completion_tokens": -3}
    with FakeServer(completion(usage=usage)) as server:
        reply = one(engine(f"openai:tiny@{server.url}"))
    assert (reply.prompt_tokens, reply.completion_tokens) == (None, None)


def test_no_server_is_an_error_that_says_how_to_start_one() -> None:
    with FakeServer() as server:
        gone = server.url
    with pytest.raises(EngineError, match=r"no server answers at .*\n.*vllm serve tiny"):
        one(engine(f"vllm:tiny@{gone}"))
    with pytest.raises(EngineError, match=r"ollama serve"):
        one(engine(f"ollama:tiny@{gone}"))


def test_a_server_without_the_model_names_those_it_has() -> None:
    with (
        FakeServer(gets=VLLM) as server,
        pytest.raises(EngineError, match=r"does not have 'tinny'\nDid you mean tiny\?"),
    ):
        one(engine(f"openai:tinny@{server.url}"))


def test_no_more_requests_are_in_flight_than_asked_for() -> None:
    async def many(remote: RemoteEngine) -> None:
        async with remote:
            asks = (remote.generate(HELLO, SAMPLING, seed=seed) for seed in range(9))
            await asyncio.gather(*asks)

    with FakeServer(Answer(completion(), delay=0.03)) as server:
        asyncio.run(many(engine(f"openai:tiny@{server.url}", concurrency=3)))
        assert server.most_in_flight == 3
        assert sorted(item.body["seed"] for item in server.chats) == list(range(9))


# Keys


def everything_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__dict__)


def test_a_key_goes_into_the_header_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    with FakeServer(completion(f"The key is {KEY}, or {KEY[4:16]}.")) as server:
        remote = engine(f"openai:tiny@{server.url}")
        reply = one(remote)
        assert {item.headers.get("authorization") for item in server.asked} == {f"Bearer {KEY}"}
        assert KEY not in json.dumps([item.body for item in server.chats])
    assert reply.text == "The key is [key], or [key]."
    seen = caplog.text + repr(remote) + repr(vars(remote)) + json.dumps(remote.facts().as_dict())
    assert KEY not in seen
    with pytest.raises(TypeError, match="not stored"):
        pickle.dumps(remote._secret)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_server_that_repeats_the_key_in_its_error_does_not_get_it_into_ours(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDTRUE_API_KEY", KEY)
    body = {"error": {"message": f"bad key {KEY}; header 'Bearer {KEY}'; {KEY[:12]}…"}}
    with (
        FakeServer(Answer(body, status)) as server,
        pytest.raises(GenerationError) as caught,
    ):
        one(engine(f"openai:tiny@{server.url}"))
    said = everything_said(caught.value)
    assert KEY not in said
    assert KEY[4:12] not in said
    assert "[key]" in said


@pytest.mark.parametrize("body", [f"<html>{KEY}</html>".encode(), f"nonsense {KEY}".encode()])
def test_a_key_in_a_malformed_answer_is_not_repeated(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDTRUE_API_KEY", KEY)
    with FakeServer(body) as server, pytest.raises(GenerationError) as caught:
        one(engine(f"openai:tiny@{server.url}"))
    assert KEY not in everything_said(caught.value)


def test_a_redirect_is_not_followed_and_the_key_does_not_go_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOLDTRUE_API_KEY", KEY)
    with FakeServer(completion()) as thief:
        away = Answer(b"", 307, {"Location": f"{thief.url}/v1/chat/completions"})
        with (
            FakeServer(away) as server,
            pytest.raises(GenerationError, match="redirects elsewhere"),
        ):
            one(engine(f"openai:tiny@{server.url}"))
        assert thief.asked == []


def test_a_refused_key_names_the_variable_and_not_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    gets = {"/v1/models": Answer({"error": {"message": "Unauthorized"}}, 401)}
    with FakeServer(gets=gets) as server:
        with pytest.raises(EngineError, match=r"HTTP 401: Unauthorized\n.*sent no key"):
            one(engine(f"openai:tiny@{server.url}"))
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        with pytest.raises(EngineError, match="sent the key in OPENAI_API_KEY"):
            one(engine(f"openai:tiny@{server.url}"))


def test_a_key_does_not_travel_unencrypted_beyond_the_private_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(EngineError, match="unencrypted http") as caught:
        engine("openai:tiny@http://models.example.com/v1")
    assert KEY not in everything_said(caught.value)
    assert engine("openai:tiny@http://thor.local:8080/v1")._secret is not None
    assert engine("vllm:tiny@http://models.example.com/v1")._secret is None


def test_a_key_with_a_line_break_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\r\nX-Evil: 1")
    with pytest.raises(EngineError, match="characters that a request cannot carry") as caught:
        engine("openai:tiny@http://127.0.0.1:9/v1")
    assert KEY not in everything_said(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "openai:tiny@https://user:hunter2@host/v1",
        "openai:tiny@https://hunter2@host/v1",
        "openai:tiny@https://host/v1?api_key=hunter2",
        "openai:tiny@https://host/v1#hunter2",
        "ollama:tiny@http://user:hunter2@host",
    ],
)
def test_a_base_url_that_holds_a_key_is_refused_without_repeating_it(name: str) -> None:
    with pytest.raises(ConfigError, match="must not hold") as caught:
        engine(name)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "base", "model"),
    [
        ("openai:gpt-x", "https://api.openai.com/v1", "gpt-x"),
        ("openai:a/b@c@http://h:1", "http://h:1/v1", "a/b@c"),
        ("openai:m@http://h:1/v1/chat/completions", "http://h:1/v1", "m"),
        ("ollama:qwen2.5:0.5b", "http://127.0.0.1:11434", "qwen2.5:0.5b"),
        ("ollama:m@http://h/v1", "http://h:11434", "m"),
        ("vllm:m", "http://127.0.0.1:8000/v1", "m"),
        ("openai:m@http://[::1]:8080", "http://[::1]:8080/v1", "m"),
    ],
)
def test_names_and_base_urls_are_read_as_meant(
    name: str, base: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_BASE_URL", "VLLM_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.delenv(variable, raising=False)
    remote = engine(name)
    assert (remote.address.base, remote.address.model) == (base, model)


@pytest.mark.parametrize(
    "name", ["openai:", "openai:@http://h", "openai:m@ftp://h", "openai:m@http://h:99999"]
)
def test_a_name_that_is_no_address_is_an_error(name: str) -> None:
    with pytest.raises(ConfigError):
        engine(name)


def test_offline_allows_this_machine_only() -> None:
    with pytest.raises(EngineError, match="another machine"):
        one(engine("openai:tiny@https://models.example.com/v1", offline=True))
    with FakeServer(completion()) as server:
        one(engine(f"openai:tiny@{server.url}", offline=True))


@pytest.mark.parametrize("options", [{"bits": 4}, {"adapter": Path("adapter")}])
def test_what_only_the_server_can_do_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="remote model"):
        one(engine("openai:tiny@http://127.0.0.1:9", **options))


def test_the_registry_opens_remote_names() -> None:
    for name in ("openai:m@http://h", "vllm:m", "ollama:m"):
        assert isinstance(open_engine(name), RemoteEngine)


# A real server


@pytest.mark.model
def test_a_session_against_llama_cpps_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from holdtrue.engines.fetch import fetch

    xllamacpp = pytest.importorskip("xllamacpp")
    monkeypatch.setenv("HOLDTRUE_API_KEY", KEY)
    params = xllamacpp.CommonParams()
    params.model.path = str(fetch("smollm2-135m"))
    params.model_alias = {"smollm2"}
    params.api_keys = [KEY]
    params.n_parallel, params.n_ctx, params.verbosity = 2, 4096, 0
    params.cpuparams.n_threads = 2
    server = xllamacpp.Server(params)
    remote = RemoteEngine(f"openai:smollm2@{server.listening_address}", EngineOptions())

    async def talk() -> list[Reply]:
        async with remote:
            assert remote.concurrency == 2
            asks = (remote.generate(HELLO, SAMPLING, seed=seed) for seed in (1, 2))
            short = await remote.generate(HELLO, Sampling(max_tokens=4), seed=3)
            with pytest.raises(GenerationError, match="context size"):
                await remote.generate([Message(Role.USER, "word " * 5000)], SAMPLING, seed=4)
            return [short, *await asyncio.gather(*asks)]

    short, first, second = asyncio.run(talk())
    assert (short.stop_reason, short.completion_tokens) == (StopReason.LENGTH, 4)
    assert min(len(first.text), len(second.text)) > 0
    assert (first.prompt_tokens or 0) > 10
    facts = remote.facts()
    assert facts.engine == "remote (llama-server)"
    assert facts.parameters_total == 134_515_008
    assert facts.bits == pytest.approx(5.7, abs=0.1)
    assert KEY not in json.dumps(facts.as_dict())
    with pytest.raises(EngineError, match="does not have 'llama'"):
        asyncio.run(say(RemoteEngine(remote.model.replace("smollm2", "llama"), EngineOptions())))
    monkeypatch.setenv("HOLDTRUE_API_KEY", "wrong-key-000000")
    with pytest.raises(EngineError, match="HTTP 401"):
        asyncio.run(say(RemoteEngine(remote.model, EngineOptions())))
