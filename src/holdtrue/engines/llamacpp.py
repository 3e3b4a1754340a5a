"""GGUF models in this process, through llama.cpp: the embedded default.

A conversation keeps its slot from turn to turn, so that only what is new is evaluated. With
several slots in one server the same seed does not give the same text, since a batch's make-up
changes the arithmetic; one slot a server is the replayable mode (``settings`` of the facts says
which it was). Nothing is fetched here but catalog models. No vision, no audio, no tools.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from holdtrue import __version__
from holdtrue.engines import catalog, memory
from holdtrue.engines.base import Engine, EngineFacts, EngineOptions, Reply
from holdtrue.engines.checks import check_adapted_base, check_messages
from holdtrue.engines.estimate import gguf_shape, judge
from holdtrue.engines.fetch import fetch
from holdtrue.engines.filehash import sha256_of
from holdtrue.engines.gguf_header import GgufHeader, read_header
from holdtrue.engines.llamacpp_lanes import Asked, Conversation, Lane, Parked, choose_lane
from holdtrue.engines.llamacpp_layout import Layout, plan_layout, usable_cores
from holdtrue.engines.llamacpp_server import (
    Completion,
    NativeServer,
    build_of,
    has_accelerator,
    import_xllamacpp,
)
from holdtrue.engines.modelname import parse_model
from holdtrue.engines.native_log import native_log
from holdtrue.engines.systems import fold_systems
from holdtrue.engines.template import TemplateFacts, inspect_template
from holdtrue.engines.thinking import spoken
from holdtrue.errors import EngineError, GenerationError
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling

PATIENCE_SECONDS = 5.0
PRIMER = Message(Role.USER, "\u2042")
ADAPTER_BASE = "holdtrue.base_sha256"
"""Where an adapter made by `holdtrue sleep merge` names the sha256 of its base."""


@dataclass(slots=True)
class _Loaded:
    """Everything that exists only while the model is loaded."""

    path: Path
    header: GgufHeader
    layout: Layout
    lanes: list[Lane]
    template: TemplateFacts
    pool: ThreadPoolExecutor
    free: asyncio.Semaphore
    device: str
    source_hash: str
    exit: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


class LlamaCppEngine(Engine):
    """A GGUF file, or a catalog model that is one, with the chat template that it carries.

    Raises EngineError on entering for a file that is missing, damaged, no chat model, or too large
    for the memory; ConfigError for a context beyond the model's. ``layout`` overrides the one that
    is planned from the options, the machine and the model. ``evaluated_tokens`` counts the prompt
    tokens that were really read, those found in a slot's cache left out.
    """

    def __init__(
        self, model: str, options: EngineOptions | None = None, *, layout: Layout | None = None
    ) -> None:
        super().__init__(model, options or EngineOptions())
        self.name = parse_model(model)
        self._layout = layout
        self._loaded: _Loaded | None = None
        self.evaluated_tokens = 0
        self._token_seconds: float | None = None
        self._parked = Parked()

    async def __aenter__(self) -> Self:
        self._loaded = await asyncio.to_thread(self._load)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            await asyncio.to_thread(loaded.exit.close)

    @property
    def concurrency(self) -> int:
        if self._loaded is not None:
            return len(self._loaded.lanes)
        return self.options.concurrency or 1

    def facts(self) -> EngineFacts:
        loaded = self._loaded
        if loaded is None:
            return EngineFacts(model=self.model, engine="llamacpp")
        header, adapter = loaded.header, self.options.adapter
        library = import_xllamacpp()
        return EngineFacts(
            model=self.model,
            engine="llamacpp",
            architecture=header.architecture,
            parameters_total=header.parameters_total,
            parameters_active=header.parameters_active,
            bits=header.bits,
            file_bytes=header.file_bytes,
            context_length=loaded.layout.context,
            source=loaded.path.name,
            source_hash=loaded.source_hash,
            device=loaded.device,
            template_system=loaded.template.injected_system,
            replayable=loaded.layout.replayable,
            ablation=self.name.ablation_label,
            adapter=f"{adapter.name} {sha256_of(adapter)}" if adapter else None,
            versions={
                "holdtrue": __version__,
                "xllamacpp": library.__version__,
                "llama.cpp": build_of(library),
            },
            notes=loaded.template.notes,
            settings=loaded.layout.as_dict(),
        )

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Reply:
        loaded = self._loaded
        if loaded is None:
            raise EngineError("the engine is not open")
        check_messages(messages)
        async with loaded.free:
            lane = choose_lane(messages, loaded.lanes)
            lane.busy = True
            stop = threading.Event() if self._is_long(sampling) else None
            started = time.monotonic()
            work = asyncio.get_running_loop().run_in_executor(
                loaded.pool, self._ask, lane, tuple(messages), sampling, seed, stop
            )
            try:
                completion = await asyncio.shield(work)
            except asyncio.CancelledError:
                if stop is not None:
                    stop.set()
                await asyncio.gather(work, return_exceptions=True)
                raise
            finally:
                lane.busy = False
                lane.used = time.monotonic()
            seconds = time.monotonic() - started
            self.evaluated_tokens += completion.evaluated or 0
            self._token_seconds = seconds / (completion.completion_tokens or 1)
            return Reply(
                text=completion.text,
                stop_reason=completion.stop_reason,
                prompt_tokens=completion.prompt_tokens,
                completion_tokens=completion.completion_tokens,
                seconds=seconds,
            )

    def _is_long(self, sampling: Sampling) -> bool:
        """Whether a reply may take so long that a stopped run should not wait for its end."""
        if self._token_seconds is None:
            return True
        return self._token_seconds * sampling.max_tokens > PATIENCE_SECONDS

    def _ask(
        self,
        lane: Lane,
        messages: tuple[Message, ...],
        sampling: Sampling,
        seed: int,
        stop: threading.Event | None,
    ) -> Completion:
        loaded = self._loaded
        if loaded is None:
            raise EngineError("the engine is not open")
        shown = messages
        if loaded.template.folds is not None:
            shown = tuple(fold_systems(messages, keep_first=loaded.template.folds == "later"))
        asked = Asked(shown, sampling, seed)
        before = self._recall(lane, messages, stop)
        try:
            completion = self._answer(lane, asked, before, stop)
            text = spoken(completion.text).strip()
            if not text:
                raise GenerationError("the model gave an empty reply")
        except GenerationError:
            lane.primed = ()
            self._parked.park(before)  # a second try goes on from the same state
            raise
        lane.held = before.after(messages, text, asked)
        return Completion(
            text,
            completion.stop_reason,
            completion.prompt_tokens,
            completion.completion_tokens,
            completion.evaluated,
        )

    def _recall(
        self, lane: Lane, messages: Sequence[Message], stop: threading.Event | None
    ) -> Conversation:
        """What the lane has evaluated of this conversation, brought back where it was lost.

        Afterwards the lane counts as empty, until the reply is there.
        """
        held, lane.held = lane.held, Conversation()
        if held.leads_to(messages):
            return held
        if not self._replays:
            return Conversation()
        self._parked.park(held)
        found = self._parked.take(messages)
        done = Conversation()
        for earlier in found.asked:
            self._answer(lane, earlier, done, stop)
            done = Conversation(asked=(*done.asked, earlier))
        return found

    def _answer(
        self, lane: Lane, asked: Asked, before: Conversation, stop: threading.Event | None
    ) -> Completion:
        primed = 0
        reuse = bool(before.asked) or not self._replays
        if not reuse:
            reuse, primed = self._prime(lane, asked)
        completion = lane.server.ask(
            asked.messages,
            asked.sampling,
            seed=asked.seed,
            slot=lane.slot,
            reuse=reuse,
            stop=stop,
        )
        return replace(completion, evaluated=(completion.evaluated or 0) + primed)

    def _prime(self, lane: Lane, asked: Asked) -> tuple[bool, int]:
        """Bring a slot into the state in which every session with this opening begins.

        A short question of our own after the same system message makes llama.cpp cut its cache
        back to that message, whatever the slot held after it; the message itself is evaluated
        once, always in the same pieces, so that a session's text does not depend on which
        sessions its slot had before. Tells whether to go on from there, and the tokens evaluated.
        """
        opening, known = asked.messages[:1], lane.primed
        lane.primed = ()
        if self._loaded is None or not self._loaded.header.keeps_prefixes:
            return False, 0
        if opening[0].role is not Role.SYSTEM:
            return False, 0
        done = lane.server.ask(
            (*opening, PRIMER),
            asked.sampling.model_copy(update={"max_tokens": 1}),
            seed=0,
            slot=lane.slot,
            reuse=known == opening,
            stop=None,
        )
        lane.primed = opening
        return True, done.evaluated or 0

    @property
    def _replays(self) -> bool:
        return self._loaded is not None and self._loaded.layout.replayable

    def _load(self) -> _Loaded:
        path = self._find()
        header = read_header(path)
        _check_speaks(header)
        options = self.options
        if options.adapter is not None:
            told = read_header(options.adapter).metadata.get(ADAPTER_BASE)
            if told is not None:
                check_adapted_base(told, _hash_of(header), options.adapter)
        with contextlib.ExitStack() as stack:
            if options.log_path is not None:
                stack.enter_context(native_log(options.log_path))
            library = import_xllamacpp()
            accelerated = options.device != "cpu" and has_accelerator(library)
            layout = self._layout or plan_layout(
                options,
                header,
                cores=usable_cores(),
                available=memory.available(),
                on_accelerator=accelerated,
            )
            if not accelerated:
                _check_fits(self.model, header, options, layout)
            servers = [
                NativeServer(
                    path,
                    layout,
                    adapter=options.adapter,
                    on_accelerator=accelerated,
                    log_path=options.log_path,
                )
                for _ in range(layout.servers)
            ]
            with memory.LoadMeter() as meter:
                for server in servers:
                    stack.callback(server.free)
                    server.load()
            self.load = meter.figures
            template = inspect_template(servers[0].render, header.chat_template or "")
            pool = ThreadPoolExecutor(layout.lanes, thread_name_prefix="llamacpp")
            stack.callback(pool.shutdown)
            lanes = [Lane(server, slot) for slot in range(layout.slots) for server in servers]
            return _Loaded(
                path=path,
                header=header,
                layout=layout,
                lanes=lanes,
                template=template,
                pool=pool,
                free=asyncio.Semaphore(len(lanes)),
                device="gpu" if accelerated else "cpu",
                source_hash=_hash_of(header),
                exit=stack.pop_all(),
            )

    def _find(self) -> Path:
        """The file to load: of the catalog, or named; made smaller where the name asks for it."""
        base = self.name.base
        if base.startswith("gguf:"):
            path = Path(base.removeprefix("gguf:")).expanduser()
        else:
            path = fetch(catalog.find(base).name, offline=self.options.offline)
        if not self.name.ablation:
            return path
        from holdtrue.engines.ablation import ablated_file

        return ablated_file(
            path, layers=self.name.ablation.get("layers"), bits=self.name.ablation.get("bits")
        )


def _check_speaks(header: GgufHeader) -> None:
    """Raises EngineError for a file that holds no language model that can chat."""
    where = str(header.path)
    if header.metadata.get("general.type", "model") != "model" or not header.tensors:
        raise EngineError("this GGUF file holds no model", where=where)
    if header.chat_template is None:
        raise EngineError(
            "this model has no chat template, so nobody knows how to talk to it",
            where=where,
            remedy="Use the instruction-tuned version of the model. (llama.cpp would quietly use "
            "another model's template.)",
        )


def _check_fits(model: str, header: GgufHeader, options: EngineOptions, layout: Layout) -> None:
    """Raises EngineError for a model that would not fit into the memory that is free."""
    guess = judge(
        model, "llamacpp", gguf_shape(header), options, context=layout.context, lanes=layout.lanes
    )
    if guess.fits is False:
        raise EngineError(
            f"the model needs about {(guess.memory_bytes or 0) / 1e9:.1f} GB of memory, "
            f"{guess.available_bytes / 1e9:.1f} GB are free",
            where=str(header.path),
            remedy="What would fit: " + "; ".join(guess.advice or ("a smaller model",)) + ".",
        )


def _hash_of(header: GgufHeader) -> str:
    """sha256 of the file; of the shards' hashes, one a line, where there are several."""
    if not header.shards:
        return sha256_of(header.path)
    import hashlib

    listed = "\n".join(sha256_of(shard) for shard in header.shards)
    return hashlib.sha256(listed.encode()).hexdigest()
