"""Lab: what a cycle does to models, apart from deciding: train, test, ask, measure perplexity.

A cycle is handed one, so that its logic can be rehearsed on scripted models.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from holdtrue.capacity import Observer, RunRecord, run_capacity
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.memory import release
from holdtrue.engines.registry import open_engine
from holdtrue.errors import GenerationError
from holdtrue.protocol import Sampling
from holdtrue.runconfig import RunConfig
from holdtrue.runs import Run
from holdtrue.sleep.dataset import Dataset
from holdtrue.sleep.manifest import Manifest, check_base
from holdtrue.sleep.probes import Ask
from holdtrue.sleep.train import OnStep, TrainSettings, train


class Lab(Protocol):
    """What a cycle needs done. ``adapter`` is a folder."""

    def train(
        self, dataset: Dataset, base: str, folder: Path, settings: TrainSettings
    ) -> Manifest: ...

    def test(self, config: RunConfig, run: Run, adapter: Path) -> RunRecord: ...

    def answer(
        self, base: str, adapter: Path, asks: Sequence[Ask], sampling: Sampling
    ) -> list[str | None]: ...

    def perplexity(
        self, base: str, adapters: Mapping[str, Path], texts: Sequence[str]
    ) -> dict[str, float]: ...


class LocalLab:
    """Does it on this machine; ``options`` says how models are opened."""

    def __init__(
        self,
        options: EngineOptions,
        *,
        observer: Observer | None = None,
        on_step: OnStep | None = None,
    ) -> None:
        self.options = options
        self.observer = observer
        self.on_step = on_step

    def train(self, dataset: Dataset, base: str, folder: Path, settings: TrainSettings) -> Manifest:
        manifest = train(
            dataset, base, folder, settings, options=self.options, on_step=self.on_step
        ).manifest
        release()
        return manifest

    def test(self, config: RunConfig, run: Run, adapter: Path) -> RunRecord:
        options = replace(self.options, adapter=adapter, log_path=run.log_path)
        with run.locked():
            return asyncio.run(run_capacity(config, run, options, self.observer))

    def answer(
        self, base: str, adapter: Path, asks: Sequence[Ask], sampling: Sampling
    ) -> list[str | None]:
        return asyncio.run(answer_all(base, replace(self.options, adapter=adapter), asks, sampling))

    def perplexity(
        self, base: str, adapters: Mapping[str, Path], texts: Sequence[str]
    ) -> dict[str, float]:
        return perplexities(base, adapters, texts, self.options)


async def answer_all(
    model: str, options: EngineOptions, asks: Sequence[Ask], sampling: Sampling
) -> list[str | None]:
    """The replies in order; None where a reply failed. Raises EngineError: no model."""
    async with open_engine(model, options) as engine:
        gate = asyncio.Semaphore(engine.concurrency)

        async def one(ask: Ask) -> str | None:
            how = sampling.model_copy(update={"temperature": 0.0}) if ask.greedy else sampling
            async with gate:
                try:
                    return (await engine.generate(ask.messages, how, seed=ask.seed)).text
                except GenerationError:
                    return None

        return list(await asyncio.gather(*(one(ask) for ask in asks)))


def perplexities(
    model: str, adapters: Mapping[str, Path], texts: Sequence[str], options: EngineOptions
) -> dict[str, float]:
    """Perplexity per token over ``texts`` with each adapter on the base, by its name."""
    from holdtrue.sleep.masks import Encoder
    from holdtrue.sleep.weights import explained, load_base, quietly

    base = load_base(model, options)  # says what is missing, and comes before torch
    import torch
    from peft import PeftModel

    encoder = Encoder(base.tokenizer, where=model)
    encoded = [torch.tensor([encoder.plain(text)], device=base.device) for text in texts]
    found: dict[str, float] = {}
    adapted = None
    with explained(model), torch.no_grad():
        for name, folder in adapters.items():
            check_base(folder, base.source_hash, model)
            with quietly():
                if adapted is None:
                    adapted = PeftModel.from_pretrained(base.model, str(folder), adapter_name=name)
                else:
                    adapted.load_adapter(str(folder), adapter_name=name)
            adapted.set_adapter(name)
            adapted.eval()
            total = sum(_loss(adapted, tokens) for tokens in encoded)
            found[name] = math.exp(total / sum(tokens.shape[1] - 1 for tokens in encoded))
    return found


def _loss(model: object, tokens: object) -> float:
    """Summed negative log likelihood of all tokens after the first, in nats."""
    import torch

    logits = model(input_ids=tokens).logits[0, :-1].float()  # type: ignore[operator]
    wanted = tokens[0, 1:]  # type: ignore[index]
    return float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum"))
