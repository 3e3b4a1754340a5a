"""Hugging Face models in this process: folders and repositories of safetensors, or GGUF files.

Speaks through the model's own chat template, batches conversations over one key-value cache
(``hf_batching.py``; ``hf_turns.py`` where a model does not allow it) and draws with one generator
a reply. Nothing is trained here, and no picture or sound is taken in.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Self

from holdtrue import __version__
from holdtrue.engines import hf_quant, memory
from holdtrue.engines.base import Engine, EngineFacts, EngineOptions, Reply
from holdtrue.engines.checks import check_messages
from holdtrue.engines.hf_forward import Forward
from holdtrue.engines.hf_loading import LoadedModel, import_torch, load_model
from holdtrue.engines.hf_log import quiet
from holdtrue.engines.hf_prompt import Prompter
from holdtrue.engines.hf_requests import Batcher, Ending
from holdtrue.engines.hf_source import find_source, weight_files
from holdtrue.engines.llamacpp_layout import usable_cores
from holdtrue.engines.modelname import parse_model
from holdtrue.engines.thinking import spoken
from holdtrue.errors import ConfigError, EngineError, GenerationError
from holdtrue.messages import Message
from holdtrue.protocol import Sampling

CONTEXT = 4_096
ROWS_ON_CPU = 8
ROWS_ON_ACCELERATOR = 16
PROBE_TEXT = (
    "The ferry leaves at seven, and the harbour is quiet until noon. A child counts the gulls on "
    "the wall; there are nine of them, or ten, for one will not sit still."
)
PROBE_TOKENS = 32


@dataclass(slots=True)
class _Open:
    """Everything that exists only while the model is loaded."""

    loaded: LoadedModel
    prompter: Prompter
    batcher: Batcher
    facts: EngineFacts
    exit: contextlib.ExitStack


class TransformersEngine(Engine):
    """``hf:FOLDER``, ``hf:OWNER/REPOSITORY``, ``hf:FILE.gguf``, or a GGUF model with an adapter.

    One conversation at a time, or ``reproducible``, evaluates every prompt from its beginning and
    alone: equal seeds then give equal text, on one machine with one number of threads.
    Raises EngineError on entering, with what is wrong and the remedy.
    """

    def __init__(self, model: str, options: EngineOptions | None = None) -> None:
        super().__init__(model, options or EngineOptions())
        self._open: _Open | None = None

    async def __aenter__(self) -> Self:
        self._open = await asyncio.to_thread(self._load)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            await asyncio.to_thread(opened.exit.close)
            del opened
            _free()

    @property
    def concurrency(self) -> int:
        if self.options.concurrency:
            return self.options.concurrency
        on_cpu = self._open is None or self._open.facts.device == "cpu"
        return ROWS_ON_CPU if on_cpu else ROWS_ON_ACCELERATOR

    @property
    def evaluated_tokens(self) -> int:
        """Prompt tokens that no cache held, so far."""
        return self._open.batcher.evaluated_tokens if self._open else 0

    def facts(self) -> EngineFacts:
        if self._open is None:
            return EngineFacts(model=self.model, engine="transformers")
        return self._open.facts

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Reply:
        """One reply. Raises GenerationError: an empty reply, a prompt beyond the context."""
        if self._open is None:
            raise EngineError("the engine is not open")
        check_messages(messages)
        started = time.monotonic()
        opened = self._open
        tokens = await asyncio.to_thread(opened.prompter.tokens, messages)
        generated = await opened.batcher.ask(tokens, sampling, seed)
        text = opened.prompter.text(generated.tokens)
        for stop in opened.prompter.stops:
            text = text.split(stop, 1)[0]
        text = spoken(text).strip()
        if not text:
            raise GenerationError("the model gave an empty reply")
        return Reply(
            text=text,
            stop_reason=generated.stop_reason,
            prompt_tokens=len(tokens),
            completion_tokens=len(generated.tokens),
            seconds=time.monotonic() - started,
        )

    def _load(self) -> _Open:
        source = find_source(self.model, self.options)
        torch = import_torch()
        if self.options.threads:
            torch.set_num_threads(self.options.threads)
        elif torch.get_num_threads() > usable_cores():
            torch.set_num_threads(usable_cores())
        with contextlib.ExitStack() as stack:
            stack.enter_context(quiet(self.options.log_path))
            with memory.LoadMeter() as meter:
                loaded = load_model(source, self.options)
            self.load = meter.figures
            plain = self.options.plain_template
            prompter = Prompter(loaded.tokenizer, where=source.where, plain=plain)
            batcher = self._batcher(loaded, prompter)
            stack.callback(batcher.close)
            facts = self._facts(loaded, prompter, batcher)
            return _Open(loaded, prompter, batcher, facts, stack.pop_all())

    def _batcher(self, loaded: LoadedModel, prompter: Prompter) -> Batcher:
        from holdtrue.engines.hf_batching import SlotBatcher
        from holdtrue.engines.hf_turns import TurnBatcher

        ending = Ending(_ends(loaded), prompter.stops, self._context(loaded), prompter.text)
        forward = Forward(loaded.model, ending.context)
        probe = loaded.tokenizer(PROBE_TEXT, add_special_tokens=False)["input_ids"][:PROBE_TOKENS]
        replay = self._is_alone
        if why := forward.matches([int(token) for token in probe]):
            loaded.notes.append(f"batched per turn, without reuse of the cache: {why}")
            return TurnBatcher(forward, ending, rows=self.concurrency, replay=replay)
        return SlotBatcher(forward, ending, rows=self.concurrency, replay=replay)

    @property
    def _is_alone(self) -> bool:
        """Whether every prompt is to be run from its beginning and by itself."""
        return self.options.reproducible or self.options.concurrency == 1

    def _context(self, loaded: LoadedModel) -> int:
        trained = getattr(loaded.text_config, "max_position_embeddings", None)
        asked = self.options.context_length
        if asked and trained and asked > trained:
            raise ConfigError(
                f"a context of {asked} tokens is asked for, and the model was made for {trained}"
            )
        return min(asked or CONTEXT, trained or asked or CONTEXT)

    def _facts(self, loaded: LoadedModel, prompter: Prompter, batcher: Batcher) -> EngineFacts:
        torch = import_torch()
        model = loaded.model
        count, held = hf_quant.weight_figures(model)
        device = model.get_input_embeddings().weight.device.type
        files = weight_files(loaded.source)
        adapter = self.options.adapter
        notes = [*prompter.facts.notes, *loaded.notes]
        if loaded.left_out:
            notes.append(f"not loaded, since text does not need it: {', '.join(loaded.left_out)}")
        return EngineFacts(
            model=self.model,
            engine="transformers",
            architecture=str(model.config.model_type),
            parameters_total=count,
            parameters_active=active_parameters(model, count),
            bits=round(8 * held / count, 3) if count else None,
            file_bytes=sum(file.stat().st_size for file in files) if files else None,
            context_length=batcher.ending.context,
            source=files[0].name if loaded.source.gguf else loaded.source.where.rsplit("/", 1)[-1],
            source_hash=loaded.source_hash,
            device=device,
            template_system=prompter.facts.injected_system,
            replayable=self._is_alone and device == "cpu",
            ablation=parse_model(self.model).ablation_label,
            adapter=f"{adapter.name} {loaded.adapter_hash}" if adapter else None,
            versions={"holdtrue": __version__, **_versions("torch", "transformers", "peft")},
            notes=tuple(notes),
            settings={
                "batching": batcher.name,
                "concurrency": self.concurrency,
                "threads": torch.get_num_threads(),
                "dtype": str(model.dtype).removeprefix("torch."),
                "attention": str(loaded.text_config._attn_implementation),
                "replayable": self._is_alone and device == "cpu",
            },
        )


def active_parameters(model: Any, total: int) -> int | None:
    """Weights that one token uses: all, less the experts that are not chosen."""
    text = model.config.get_text_config()
    if not hf_quant.is_mixture(model.config):
        return total
    experts = next(
        (
            getattr(text, name)
            for name in ("num_experts", "num_local_experts", "n_routed_experts")
            if getattr(text, name, None)
        ),
        None,
    )
    chosen = getattr(text, "num_experts_per_tok", None)
    if not experts or not chosen:
        return None
    routed = sum(
        hf_quant.stands_for(module, parameter)
        for name, module in model.named_modules()
        if ".experts" in f".{name}"
        for parameter in module.parameters(recurse=False)
    )
    return int(total - routed + routed * chosen / experts) if routed else None


def _ends(loaded: LoadedModel) -> frozenset[int]:
    """Every token that ends a reply, by the generation config, the config and the tokenizer."""
    found: set[Any] = set()
    for holder in (loaded.model.generation_config, loaded.model.config, loaded.text_config):
        given = getattr(holder, "eos_token_id", None)
        found |= set(given) if isinstance(given, list | tuple) else {given}
    found.add(loaded.tokenizer.eos_token_id)
    return frozenset(int(token) for token in found if isinstance(token, int) and token >= 0)


def _versions(*names: str) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _free() -> None:
    """Give memory back now: a ladder loads the next model in the same process."""
    gc.collect()
    torch = import_torch()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
