"""What ``engines.py`` drives: the same five-turn sessions through our engines and plain code.

Measures nothing by itself and prints nothing.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from holdtrue.engines.base import Engine, EngineOptions
from holdtrue.engines.fetch import fetch
from holdtrue.engines.hf_loading import import_torch
from holdtrue.engines.llamacpp import LlamaCppEngine
from holdtrue.engines.llamacpp_layout import CONTEXT, Layout
from holdtrue.engines.llamacpp_server import import_xllamacpp
from holdtrue.engines.transformers import TransformersEngine
from holdtrue.messages import Message
from holdtrue.persona import load_persona
from holdtrue.protocol import Sampling, load_protocol
from holdtrue.session import SessionPlan, Snapshot, messages_for, plan_session, session_seed
from holdtrue.transcript import Turn

MODEL = "smollm2-135m"
Block = list[SessionPlan]


@dataclass(frozen=True)
class Result:
    """A block of sessions.

    ``cpu`` is processor seconds, which a busy machine disturbs less than the clock. ``tokens`` were
    generated, ``evaluated`` prompt tokens were really read, ``distinct`` is the tokens of every
    session's last prompt and reply.
    """

    sessions: int
    seconds: float
    cpu: float
    tokens: int
    evaluated: int | None
    distinct: int

    @property
    def tokens_a_second(self) -> float:
        return self.tokens / self.seconds

    @property
    def sessions_a_minute(self) -> float:
        return 60 * self.sessions / self.seconds

    @property
    def cpu_a_token(self) -> float:
        return self.cpu / self.tokens


def sessions(count: int) -> Block:
    """The sessions of a block: protocol v2.0 for SAGE, the same phrasings every time."""
    persona, protocol = load_persona("sage"), load_protocol("v2.0")
    return [
        plan_session(
            persona,
            protocol,
            model=MODEL,
            number=number,
            seed=session_seed(7, number),
            snapshot=Snapshot(session=36),
        )
        for number in range(1, count + 1)
    ]


def shown(plan: SessionPlan, said: list[str]) -> list[Message]:
    """What the model is shown for the turn after what it said."""
    pairs = enumerate(zip(plan.prompts, said, strict=False), start=1)
    turns = (Turn(index=i, prompt=prompt, response=reply) for i, (prompt, reply) in pairs)
    return messages_for(plan, tuple(turns))


class Driver(Protocol):
    """Holds a block of sessions."""

    def block(self, listed: Block, sampling: Sampling, first_seed: int) -> Result: ...

    def close(self) -> None: ...


class Watch:
    """Wall and processor seconds of this process since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.monotonic(), time.process_time()

    def result(self, sessions: int, tokens: int, evaluated: int | None, distinct: int) -> Result:
        wall, cpu = time.monotonic() - self.wall, time.process_time() - self.cpu
        return Result(sessions, wall, cpu, tokens, evaluated, distinct)


class Opened:
    """One of our engines, loaded; several drivers may share it."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Any = engine
        self.runner = asyncio.Runner()
        self.runner.run(engine.__aenter__())

    def close(self) -> None:
        self.runner.run(self.engine.__aexit__(None, None, None))
        self.runner.close()


class Ours:
    """An engine of ours with ``flight`` sessions going on at once, by default all it can."""

    def __init__(self, opened: Opened, flight: int | None = None) -> None:
        self.opened, self.flight = opened, flight or opened.engine.concurrency

    def close(self) -> None:
        self.opened.close()

    def block(self, listed: Block, sampling: Sampling, first_seed: int) -> Result:
        return self.opened.runner.run(self._block(listed, sampling, first_seed))

    async def _block(self, listed: Block, sampling: Sampling, first_seed: int) -> Result:
        gate, engine = asyncio.Semaphore(self.flight), self.opened.engine
        tokens = distinct = 0

        async def session(plan: SessionPlan, seed: int) -> None:
            nonlocal tokens, distinct
            async with gate:
                said: list[str] = []
                for turn in range(len(plan.prompts)):
                    reply = await engine.generate(
                        shown(plan, said), sampling, seed=seed * 10 + turn
                    )
                    said.append(reply.text)
                    tokens += reply.completion_tokens or 0
                distinct += (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)

        before, watch = engine.evaluated_tokens, Watch()
        await asyncio.gather(*(session(one, first_seed + i) for i, one in enumerate(listed)))
        return watch.result(len(listed), tokens, engine.evaluated_tokens - before, distinct)


def embedded(layout: Layout | None = None, **options: Any) -> Opened:
    return Opened(LlamaCppEngine(MODEL, EngineOptions(**options), layout=layout))


def transformers_engine(name: str, concurrency: int) -> Opened:
    return Opened(TransformersEngine(name, EngineOptions(concurrency=concurrency)))


class Bare:
    """xllamacpp driven by as many threads as it has slots, with nothing around it."""

    def __init__(self, layout: Layout) -> None:
        library = import_xllamacpp()
        params = library.CommonParams()
        params.model.path = str(fetch(MODEL))
        params.verbosity, params.warmup = 0, False
        params.n_parallel, params.n_ctx = layout.slots, layout.slots * layout.context
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = layout.threads
        self.servers = [library.Server(params) for _ in range(layout.servers)]
        self.lanes = layout.lanes

    def close(self) -> None:
        self.servers.clear()

    def block(self, listed: Block, sampling: Sampling, first_seed: int) -> Result:
        waiting = list(enumerate(listed, start=first_seed))
        lock = threading.Lock()
        totals = [0, 0, 0]

        def drive(lane: int) -> None:
            slot, number = divmod(lane, len(self.servers))
            while True:
                with lock:
                    if not waiting:
                        return
                    seed, plan = waiting.pop(0)
                said: list[str] = []
                for turn in range(len(plan.prompts)):
                    body = request(shown(plan, said), sampling)
                    body.update(seed=seed * 10 + turn, id_slot=slot)
                    answer = self.servers[number].handle_chat_completions(body)
                    said.append(answer["choices"][0]["message"]["content"] or "…")
                    with lock:
                        totals[0] += answer["usage"]["completion_tokens"]
                        totals[1] += answer["timings"]["prompt_n"]
                with lock:
                    totals[2] += answer["usage"]["total_tokens"]

        watch = Watch()
        with ThreadPoolExecutor(self.lanes) as pool:
            list(pool.map(drive, range(self.lanes)))
        return watch.result(len(listed), *totals)


def request(messages: list[Message], sampling: Sampling) -> dict[str, Any]:
    return {
        "messages": [message.as_dict() for message in messages],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
    }


class PlainLoop:
    """transformers as most scripts use it: one session at a time, the whole prompt every turn."""

    def __init__(self, name: str) -> None:
        self.torch = import_torch()
        import transformers
        from transformers import AutoModelForCausalLM, AutoTokenizer

        transformers.utils.logging.disable_progress_bar()
        path = name.removeprefix("hf:")
        folder, _, file = path.rpartition("/")
        where, given = (folder, {"gguf_file": file}) if file.endswith(".gguf") else (path, {})
        self.tokenizer = AutoTokenizer.from_pretrained(where, **given)
        self.model = AutoModelForCausalLM.from_pretrained(where, dtype=self.torch.float32, **given)
        self.model.eval()

    def close(self) -> None:
        del self.model

    def block(self, listed: Block, sampling: Sampling, first_seed: int) -> Result:
        watch = Watch()
        tokens = distinct = evaluated = 0
        for number, plan in enumerate(listed):
            said: list[str] = []
            for turn in range(len(plan.prompts)):
                self.torch.manual_seed((first_seed + number) * 10 + turn)
                text, read, wrote = self.ask(shown(plan, said), sampling)
                said.append(text)
                tokens, evaluated = tokens + wrote, evaluated + read
            distinct += read + wrote
        return watch.result(len(listed), tokens, evaluated, distinct)

    def ask(self, messages: list[Message], sampling: Sampling) -> tuple[str, int, int]:
        from transformers import GenerationConfig

        config = GenerationConfig(
            do_sample=True,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            max_new_tokens=sampling.max_tokens,
            eos_token_id=self.model.generation_config.eos_token_id,
            pad_token_id=0,
        )
        ids = self.tokenizer.apply_chat_template(
            [message.as_dict() for message in messages],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        with self.torch.inference_mode():
            said = self.model.generate(**ids, generation_config=config)
        read = int(ids["input_ids"].shape[1])
        text = str(self.tokenizer.decode(said[0, read:], skip_special_tokens=True)).strip()
        return text or "…", read, int(said.shape[1]) - read


def spin() -> None:
    while True:
        pass


def chatter() -> None:
    """Another process with a model of its own, always generating."""
    engine = Ours(embedded(Layout(1, 2, 2, CONTEXT, replayable=False)), 2)
    while True:
        engine.block(sessions(2), Sampling(max_tokens=64), 0)


@contextmanager
def neighbour(target: Callable[[], None] | None, settle: float = 0.5) -> Iterator[None]:
    """Another process beside this one, given ``settle`` seconds to get going."""
    if target is None:
        yield
        return
    process = multiprocessing.get_context("spawn").Process(target=target, daemon=True)
    process.start()
    time.sleep(settle)
    try:
        yield
    finally:
        process.kill()
        process.join()
