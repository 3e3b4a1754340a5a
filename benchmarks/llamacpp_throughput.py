"""Throughput of the embedded engine: layouts, ours against the bare library, a busy neighbour.

    python benchmarks/llamacpp_throughput.py [--sessions 24] [--rounds 2] [--neighbour busy|llama]

Every setting runs the same five-turn sessions (protocol v2.0, replies of at most --tokens tokens).
Settings stay loaded and take turns within a round, so that a change of the machine's load hits all
alike; ratios to the first setting are taken within a round, and their median is printed. The cpu
ratio compares processor seconds a token. "evaluated" is the prompt tokens that the model really
read, over the tokens of each session's last prompt and reply.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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
WINDOW = 6


@dataclass(frozen=True)
class Result:
    """One block; ``cpu`` is processor seconds, which a busy machine disturbs less."""

    seconds: float
    cpu: float
    tokens: int
    evaluated: int
    distinct: int

    @property
    def speed(self) -> float:
        return self.tokens / self.seconds

    @property
    def per_token(self) -> float:
        return self.cpu / self.tokens


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


class Ours:
    """The engine with ``flight`` sessions going on at once."""

    def __init__(self, layout: Layout, flight: int) -> None:
        self.flight = flight
        self.runner = asyncio.Runner()
        self.engine = LlamaCppEngine(MODEL, EngineOptions(), layout=layout)
        self.runner.run(self.engine.__aenter__())

    def close(self) -> None:
        self.runner.run(self.engine.__aexit__(None, None, None))
        self.runner.close()

    def block(self, listed: list[Script], sampling: Sampling, first_seed: int) -> Result:
        return self.runner.run(self._block(listed, sampling, first_seed))

    async def _block(self, listed: list[Script], sampling: Sampling, first_seed: int) -> Result:
        gate = asyncio.Semaphore(self.flight)
        tokens = distinct = 0

        async def session(script: Script, seed: int) -> None:
            nonlocal tokens, distinct
            async with gate:
                said: list[str] = []
                for turn in range(len(script.prompts)):
                    reply = await self.engine.generate(
                        script.messages(turn, said, WINDOW), sampling, seed=seed * 10 + turn
                    )
                    said.append(reply.text)
                    tokens += reply.completion_tokens or 0
                distinct += (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)

        before = self.engine.evaluated_tokens
        watch = Watch()
        await asyncio.gather(*(session(one, first_seed + i) for i, one in enumerate(listed)))
        return watch.result(tokens, self.engine.evaluated_tokens - before, distinct)


class Bare:
    """xllamacpp driven by as many threads, each with a slot of its own and nothing around it."""

    def __init__(self, layout: Layout, flight: int) -> None:
        library = import_xllamacpp()
        params = library.CommonParams()
        params.model.path = str(fetch(MODEL))
        params.verbosity, params.warmup = 0, False
        params.n_parallel, params.n_ctx = layout.slots, layout.slots * layout.context
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = layout.threads
        self.servers = [library.Server(params) for _ in range(layout.servers)]
        self.flight = flight

    def close(self) -> None:
        self.servers.clear()

    def block(self, listed: list[Script], sampling: Sampling, first_seed: int) -> Result:
        waiting = list(enumerate(listed, start=first_seed))
        lock = threading.Lock()
        totals = [0, 0, 0]

        def drive(lane: int) -> None:
            slot, number = divmod(lane, len(self.servers))
            while True:
                with lock:
                    if not waiting:
                        return
                    seed, script = waiting.pop(0)
                said: list[str] = []
                for turn in range(len(script.prompts)):
                    body = request(script.messages(turn, said, WINDOW), sampling)
                    body.update(seed=seed * 10 + turn, id_slot=slot)
                    answer = self.servers[number].handle_chat_completions(body)
                    said.append(answer["choices"][0]["message"]["content"] or "…")
                    with lock:
                        totals[0] += answer["usage"]["completion_tokens"]
                        totals[1] += answer["timings"]["prompt_n"]
                with lock:
                    totals[2] += answer["usage"]["total_tokens"]

        watch = Watch()
        with ThreadPoolExecutor(self.flight) as pool:
            list(pool.map(drive, range(self.flight)))
        return watch.result(*totals)


def request(messages: list[Message], sampling: Sampling) -> dict[str, Any]:
    return {
        "messages": [message.as_dict() for message in messages],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
    }


class Watch:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.monotonic(), time.process_time()

    def result(self, tokens: int, evaluated: int, distinct: int) -> Result:
        wall, cpu = time.monotonic() - self.wall, time.process_time() - self.cpu
        return Result(wall, cpu, tokens, evaluated, distinct)


def spin() -> None:
    while True:
        pass


def chatter() -> None:
    """Another process with a model of its own, always generating."""
    engine = Ours(Layout(1, 2, 2, CONTEXT, False), 2)
    while True:
        engine.block(scripts(2), Sampling(max_tokens=64), 0)


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


def settings(cores: int) -> dict[str, Callable[[], Ours | Bare]]:
    def one(slots: int) -> Layout:
        return Layout(1, slots, cores, CONTEXT, replayable=slots == 1)

    many = Layout(cores, max(1, 8 // cores), 1, CONTEXT, replayable=False)
    apart = Layout(cores, 1, 1, CONTEXT, replayable=True)
    several = f"{cores} servers x {many.slots} slots x 1 thread"
    return {
        "bare, 1 server x 8 slots": lambda: Bare(one(8), 8),
        "1 server x 1 slot": lambda: Ours(one(1), 1),
        "1 server x 4 slots": lambda: Ours(one(4), 4),
        "1 server x 8 slots": lambda: Ours(one(8), 8),
        "1 server x 8 slots, 4 in flight": lambda: Ours(one(8), 4),
        several: lambda: Ours(many, many.lanes),
        f"{several}, 4 in flight": lambda: Ours(many, 4),
        f"reproducible, {cores} servers x 1 slot": lambda: Ours(apart, cores),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=24, help="sessions of a block")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--neighbour", choices=("busy", "llama"))
    parser.add_argument("--only", help="numbers of settings, from 0, comma-separated")
    chosen = parser.parse_args()
    fetch(MODEL)
    known = settings(usable_cores())
    wanted = chosen.only.split(",") if chosen.only else [str(i) for i in range(len(known))]
    opened = {name: make() for i, (name, make) in enumerate(known.items()) if str(i) in wanted}
    results: dict[str, list[Result]] = {name: [] for name in opened}
    sampling = Sampling(max_tokens=chosen.tokens)
    with neighbour(chosen.neighbour):
        for number in range(chosen.rounds):
            order = list(opened.items())
            for name, engine in order if number % 2 == 0 else reversed(order):
                listed = scripts(chosen.sessions)
                results[name].append(engine.block(listed, sampling, 1_000 * number))
                last = results[name][-1]
                print(f"round {number + 1}: {name}: {last.speed:.1f} tok/s", flush=True)
    show(results, chosen.sessions)
    for engine in opened.values():
        engine.close()


def show(results: dict[str, list[Result]], sessions: int) -> None:
    first = next(iter(results.values()))
    heads = ("tok/s", "ratio", "cpu ratio", "sess/min", "evaluated")
    print(f"{'setting':<46}" + "".join(f"{head:>11}" for head in heads))
    for name, runs in results.items():
        pairs = list(zip(runs, first, strict=True))
        figures = (
            statistics.median(run.speed for run in runs),
            statistics.median(run.speed / other.speed for run, other in pairs),
            statistics.median(other.per_token / run.per_token for run, other in pairs),
            statistics.median(60 * sessions / run.seconds for run in runs),
            statistics.median(run.evaluated / max(1, run.distinct) for run in runs),
        )
        print(f"{name:<46}" + "".join(f"{figure:11.2f}" for figure in figures))


if __name__ == "__main__":
    main()
