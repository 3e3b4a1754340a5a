"""Runner: keeps several sessions in flight on one engine. A failed session is data, not a crash.

It neither scores nor decides; the capacity test says how many sessions it wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

from holdtrue.engines.base import Engine
from holdtrue.session import SessionPlan, run_session
from holdtrue.transcript import Transcript, Turn

OnTurn = Callable[[SessionPlan, Turn], None]


async def run_sessions(
    plans: Iterable[SessionPlan],
    engine: Engine,
    *,
    in_flight: int | None = None,
    finished: Mapping[int, tuple[Turn, ...]] | None = None,
    on_turn: OnTurn | None = None,
) -> AsyncGenerator[Transcript, None]:
    """Yield the transcripts of ``plans`` in their order, with ``in_flight`` running at once.

    ``in_flight`` defaults to the engine's concurrency and may reach ahead of what was yielded;
    what is still running when the caller stops is cancelled. ``finished`` holds journalled turns
    by session number.
    """
    waiting = iter(plans)
    running: list[asyncio.Task[Transcript]] = []
    limit = max(1, in_flight or engine.concurrency)

    def start() -> None:
        while len([task for task in running if not task.done()]) < limit:
            plan = next(waiting, None)
            if plan is None:
                return
            turns = (finished or {}).get(plan.number, ())
            session = run_session(plan, engine, finished=turns, on_turn=on_turn)
            running.append(asyncio.create_task(session))

    try:
        start()
        while running:
            first = running[0]
            while not first.done():
                unfinished = [task for task in running if not task.done()]
                await asyncio.wait(unfinished, return_when=asyncio.FIRST_COMPLETED)
                start()
            running.pop(0)
            yield first.result()
            start()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
