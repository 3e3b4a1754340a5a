"""A key-value cache with one row per conversation, and what its rows hold.

A row keeps the tokens of its conversation from turn to turn, so that only what is new is
evaluated; a prefix that another row holds (a shared system prompt) is copied, not computed.
Layers must attend to their whole past or to a sliding window of it; models with recurrent state
do not fit and are batched per turn instead (``hf_turns.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MIN_SHARED = 16
ROOM = 256


@dataclass(slots=True)
class Row:
    """What a row of the cache holds: ``tokens`` in order. ``busy`` while a reply is written."""

    tokens: list[int] = field(default_factory=list)
    busy: bool = False
    used: int = 0


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens two sequences begin with in common."""
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count


class SlotCache:
    """Keys and values of all layers: rows × heads × positions × size, in transformers' terms.

    ``place`` says before each forward pass which rows the batch stands for and where their new
    keys go. Positions beyond a row's tokens hold leftovers that no mask lets through; the last
    position takes what padding produces. Grows up to ``limit`` positions.
    """

    is_compileable = False
    is_sliding = (False,)

    def __init__(self, rows: int, limit: int) -> None:
        self.rows = [Row() for _ in range(rows)]
        self.limit = limit
        self.capacity = min(limit + 1, ROOM)
        self._layers: dict[int, tuple[Any, Any]] = {}
        self._index: dict[Any, tuple[Any, Any]] = {}
        self._batch: Sequence[int] = ()
        self._in_place = False
        self._positions: Any = None
        self._span = 0

    # What transformers' models ask of a cache

    def update(
        self, key_states: Any, value_states: Any, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Any, Any]:
        """Store the new keys and values of a layer, and give the batch's whole past."""
        keys = self._store(layer_idx, 0, key_states)
        values = self._store(layer_idx, 1, value_states)
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Longest past of the batch; masks and positions are given explicitly."""
        del layer_idx
        return self._span

    def get_max_cache_shape(self, layer_idx: int = 0) -> int:
        del layer_idx
        return self.limit

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        del layer_idx, query_length
        return self._span, 0

    def __len__(self) -> int:
        return len(self._layers)

    # What the batcher asks of it

    def place(self, rows: Sequence[int], positions: Any, span: int) -> None:
        """The next pass is for ``rows``, with new keys at ``positions`` (rows × new tokens).

        ``span`` is how much of each row's past takes part. Rows 0, 1, 2 … in order are read
        without copying them.
        """
        self._need(span + 1)
        self._batch = rows
        self._in_place = list(rows) == list(range(len(rows)))
        self._span = span
        self._positions = positions.clamp(max=self.capacity - 1)
        self._index.clear()

    def trash(self) -> int:
        """Where padding goes: a position that no row reaches."""
        return self.limit

    def copy_prefix(self, source: int, target: int, count: int) -> None:
        """Let ``target`` hold the first ``count`` tokens of ``source``."""
        import torch

        with torch.inference_mode():
            for pair in self._layers.values():
                for buffer in pair:
                    buffer[target, :, :count] = buffer[source, :, :count]
        self.rows[target].tokens = self.rows[source].tokens[:count]

    def forget(self) -> None:
        """Drop everything, as after a failed pass whose keys may be half written."""
        self._layers.clear()
        for row in self.rows:
            row.tokens = []

    def _store(self, layer: int, which: int, states: Any) -> Any:
        import torch

        buffer = self._buffer(layer, which, states)
        if states.device not in self._index:
            rows = torch.tensor(self._batch, device=states.device)[:, None]
            self._index[states.device] = rows, self._positions.to(states.device)
        rows, positions = self._index[states.device]
        buffer[rows, :, positions] = states.transpose(1, 2)
        if self._in_place:
            return buffer[: len(self._batch), :, : self._span]
        return buffer[rows[:, 0], :, : self._span]

    def _buffer(self, layer: int, which: int, states: Any) -> Any:
        pair = self._layers.get(layer, (None, None))
        buffer = pair[which]
        if buffer is None or buffer.shape[2] < self.capacity:
            _, heads, _, size = states.shape
            grown = states.new_zeros((len(self.rows), heads, self.capacity, size))
            if buffer is not None:
                grown[:, :, : buffer.shape[2]] = buffer
            buffer = grown
            self._layers[layer] = (buffer, pair[1]) if which == 0 else (pair[0], buffer)
        return buffer

    def _need(self, positions: int) -> None:
        while self.capacity < min(positions, self.limit + 1):
            self.capacity = min(self.capacity * 2, self.limit + 1)


def choose_row(rows: Sequence[Row], tokens: Sequence[int]) -> tuple[int, int] | None:
    """The free row to use for a prompt, and how much of the prompt it already holds.

    The row with the longest common prefix, else the one unused for longest. None when all are
    busy.
    """
    free = [index for index, row in enumerate(rows) if not row.busy]
    if not free:
        return None
    best = max(
        free, key=lambda index: (common_prefix(rows[index].tokens, tokens), -rows[index].used)
    )
    return best, common_prefix(rows[best].tokens, tokens)


def best_source(rows: Sequence[Row], tokens: Sequence[int]) -> tuple[int, int]:
    """The row, busy or not, that holds the most of a prompt's beginning, and how much."""
    lengths = [common_prefix(row.tokens, tokens) for row in rows]
    best = max(range(len(rows)), key=lengths.__getitem__)
    return best, lengths[best]
