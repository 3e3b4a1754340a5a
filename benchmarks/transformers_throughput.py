"""Throughput of the transformers engine: sessions in flight, replay mode, the plain loop.

    python benchmarks/transformers_throughput.py [--model NAME] [--tokens 32] [--rounds 2]

Every setting holds the same kind of five-turn sessions (protocol v2.0, replies of at most --tokens
tokens) on the same model, by default the embedded one, unpacked by transformers. Settings take
turns within a round; the table gives medians over rounds. "cpu" is processor seconds, which other
work on the machine disturbs less than the clock. The plain loop is ``model.generate`` for one
session at a time, with the whole prompt each turn.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from holdtrue.engines.base import EngineOptions
from holdtrue.engines.fetch import fetch
from holdtrue.engines.hf_loading import import_torch
from holdtrue.engines.transformers import TransformersEngine
from holdtrue.messages import Message, Role
from holdtrue.persona import load_persona
from holdtrue.protocol import Sampling, draw_phrasings, load_protocol, render_system

Ask = Callable[[list[Message], int], Awaitable[str]]
WINDOW = 6


@dataclass(frozen=True)
class Result:
    """Per session: seconds on the clock, processor seconds, prompt tokens evaluated."""

    seconds: float
    cpu: float
    evaluated: float | None


NUMBERS = itertools.count(1)


async def hold(ask: Ask, sessions: int, in_flight: int) -> None:
    """Hold sessions, at most ``in_flight`` at a time, each with other phrasings and seeds."""
    persona, protocol = load_persona("sage"), load_protocol("v2.0")
    phase = protocol.phase_named("questioning")
    system = render_system(protocol, persona, phase, session=26)
    gate = asyncio.Semaphore(in_flight)

    async def session(number: int) -> None:
        async with gate:
            history: list[Message] = []
            prompts = draw_phrasings(phase, np.random.default_rng(number))
            for turn, prompt in enumerate(prompts):
                history.append(Message(Role.USER, prompt))
                shown = [Message(Role.SYSTEM, system), *history[-WINDOW - 1 :]]
                said = await ask(shown, 100 * number + turn)
                history.append(Message(Role.ASSISTANT, said))

    await asyncio.gather(*(session(next(NUMBERS)) for _ in range(sessions)))


async def measured(
    ask: Ask, sessions: int, in_flight: int, evaluated: Callable[[], int] | None = None
) -> Result:
    before = evaluated() if evaluated else 0
    clock, cpu = time.monotonic(), time.process_time()
    await hold(ask, sessions, in_flight)
    seconds, used = time.monotonic() - clock, time.process_time() - cpu
    new = (evaluated() - before) / sessions if evaluated else None
    return Result(seconds / sessions, used / sessions, new)


def asker(engine: TransformersEngine, sampling: Sampling) -> Ask:
    async def ask(messages: list[Message], seed: int) -> str:
        return (await engine.generate(messages, sampling, seed=seed)).text

    return ask


def plain_loop(name: str, sampling: Sampling) -> Ask:
    """transformers as most scripts use it."""
    torch = import_torch()
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    transformers.utils.logging.disable_progress_bar()
    path = name.removeprefix("hf:")
    folder, _, file = path.rpartition("/")
    where = (folder, {"gguf_file": file}) if file.endswith(".gguf") else (path, {})
    tokenizer = AutoTokenizer.from_pretrained(where[0], **where[1])
    model = AutoModelForCausalLM.from_pretrained(where[0], dtype=torch.float32, **where[1]).eval()
    config = GenerationConfig(
        do_sample=True,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        min_p=sampling.min_p,
        max_new_tokens=sampling.max_tokens,
        eos_token_id=model.generation_config.eos_token_id,
        pad_token_id=0,
    )

    async def ask(messages: list[Message], seed: int) -> str:
        torch.manual_seed(seed)
        ids = tokenizer.apply_chat_template(
            [message.as_dict() for message in messages],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        with torch.inference_mode():
            said = model.generate(**ids, generation_config=config)
        text = tokenizer.decode(said[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        return str(text).strip() or "…"

    return ask


async def compare(name: str, tokens: int, rounds: int, threads: int | None) -> None:
    sampling = Sampling(max_tokens=tokens)
    batched = TransformersEngine(name, EngineOptions(concurrency=16, threads=threads))
    alone = TransformersEngine(name, EngineOptions(concurrency=1, threads=threads))
    loop = plain_loop(name, sampling)
    async with batched, alone:
        many, one = asker(batched, sampling), asker(alone, sampling)
        settings: dict[str, Callable[[], Awaitable[Result]]] = {
            "plain loop of generate": lambda: measured(loop, 1, 1),
            "replay mode (concurrency 1)": lambda: measured(
                one, 1, 1, lambda: alone.evaluated_tokens
            ),
        }
        for count, sessions in ((1, 1), (4, 4), (8, 8), (16, 16)):
            settings[f"{count} in flight"] = lambda count=count, sessions=sessions: measured(
                many, sessions, count, lambda: batched.evaluated_tokens
            )
        results: dict[str, list[Result]] = {key: [] for key in settings}
        await hold(many, 1, 1)
        for _ in range(rounds):
            for key, work in settings.items():
                results[key].append(await work())
                print(f"  {key}: {results[key][-1]}", flush=True)
    show(results, tokens)


def show(results: dict[str, list[Result]], tokens: int) -> None:
    base = statistics.median(item.cpu for item in results["1 in flight"])
    clock = statistics.median(item.seconds for item in results["1 in flight"])
    print(
        f"\nreplies of at most {tokens} tokens; medians of {len(results['1 in flight'])} rounds\n"
    )
    print("| setting | s/session | speed-up | cpu s/session | speed-up by cpu | evaluated |")
    print("|---|---|---|---|---|---|")
    for key, items in results.items():
        seconds = statistics.median(item.seconds for item in items)
        cpu = statistics.median(item.cpu for item in items)
        new = items[0].evaluated
        print(
            f"| {key} | {seconds:.2f} | {clock / seconds:.2f} | {cpu:.2f} | {base / cpu:.2f} "
            f"| {'' if new is None else f'{new:.0f}'} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="hf:… [default: the embedded model]")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    name: Any = given.model or f"hf:{fetch('smollm2-135m')}"
    asyncio.run(compare(name, given.tokens, given.rounds, given.threads))


if __name__ == "__main__":
    main()
