"""Drawing the next token of one row from its logits, with the row's own random numbers.

The order is llama.cpp's: top-k, top-p, min-p, and temperature last, so that a protocol's sampling
means the same on the embedded engine and here (transformers' own ``generate`` applies temperature
first). No penalties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdtrue.errors import GenerationError
from holdtrue.protocol import Sampling

SORTED_AT_ONCE = 1_024


@dataclass(slots=True)
class Draw:
    """How one row draws: its sampling, and a generator from its seed (PCG64)."""

    sampling: Sampling
    seed: int
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)


def choose(logits: Any, draws: Sequence[Draw]) -> list[int | None]:
    """The next token of each row of ``logits`` (rows × vocabulary, a torch tensor).

    None for a row whose logits are not all numbers.
    """
    import torch

    vocabulary = logits.shape[-1]
    widest = max(_width(draw.sampling, vocabulary) for draw in draws)
    values, tokens = torch.topk(logits.float(), widest, dim=-1, sorted=True)
    finite = (~torch.isnan(logits).any(dim=-1)).tolist()
    values_np: NDArray[np.float32] = values.cpu().numpy()
    tokens_np: NDArray[np.int64] = tokens.cpu().numpy()
    chosen: list[int | None] = []
    for row, draw in enumerate(draws):
        if not finite[row] or not np.isfinite(values_np[row, 0]):
            chosen.append(None)
            continue
        width = _width(draw.sampling, vocabulary)
        pick = pick_from(values_np[row, :width], draw.sampling, draw.rng)
        chosen.append(int(tokens_np[row, pick]))
    return chosen


def _width(sampling: Sampling, vocabulary: int) -> int:
    """How many of the most likely tokens can be drawn."""
    if sampling.temperature == 0:
        return 1
    return min(sampling.top_k or vocabulary, vocabulary)


def pick_from(logits: NDArray[np.float32], sampling: Sampling, rng: np.random.Generator) -> int:
    """The place drawn from ``logits``, which fall from the first to the last.

    One uniform number is used up whatever the settings, except at temperature 0. Raises
    GenerationError where nothing can be drawn.
    """
    if sampling.temperature == 0:
        return 0
    kept = logits[: kept_count(logits, sampling)].astype(np.float64)
    weights = np.exp((kept - kept[0]) / sampling.temperature)
    cumulative = np.cumsum(weights)
    if not np.isfinite(cumulative[-1]) or cumulative[-1] <= 0:
        raise GenerationError("the model's probabilities do not add up")
    place = int(np.searchsorted(cumulative, rng.uniform() * cumulative[-1], side="right"))
    return min(place, len(kept) - 1)


def kept_count(logits: NDArray[np.float32], sampling: Sampling) -> int:
    """How many of the falling ``logits`` top-k, top-p and min-p leave (at least 1).

    top-p keeps the smallest set whose probabilities reach it; min-p what is at least that share of
    the most likely token's probability.
    """
    count = min(sampling.top_k or len(logits), len(logits))
    relative = np.exp(logits[:count].astype(np.float64) - float(logits[0]))
    if sampling.top_p < 1:
        cumulative = np.cumsum(relative / relative.sum())
        count = int(np.searchsorted(cumulative, sampling.top_p, side="left")) + 1
        count = min(count, len(cumulative))
    if sampling.min_p > 0:
        count = min(count, int(np.count_nonzero(relative[:count] >= sampling.min_p)))
    return max(1, count)
