"""Train: a LoRA adapter on the persona's own tokens, in one flat loop that can be resumed exactly.

One example at a time goes through the model and gradients add up over a batch, so that nothing is
padded and the mask is exact. The order follows from the seed alone. The base model on disk is
only read. Whether training helped is not said here: that is what a cycle tests.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from holdtrue.engines.base import EngineOptions
from holdtrue.errors import ConfigError, EngineError
from holdtrue.sleep import checkpoints
from holdtrue.sleep.dataset import Dataset, Pair
from holdtrue.sleep.manifest import Manifest, new_manifest, write_adapter
from holdtrue.sleep.masks import Encoded, Encoder
from holdtrue.sleep.weights import Base, explained, load_base, quietly
from holdtrue.tomlfile import StrictModel

Loader = Callable[[str, EngineOptions | None], Base]
OnStep = Callable[[int, int, float], None]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=1, le=1_000_000)]

KEPT_WHOLE = 256
"""Tokens up to which an example's inner values are kept for the gradient; those of a longer one
are computed again, layer by layer. SmolLM2-135M keeps 2.4 MB a token."""


class TrainSettings(StrictModel):
    """How an adapter is trained. ``batch`` is examples a step, ``max_tokens`` an example's most.

    ``objective`` sft learns the replies, dpo (Rafailov and others, 2023) prefers chosen to
    rejected ones with strength ``beta``. ``warmup`` is the share of steps until the full rate.
    """

    objective: Literal["sft", "dpo"] = "sft"
    epochs: Number = 3
    batch: Number = 4
    learning_rate: Positive = 5e-4
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1
    rank: Number = 8
    alpha: Positive = 16.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip: Positive = 1.0
    beta: Positive = 0.1
    max_tokens: Number = 1024
    checkpoint_every: Number = 5
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


@dataclass(frozen=True, slots=True)
class Trained:
    """An adapter in its folder, with the losses that led to it.

    ``losses`` is the weighted mean per step; ``held_out`` the mean loss per token on the held-out
    examples by step (0 is the base model).
    """

    folder: Path
    manifest: Manifest
    losses: tuple[float, ...]
    held_out: dict[int, float]
    seconds: float
    skipped: int


def train(
    dataset: Dataset,
    base: str,
    folder: Path,
    settings: TrainSettings,
    *,
    options: EngineOptions | None = None,
    loader: Loader = load_base,
    on_step: OnStep | None = None,
) -> Trained:
    """Train an adapter for ``base`` into ``folder``, from its last checkpoint if there is one.

    Raises ConfigError: nothing to learn, a dataset of another tokenizer, a checkpoint of other
    settings. Raises EngineError: a library missing, memory full, a loss that is no number (the
    last good checkpoint stays).
    """
    _check_not_done(folder)
    if not (dataset.pairs if settings.objective == "dpo" else dataset.train):
        what = "preference pairs" if settings.objective == "dpo" else "examples"
        raise ConfigError(f"the dataset has no {what}", remedy="Curate more transcripts.")
    loaded = loader(base, options)
    check_tokenizer(dataset, loaded)
    with explained(base):
        trainer = Trainer(loaded, dataset, settings, folder)
        return trainer.run(on_step)


def check_tokenizer(dataset: Dataset, base: Base) -> None:
    """Raises ConfigError when the dataset is bound to another tokenizer."""
    bound = dataset.card.tokenizer
    if bound is not None and bound != base.tokenizer_hash:
        raise ConfigError(
            f"the dataset is bound to tokenizer {bound[:12]}; that of {base.name} is "
            f"{base.tokenizer_hash[:12]}",
            remedy="Curate again with --for this model, or without --for.",
        )


class Trainer:
    """Everything of one training: model, optimizer, encoded examples, and how far it is."""

    def __init__(self, base: Base, dataset: Dataset, settings: TrainSettings, folder: Path) -> None:
        import peft
        import torch

        self.base, self.dataset, self.settings, self.folder = base, dataset, settings, folder
        self.encoder = Encoder(base.tokenizer, where=base.name)
        self.items = self._items()
        held = [self._encoded(one.prompt, one.reply) for one in dataset.held_out]
        self.held = [one for one in held if len(one.tokens) <= settings.max_tokens]
        torch.manual_seed(settings.seed)  # the adapter's first weights
        config = peft.LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        with quietly():
            self.model = peft.get_peft_model(base.model, config)
            self.layers = recomputing_layers(base.model)
        self.weights = {
            name: value for name, value in self.model.named_parameters() if value.requires_grad
        }
        self.optimizer = torch.optim.AdamW(self.weights.values(), lr=0.0, weight_decay=0.0)
        self.state = checkpoints.State(identity=self._identity())
        self.reference = self._reference()

    def _identity(self) -> dict[str, str]:
        return {
            "dataset": self.dataset.sha256,
            "base": self.base.source_hash,
            "tokenizer": self.base.tokenizer_hash,
            "settings": self.settings.model_dump_json(),
        }

    def _encoded(self, prompt: Any, reply: str, weight: float = 1.0) -> Encoded:
        return self.encoder.encode(prompt, reply, weight=weight)

    def _items(self) -> list[tuple[Encoded, ...]]:
        """What is learnt: an example, or the chosen and the rejected reply of a pair."""
        if self.settings.objective == "dpo":
            found = [self._pair(pair) for pair in self.dataset.pairs]
        else:
            found = [(self._encoded(e.prompt, e.reply, e.weight),) for e in self.dataset.train]
        most = self.settings.max_tokens
        kept = [item for item in found if all(len(one.tokens) <= most for one in item)]
        self.skipped = len(found) - len(kept)
        if not kept:
            raise ConfigError(
                f"every example is longer than {most} tokens", remedy="Raise --max-tokens."
            )
        return kept

    def _pair(self, pair: Pair) -> tuple[Encoded, ...]:
        both = (pair.chosen[0].content, pair.rejected[0].content)
        return tuple(self._encoded(pair.prompt, reply) for reply in both)

    def _reference(self) -> list[float]:
        """For dpo, how much the base model itself prefers each chosen reply (log odds)."""
        if self.settings.objective != "dpo":
            return []
        import torch

        with torch.no_grad(), self.model.disable_adapter():
            return [float(self._margin(item)) for item in self.items]

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.settings.epochs * math.ceil(len(self.items) / self.settings.batch)

    def run(self, on_step: OnStep | None = None) -> Trained:
        """Train from where the last checkpoint ended, to the end."""
        state = checkpoints.restore(self.folder, self.state, self.weights, self.optimizer)
        self.state = state
        started, before = time.monotonic(), state.seconds
        if 0 not in state.held_out and self.held:
            state.held_out[0] = self._held_loss()
        per_epoch = self.steps // self.settings.epochs
        while state.step < self.steps:
            loss = self._step(state.step)
            state.step += 1
            state.losses.append(loss)
            state.seconds = before + time.monotonic() - started
            if state.step % per_epoch == 0 and self.held:
                state.held_out[state.step] = self._held_loss()
            if state.step % self.settings.checkpoint_every == 0 and state.step < self.steps:
                checkpoints.store(self.folder, state, self.weights, self.optimizer)
            if on_step is not None:
                on_step(state.step, self.steps, loss)
        return self._finished()

    def _step(self, step: int) -> float:
        """One step; its loss. Raises EngineError when the loss or gradient is no number."""
        import torch

        torch.manual_seed(self.settings.seed * 1_000_003 + step)  # dropout, if there is any
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(step)
        places = batch_places(len(self.items), self.settings, step)
        loss = self._backward(places)
        norm = torch.nn.utils.clip_grad_norm_(self.weights.values(), self.settings.clip)
        if not (math.isfinite(loss) and math.isfinite(float(norm))):
            self.optimizer.zero_grad()
            last = checkpoints.latest(self.folder)
            raise EngineError(
                f"the loss of step {step + 1} is not a number: training was stopped",
                where=str(last or self.folder),
                remedy=("The last good checkpoint is kept. " if last else "No checkpoint was due. ")
                + "Try a lower --learning-rate.",
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def _backward(self, places: Sequence[int]) -> float:
        """Add up the gradients of a batch; the mean loss, each token by its example's weight."""
        if self.settings.objective == "dpo":
            total = 0.0
            for place in places:
                loss = self._preference_loss(place) / len(places)
                loss.backward()
                total += float(loss.detach())
            return total
        items = [self.items[place][0] for place in places]
        scale = sum(one.weight * one.learnt for one in items)
        total = 0.0
        for one in items:
            loss = -self._log_probabilities(one).sum() * (one.weight / scale)
            loss.backward()
            total += float(loss.detach())
        return total

    def _preference_loss(self, place: int) -> Any:
        import torch

        margin = self._margin(self.items[place]) - self.reference[place]
        return -torch.nn.functional.logsigmoid(self.settings.beta * margin)

    def _margin(self, item: tuple[Encoded, ...]) -> Any:
        chosen, rejected = item
        return self._log_probabilities(chosen).sum() - self._log_probabilities(rejected).sum()

    def _log_probabilities(self, one: Encoded) -> Any:
        for layer in self.layers:
            layer.gradient_checkpointing = len(one.tokens) > KEPT_WHOLE
        return log_probabilities(self.model, one, self.base.device)

    def _held_loss(self) -> float:
        """Mean loss per learnt token over the held-out examples."""
        import torch

        self.model.eval()
        with torch.no_grad():
            total = sum(-float(self._log_probabilities(one).sum()) for one in self.held)
        return total / sum(one.learnt for one in self.held)

    def _rate(self, step: int) -> float:
        """Linear up over the warm-up, then linear down to a last step that is still above 0."""
        warm = self.settings.warmup * self.steps
        up = (step + 1) / warm if warm >= 1 else 1.0
        down = (self.steps - step) / max(1.0, self.steps - warm)
        return self.settings.learning_rate * min(1.0, up, down)

    def _finished(self) -> Trained:
        manifest = new_manifest(
            self.base, self.dataset, self.settings.model_dump(), tuple(self.state.losses),
            self.state.held_out, seconds=self.state.seconds, skipped=self.skipped,
        )  # fmt: skip
        final = write_adapter(self.folder, self.model, manifest)
        checkpoints.forget(self.folder)
        return Trained(
            self.folder,
            final,
            tuple(self.state.losses),
            dict(self.state.held_out),
            self.state.seconds,
            self.skipped,
        )


def recomputing_layers(model: Any) -> list[Any]:
    """The layers that can compute their inner values again in place of keeping them for the
    gradient, made ready to; none where the model has no such layers."""
    if not getattr(model, "supports_gradient_checkpointing", False):
        return []
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return [one for one in model.modules() if getattr(one, "gradient_checkpointing", False)]


def log_probabilities(model: Any, one: Encoded, device: str = "cpu") -> Any:
    """Log probability of every learnt token, shape (learnt,), in nats."""
    import torch

    tokens = torch.tensor([one.tokens], device=device)
    # Only the positions before learnt tokens are turned into logits, which saves most memory.
    logits = model(input_ids=tokens, logits_to_keep=one.learnt + 1).logits[0, -one.learnt - 1 : -1]
    chosen = tokens[0, -one.learnt :].unsqueeze(1)
    return torch.log_softmax(logits.float(), dim=-1).gather(1, chosen).squeeze(1)


def batch_places(count: int, settings: TrainSettings, step: int) -> list[int]:
    """The examples of a step: each epoch a new permutation that follows from the seed alone."""
    per_epoch = math.ceil(count / settings.batch)
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng([settings.seed, epoch]).permutation(count)
    return [int(one) for one in order[place * settings.batch : (place + 1) * settings.batch]]


def _check_not_done(folder: Path) -> None:
    if (folder / "manifest.json").exists():
        raise ConfigError(
            "a finished adapter is here already",
            where=str(folder),
            remedy="Name another --out, or remove this folder.",
        )
