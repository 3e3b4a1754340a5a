"""One forward pass of a transformers model over rows of a SlotCache.

Builds positions and masks itself, so that rows of different lengths share a pass. ``matches``
tries a model out against its own plain forward pass: what does not agree is not run this way.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from holdtrue.engines.hf_slots import SlotCache
from holdtrue.errors import EngineError

KNOWN_LAYERS = frozenset({"full_attention", "sliding_attention"})
SPAN_STEP = 32
TOLERANCE = 1e-3
LEAST_COSINE = 0.98


class Forward:
    """A model's pass over rows. ``model`` is a causal model of transformers, in eval mode.

    ``context`` bounds a row's tokens.
    """

    def __init__(self, model: Any, context: int) -> None:
        self.model = model
        self.context = context
        self.text_config = model.config.get_text_config()
        parameters = inspect.signature(model.forward).parameters
        self.keeps_last = "logits_to_keep" in parameters
        # transformers 5.24 renamed it for some models
        self.cache_name = "cache" if "cache" in parameters else "past_key_values"
        kinds = set(getattr(self.text_config, "layer_types", None) or ["full_attention"])
        self.window = getattr(self.text_config, "sliding_window", None)
        self.kinds = kinds
        self.by_kind = "sliding_attention" in kinds

    @property
    def why_not(self) -> str | None:
        """Why the model cannot be run over rows, as its configuration shows; None if it can."""
        if not self.kinds <= KNOWN_LAYERS:
            return f"layers of kind {', '.join(sorted(self.kinds - KNOWN_LAYERS))}"
        if getattr(self.model, "_is_stateful", False):
            return "recurrent state"
        implementation = getattr(self.text_config, "_attn_implementation", None)
        if implementation not in ("sdpa", "eager"):
            return f"attention by {implementation}"
        if not self.by_kind and self.window and self.window < self.context:
            return "a sliding window that its layers do not name"
        return None

    def run(self, cache: SlotCache, rows: Sequence[int], pieces: Sequence[Sequence[int]]) -> Any:
        """Logits after the last token of each piece (rows × vocabulary, a torch tensor).

        ``pieces[i]`` are the tokens that follow what row ``rows[i]`` holds; an empty piece keeps
        its row still, and its logits mean nothing. The rows' tokens are not changed.
        """
        import torch

        width = max(len(piece) for piece in pieces)
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        positions = torch.zeros_like(ids)
        places = torch.full_like(ids, cache.trash())
        span = 1
        for index, (row, piece) in enumerate(zip(rows, pieces, strict=True)):
            if not piece:
                continue
            held = len(cache.rows[row].tokens)
            start = width - len(piece)
            ids[index, start:] = torch.tensor(piece, dtype=torch.long)
            positions[index, start:] = torch.arange(held, held + len(piece))
            places[index, start:] = positions[index, start:]
            span = max(span, held + len(piece))
        span = min(-(-span // SPAN_STEP) * SPAN_STEP, cache.limit)
        cache.place(rows, places, span)
        with torch.inference_mode():
            return self._call(ids, positions, span, cache)

    def _call(self, ids: Any, positions: Any, span: int, cache: SlotCache) -> Any:
        device = self.model.get_input_embeddings().weight.device
        given: dict[str, Any] = {self.cache_name: cache}
        if self.keeps_last:
            given["logits_to_keep"] = 1
        output = self.model(
            input_ids=ids.to(device),
            attention_mask=self._masks(positions.to(device), span),
            position_ids=positions.to(device),
            use_cache=True,
            return_dict=True,
            **given,
        )
        return output.logits[:, -1]

    def _masks(self, positions: Any, span: int) -> Any:
        import torch

        keys = torch.arange(span, device=positions.device)
        seen = keys[None, None, None, :] <= positions[:, None, :, None]
        if not self.by_kind:
            return self._as_mask(seen)
        near = keys[None, None, None, :] > positions[:, None, :, None] - (self.window or span)
        masks = {"full_attention": seen, "sliding_attention": seen & near}
        return {kind: self._as_mask(mask) for kind, mask in masks.items()}

    def _as_mask(self, allowed: Any) -> Any:
        import torch

        if self.text_config._attn_implementation == "sdpa":
            return allowed
        dtype = self.model.dtype
        blocked = torch.finfo(dtype).min
        return torch.zeros_like(allowed, dtype=dtype).masked_fill(~allowed, blocked)

    def matches(self, tokens: Sequence[int]) -> str | None:
        """Why rows of a SlotCache give other logits than a plain pass does; None if they agree.

        ``tokens`` (24 or more) are evaluated in pieces, in two rows, with a copied prefix.
        """
        import torch

        if self.why_not:
            return self.why_not
        long, short = list(tokens), list(tokens[: len(tokens) // 2])
        cache = SlotCache(3, len(long) + 8)
        try:
            first, second = long[:-9], short[:-1]
            self.run(cache, [0, 1], [first, second])
            cache.rows[0].tokens, cache.rows[1].tokens = list(first), list(second)
            cache.copy_prefix(0, 2, len(first))
            self.run(cache, [2], [long[-9:-1]])
            cache.rows[2].tokens += long[-9:-1]
            last = self.run(cache, [0, 1, 2], [[], short[-1:], long[-1:]])
            with torch.inference_mode():
                device = self.model.get_input_embeddings().weight.device
                for row, whole in ((1, short), (2, long)):
                    ids = torch.tensor([whole], device=device)
                    plain = self.model(input_ids=ids, use_cache=False).logits[0, -1]
                    if not _agree(last[row].float(), plain.float(), self.model.dtype):
                        return "its logits differ from those of a plain pass"
        except Exception as error:
            return f"it fails that way ({type(error).__name__})"
        return None

    @staticmethod
    def explain(error: Exception) -> EngineError:
        """An error of a pass in the user's words."""
        said = " ".join(str(error).split())[:200]
        if "out of memory" in said.lower() or isinstance(error, MemoryError):
            return EngineError(
                "the memory is used up",
                remedy="Use a lower concurrency, a smaller context, or fewer bits.",
            )
        return EngineError(f"the model failed ({type(error).__name__}: {said})")


def _agree(left: Any, right: Any, dtype: Any) -> bool:
    """Whether two logit vectors are equal up to the arithmetic of ``dtype``."""
    import torch

    if not bool(torch.isfinite(left).all()):
        return False
    if dtype == torch.float32:
        scale = float(right.abs().max()) + 1e-6
        return float((left - right).abs().max()) <= TOLERANCE * max(1.0, scale)
    cosine = torch.nn.functional.cosine_similarity(left, right, dim=0)
    return float(cosine) >= LEAST_COSINE
