from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from holdtrue.engines.base import EngineOptions
from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.errors import GenerationError
from holdtrue.messages import Message
from holdtrue.persona import load_persona
from holdtrue.protocol import load_protocol
from holdtrue.runner import run_sessions
from holdtrue.session import SessionPlan, Snapshot, plan_session, session_seed
from holdtrue.transcript import Status, Transcript


def plans(count: int) -> list[SessionPlan]:
    persona, protocol = load_persona("sage"), load_protocol("v2.0")
    return [
        plan_session(
            persona,
            protocol,
            model="scripted:steady",
            number=number,
            seed=session_seed(0, number),
            snapshot=Snapshot(session=35),
        )
        for number in range(1, count + 1)
    ]


async def collect(engine: ScriptedEngine, count: int, **kwargs: int) -> list[Transcript]:
    return [transcript async for transcript in run_sessions(plans(count), engine, **kwargs)]


class Counting:
    """Counts the conversations that are waiting for a reply at once."""

    def __init__(self) -> None:
        self.most = 0
        self.sessions: set[int] = set()

    def delay(self, messages: Sequence[Message], seed: int) -> float:
        self.sessions.add(seed)
        return 0.002 * (seed % 5)


def test_transcripts_come_in_the_order_of_their_plans() -> None:
    engine = ScriptedEngine("scripted:steady", delay=Counting().delay)
    numbers = [t.session for t in asyncio.run(collect(engine, 9))]
    assert numbers == list(range(1, 10))


def test_no_more_sessions_are_in_flight_than_the_engine_serves_well() -> None:
    running = most = 0

    class Watched(ScriptedEngine):
        async def generate(self, messages, sampling, *, seed):  # type: ignore[no-untyped-def]
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                return await super().generate(messages, sampling, seed=seed)
            finally:
                running -= 1

    engine = Watched("scripted:steady", EngineOptions(concurrency=3), delay=0.001)
    assert len(asyncio.run(collect(engine, 10))) == 10
    assert most == 3


def test_a_failed_session_does_not_stop_the_others() -> None:
    bad = plans(3)[1].prompts[0]

    def fault(messages: Sequence[Message], seed: int) -> Exception | None:
        return GenerationError("no") if seed == _seed_of(2) else None

    engine = ScriptedEngine("scripted:steady", fault=fault)
    statuses = [t.status for t in asyncio.run(collect(engine, 3))]
    assert statuses == [Status.COMPLETE, Status.FAILED, Status.COMPLETE], bad


def _seed_of(number: int) -> int:
    from holdtrue.session import turn_seed

    return turn_seed(session_seed(0, number), 1)


def test_what_still_runs_is_cancelled_when_the_caller_stops() -> None:
    async def take_one() -> int:
        engine = ScriptedEngine("scripted:steady", EngineOptions(concurrency=4), delay=0.001)
        async with aclosing(run_sessions(plans(8), engine)) as stream:
            async for _ in stream:
                break
        return len([t for t in asyncio.all_tasks() if t is not asyncio.current_task()])

    assert asyncio.run(take_one()) == 0
