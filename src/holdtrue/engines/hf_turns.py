"""Batching per turn with transformers' own ``generate``, for models that keep more than keys.

Prompts that arrive together are answered together, each with its own seed and limit; the batch
ends with its longest reply. Nothing is reused between turns. Slower than ``hf_batching.py``.
"""

from __future__ import annotations

import queue
import threading
from typing import Any

from holdtrue.engines.hf_forward import Forward
from holdtrue.engines.hf_requests import Batcher, Ending, Request
from holdtrue.engines.hf_sampling import choose
from holdtrue.errors import EngineError, GenerationError

GATHER_SECONDS = 0.02


class TurnBatcher(Batcher):
    """``rows`` is the largest batch; ``replay`` answers every prompt alone."""

    name = "per turn"

    def __init__(
        self, forward: Forward, ending: Ending, *, rows: int, replay: bool = False
    ) -> None:
        super().__init__(forward, ending)
        self.rows = 1 if replay else rows
        self.is_closed = False
        self._waiting: queue.Queue[Request | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="hf-turns", daemon=True)
        self._thread.start()

    def _put(self, request: Request) -> None:
        if self.is_closed:
            raise EngineError("the engine is not open")
        self._waiting.put(request)

    def close(self) -> None:
        self.is_closed = True
        self._waiting.put(None)
        self._thread.join()
        while not self._waiting.empty():
            if request := self._waiting.get_nowait():
                request.fail(GenerationError("the engine was closed"))

    def _run(self) -> None:
        while not self.is_closed:
            batch = self._gather()
            if not batch:
                continue
            try:
                self._answer(batch)
            except Exception as error:
                fault = self.forward.explain(error)
                for request in batch:
                    request.fail(GenerationError(fault.message, remedy=fault.remedy))

    def _gather(self) -> list[Request]:
        """The first prompt to come, and those that come within a few milliseconds."""
        batch: list[Request] = []
        timeout: float | None = None
        while len(batch) < self.rows:
            try:
                request = self._waiting.get(timeout=timeout)
            except queue.Empty:
                break
            if request is None:
                break
            if not request.future.cancelled():
                batch.append(request)
            timeout = GATHER_SECONDS
        return batch

    def _answer(self, batch: list[Request]) -> None:
        import torch
        from transformers import GenerationConfig

        model = self.forward.model
        device = model.get_input_embeddings().weight.device
        width = max(len(request.tokens) for request in batch)
        ids = torch.zeros((len(batch), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, request in enumerate(batch):
            ids[row, width - len(request.tokens) :] = torch.tensor(request.tokens)
            mask[row, width - len(request.tokens) :] = 1
            request.evaluated = len(request.tokens)
            self.evaluated_tokens += request.evaluated
        watch = _Watch(self, batch)
        with torch.inference_mode():
            model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                generation_config=GenerationConfig(
                    do_sample=False,
                    max_new_tokens=max(request.draw.sampling.max_tokens for request in batch),
                    pad_token_id=min(self.ending.tokens, default=0),
                ),
                logits_processor=[watch.draw],
                stopping_criteria=[watch.stop],
            )
        for request in batch:
            request.fail(GenerationError("the model ended without a reply"))


class _Watch:
    """Draws each row's tokens with the row's generator, and ends rows one by one."""

    def __init__(self, batcher: TurnBatcher, batch: list[Request]) -> None:
        self.batcher = batcher
        self.batch = batch
        self.over = [False] * len(batch)

    def draw(self, _ids: Any, scores: Any) -> Any:
        """Scores that leave one token a row: the one drawn."""
        import torch

        forced = torch.full_like(scores, -torch.inf)
        tokens = choose(scores, [request.draw for request in self.batch])
        for row, token in enumerate(tokens):
            forced[row, token or 0] = 0
            if not self.over[row]:
                self.over[row] = self.batch[row].take(token, self.batcher.ending)
        return forced

    def stop(self, ids: Any, _scores: Any, **_: Any) -> Any:
        """Which rows are over (all of them, once the batcher is closed)."""
        import torch

        closed = self.batcher.is_closed
        return torch.tensor([over or closed for over in self.over], device=ids.device)
