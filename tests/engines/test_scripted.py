from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import numpy as np
import pytest

from holdtrue.engines.base import EngineOptions, Reply, StopReason
from holdtrue.engines.checks import check_messages
from holdtrue.engines.scripted import CHARACTERS, ScriptedEngine
from holdtrue.errors import ConfigError, GenerationError
from holdtrue.messages import Message, Role
from holdtrue.persona import load_persona
from holdtrue.protocol import Sampling, draw_phrasings, load_protocol, render_system
from holdtrue.scoring.surface import d9

SAMPLING = Sampling()


def ask(engine: ScriptedEngine, *said: str, seed: int = 0, sampling: Sampling = SAMPLING) -> Reply:
    messages = [Message(Role.SYSTEM, said[0]), *(Message(Role.USER, text) for text in said[1:])]
    return asyncio.run(engine.generate(messages, sampling, seed=seed))


def sessions(character: str, count: int) -> list[list[str]]:
    """Replies of whole sessions with the built-in persona and protocol."""
    persona, protocol = load_persona("sage"), load_protocol("v2.0")
    phase = protocol.phase_of(36)
    system = Message(Role.SYSTEM, render_system(protocol, persona, phase, session=36))
    engine = ScriptedEngine(f"scripted:{character}")
    found = []
    for seed in range(count):
        history: list[Message] = []
        replies: list[str] = []
        for prompt in draw_phrasings(phase, np.random.default_rng(seed)):
            history.append(Message(Role.USER, prompt))
            shown = [system, *history[-7:]]
            reply = asyncio.run(engine.generate(shown, SAMPLING, seed=seed))
            history.append(Message(Role.ASSISTANT, reply.text))
            replies.append(reply.text)
        found.append(replies)
    return found


def test_replies_follow_from_messages_and_seed_alone() -> None:
    first = ask(ScriptedEngine("scripted:mixed"), "You are Vera.", "Hello?", seed=3)
    again = ask(ScriptedEngine("scripted:mixed"), "You are Vera.", "Hello?", seed=3)
    assert first == again
    texts = {
        ask(ScriptedEngine("scripted:mixed"), "You are Vera.", "Hello?", seed=seed).text
        for seed in range(20)
    }
    assert len(texts) >= 18


def test_at_temperature_zero_the_seed_changes_nothing() -> None:
    cold = Sampling(temperature=0)
    engine = ScriptedEngine("scripted:steady")
    replies = {ask(engine, "You are Vera.", "Hi", seed=s, sampling=cold).text for s in range(5)}
    assert len(replies) == 1


def test_steady_is_varied_complete_brief_and_now_and_then_names_itself() -> None:
    found = sessions("steady", 40)
    replies = [reply for session in found for reply in session]
    words = [len(reply.split()) for reply in replies]
    assert min(words) >= 45
    assert max(words) <= 80
    assert all(reply.endswith((".", "?")) for reply in replies)
    assert len(set(replies)) == len(replies)
    assert 0.05 < np.mean(["SAGE" in reply for reply in replies]) < 0.35
    assert max(sum("SAGE" in reply for reply in session) for session in found) <= 2
    assert min(d9(reply) for reply in replies) >= 0.8


def test_gaming_opens_with_its_name_and_collapse_speaks_as_a_generic_ai() -> None:
    gaming = [reply for session in sessions("gaming", 5) for reply in session]
    assert all(reply.startswith("As SAGE, ") for reply in gaming)
    collapse = [reply for session in sessions("collapse", 5) for reply in session]
    generic = re.compile(r"AI|computer program|language model|artificial intelligence")
    assert all(generic.search(reply) for reply in collapse)
    assert not any("SAGE" in reply for reply in collapse)


def test_mixed_is_mostly_steady_with_some_of_the_others() -> None:
    replies = [reply for session in sessions("mixed", 40) for reply in session]
    gaming = np.mean([reply.startswith("As SAGE, ") for reply in replies])
    assert 0.1 < gaming < 0.3


def test_a_persona_without_a_name_is_spoken_for_all_the_same() -> None:
    for character in CHARACTERS:
        for seed in range(10):
            reply = ask(ScriptedEngine(f"scripted:{character}"), "be brief", "Hm?", seed=seed)
            assert "{" not in reply.text


def test_a_reply_beyond_the_token_limit_is_cut_off() -> None:
    reply = ask(ScriptedEngine("scripted:steady"), "x", "Hi", sampling=Sampling(max_tokens=10))
    assert len(reply.text.split()) == reply.completion_tokens == 10
    assert reply.stop_reason is StopReason.LENGTH


def test_delays_and_faults_are_given_from_outside() -> None:
    def fault(messages: Sequence[Message], seed: int) -> Exception | None:
        return GenerationError("as arranged") if seed == 2 else None

    engine = ScriptedEngine("scripted:steady", delay=lambda _m, seed: 0.01 * seed, fault=fault)
    assert ask(engine, "x", "Hi", seed=1).seconds == 0.01
    with pytest.raises(GenerationError, match="as arranged"):
        ask(engine, "x", "Hi", seed=2)


def test_a_script_of_ones_own_takes_the_place_of_a_character() -> None:
    engine = ScriptedEngine("scripted:judge", script=lambda messages, seed: f"{seed}")
    assert ask(engine, "x", "Hi", seed=5).text == "5"
    assert engine.facts().replayable is False


def test_conversations_go_on_side_by_side() -> None:
    engine = ScriptedEngine("scripted:steady", EngineOptions(concurrency=3), delay=0.01)

    async def talk() -> list[Reply]:
        messages = [Message(Role.USER, "Hello")]
        return await asyncio.gather(
            *(engine.generate(messages, SAMPLING, seed=s) for s in range(3))
        )

    assert engine.concurrency == 3
    assert len({reply.text for reply in asyncio.run(talk())}) == 3


def test_an_unknown_character_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="steady"):
        ScriptedEngine("scripted:stedy")


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([], "no messages"),
        ([Message(Role.USER, " \n")], "empty"),
        ([Message(Role.USER, "a"), Message(Role.ASSISTANT, "b")], "nothing to reply to"),
        ([Message("tool", "a")], "unknown role"),  # type: ignore[arg-type]
    ],
)
def test_what_no_model_should_be_asked_is_refused(messages: list[Message], told: str) -> None:
    with pytest.raises(GenerationError, match=told):
        check_messages(messages)
