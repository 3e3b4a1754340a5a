"""Throughput of the embedded engine: layouts, ours against the bare library, a busy neighbour.

    python benchmarks/llamacpp_throughput.py [--sessions 24] [--rounds 2] [--neighbour busy|llama]

Every setting runs the same five-turn sessions (protocol v2.0, replies of at most --tokens tokens).
Settings take turns within a round, so that a change of the machine's load hits all alike; ratios
are taken within a round, and their median is printed. "evaluated" is prompt tokens that the model
really read, over the distinct ones: those of every session once, plus one shared system message a
slot.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import platform
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from holdtrue.engines.base import EngineOptions
from holdtrue.engines.fetch import fetch
from holdtrue.engines.llamacpp import LlamaCppEngine
from holdtrue.engines.llamacpp_layout import CONTEXT, Layout, usable_cores
from holdtrue.engines.llamacpp_server import import_xllamacpp
from holdtrue.messages import Message, Role
from holdtrue.persona import load_persona
from holdtrue.protocol import Sampling, draw_phrasings, load_protocol, render_system

MODEL = "smollm2-135m"


@dataclass(frozen=True)
class Result:
    seconds: float
    tokens: int
    evaluated: int
    distinct: int

    @property
    def speed(self) -> float:
        return self.tokens / self.seconds


@dataclass(frozen=True)
class Script:
    """One session: its system message, prompts and reminders."""

    system: Message
    prompts: tuple[str, ...]
    reminders: dict[int, str]

    def messages(self, turn: int, said: list[str], window: int) -> list[Message]:
        history: list[Message] = []
        for prompt, reply in zip(self.prompts, said, strict=False):
            history += [Message(Role.USER, prompt), Message(Role.ASSISTANT, reply)]
        shown = [self.system, *history[-window:]]
        if turn + 1 in self.reminders:
            shown.append(Message(Role.SYSTEM, self.reminders[turn + 1]))
        return [*shown, Message(Role.USER, self.prompts[turn])]


def scripts(count: int) -> list[Script]:
    persona, protocol = load_persona("sage"), load_protocol("v2.0")
    phase = protocol.phase_of(36)
    system = Message(Role.SYSTEM, render_system(protocol, persona, phase, session=36))
    reminders = {
        reminder.before_turn: reminder.text.replace("{{ persona.name }}", persona.name).replace(
            "{{ partner }}", persona.relationship.partner
        )
        for reminder in protocol.reminders
    }
    rng = np.random.default_rng(7)
    return [Script(system, draw_phrasings(phase, rng), reminders) for _ in range(count)]


def ours(
    listed: list[Script], sampling: Sampling, layout: Layout, window: int, flight: int
) -> Result:
    """The engine with ``flight`` sessions going on at once."""

    async def run() -> Result:
        async with LlamaCppEngine(MODEL, EngineOptions(), layout=layout) as engine:
            gate = asyncio.Semaphore(flight)
            tokens = prompts = 0

            async def session(script: Script, seed: int) -> None:
                nonlocal tokens, prompts
                async with gate:
                    said: list[str] = []
                    for turn in range(len(script.prompts)):
                        reply = await engine.generate(
                            script.messages(turn, said, window), sampling, seed=seed * 10 + turn
                        )
                        said.append(reply.text)
                        tokens += reply.completion_tokens or 0
                    prompts += (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)

            started = time.monotonic()
            await asyncio.gather(*(session(script, i) for i, script in enumerate(listed)))
            return Result(time.monotonic() - started, tokens, engine.evaluated_tokens, prompts)

    return asyncio.run(run())


def bare(
    listed: list[Script], sampling: Sampling, layout: Layout, window: int, flight: int
) -> Result:
    """xllamacpp driven by as many threads, each with a slot of its own and nothing around it."""
    library = import_xllamacpp()
    params = library.CommonParams()
    params.model.path = str(fetch(MODEL))
    params.verbosity, params.warmup = 0, False
    params.n_parallel, params.n_ctx = layout.slots, layout.slots * layout.context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = layout.threads
    servers = [library.Server(params) for _ in range(layout.servers)]
    waiting = list(enumerate(listed))
    lock = threading.Lock()
    totals = [0, 0, 0]

    def drive(lane: int) -> None:
        server, slot = servers[lane % layout.servers], lane // layout.servers
        while True:
            with lock:
                if not waiting:
                    return
                seed, script = waiting.pop(0)
            said: list[str] = []
            for turn in range(len(script.prompts)):
                answer = server.handle_chat_completions(
                    {
                        "messages": [m.as_dict() for m in script.messages(turn, said, window)],
                        "max_tokens": sampling.max_tokens,
                        "temperature": sampling.temperature,
                        "top_p": sampling.top_p,
                        "top_k": sampling.top_k,
                        "min_p": sampling.min_p,
                        "seed": seed * 10 + turn,
                        "id_slot": slot,
                    }
                )
                said.append(answer["choices"][0]["message"]["content"] or "…")
                with lock:
                    totals[0] += answer["usage"]["completion_tokens"]
                    totals[1] += answer["timings"]["prompt_n"]
            with lock:
                totals[2] += answer["usage"]["total_tokens"]

    started = time.monotonic()
    with ThreadPoolExecutor(flight) as pool:
        list(pool.map(drive, range(flight)))
    seconds = time.monotonic() - started
    servers.clear()
    return Result(seconds, *totals)


def spin() -> None:
    while True:
        pass


def chatter() -> None:
    """Another process with a model of its own, always generating."""
    listed = scripts(2)
    while True:
        ours(listed, Sampling(max_tokens=64), Layout(1, 2, 2, CONTEXT, False), 6, 2)


@contextmanager
def neighbour(kind: str | None) -> Iterator[None]:
    if kind is None:
        yield
        return
    target: Callable[[], None] = spin if kind == "busy" else chatter
    process = multiprocessing.get_context("spawn").Process(target=target, daemon=True)
    process.start()
    time.sleep(5 if kind == "llama" else 0.5)
    try:
        yield
    finally:
        process.kill()
        process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--neighbour", choices=("busy", "llama"))
    parser.add_argument("--only", help="comma-separated settings")
    chosen = parser.parse_args()
    fetch(MODEL)
    listed, sampling = scripts(chosen.sessions), Sampling(max_tokens=chosen.tokens)
    cores = usable_cores()

    def one(slots: int) -> Layout:
        return Layout(1, slots, cores, CONTEXT, replayable=slots == 1)

    each = Layout(cores, max(1, 8 // cores), 1, CONTEXT, replayable=False)
    settings = {
        "bare 1 server x 8 slots": lambda: bare(listed, sampling, one(8), 6, 8),
        "1 server x 1 slot": lambda: ours(listed, sampling, one(1), 6, 1),
        "1 server x 4 slots": lambda: ours(listed, sampling, one(4), 6, 4),
        "1 server x 8 slots": lambda: ours(listed, sampling, one(8), 6, 8),
        "1 server x 8 slots, 4 in flight": lambda: ours(listed, sampling, one(8), 6, 4),
        f"{cores} servers x {each.slots} slots x 1 thread": lambda: ours(
            listed, sampling, each, 6, each.lanes
        ),
        f"{cores} servers x {each.slots} slots x 1 thread, 4 in flight": lambda: ours(
            listed, sampling, each, 6, 4
        ),
        f"bare {cores} servers x {each.slots} slots x 1 thread": lambda: bare(
            listed, sampling, each, 6, each.lanes
        ),
        f"reproducible, {cores} servers x 1 slot x 1 thread": lambda: ours(
            listed, sampling, Layout(cores, 1, 1, CONTEXT, replayable=True), 6, cores
        ),
    }
    if chosen.only:
        wanted = chosen.only.split(",")
        settings = {name: run for i, (name, run) in enumerate(settings.items()) if str(i) in wanted}
    results: dict[str, list[Result]] = {name: [] for name in settings}
    with neighbour(chosen.neighbour):
        for number in range(chosen.rounds):
            order = list(settings.items())
            for name, run in order if number % 2 == 0 else reversed(order):
                results[name].append(run())
    show(results, chosen.sessions)
    print(json.dumps({"machine": platform.processor() or platform.machine(), "cores": cores}))


def show(results: dict[str, list[Result]], sessions: int) -> None:
    first = next(iter(results.values()))
    print(f"{'setting':<46} {'tok/s':>7} {'sess/min':>8} {'to first':>8} {'evaluated':>9}")
    for name, runs in results.items():
        speed = statistics.median(run.speed for run in runs)
        ratio = statistics.median(r.speed / f.speed for r, f in zip(runs, first, strict=True))
        pace = statistics.median(60 * sessions / run.seconds for run in runs)
        share = statistics.median(run.evaluated / max(1, run.distinct) for run in runs)
        print(f"{name:<46} {speed:7.1f} {pace:8.1f} {ratio:8.2f} {share:9.2f}")


if __name__ == "__main__":
    main()
