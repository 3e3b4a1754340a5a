"""Rounding of weights to few levels, for ablated models (see ``ablation``).

Up to 4 bits each run of 32 weights has its own evenly spaced levels with a scale and a minimum (16
bits each), fitted to least squared error, stored in GGUF's Q4_1, which holds them exactly: 1, 2 and
3 bits take the room of 4 on disk and in memory. 5 is Q5_1 and 8 is Q8_0 as llama.cpp defines them.
This is not llama.cpp's Q2_K or Q3_K, whose mixtures round some matrices less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdtrue.errors import ConfigError

BLOCK = 32
ROWS_AT_ONCE = 4_000_000
FITS = 3
BITS: Mapping[int, tuple[str, float]] = {
    1: ("Q4_1", 2.0),
    2: ("Q4_1", 3.0),
    3: ("Q4_1", 4.0),
    4: ("Q4_1", 5.0),
    5: ("Q5_1", 6.0),
    8: ("Q8_0", 8.5),
}
"""Bits of a rounded weight: the GGUF type it is stored in, and bits a weight with its scales."""

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def check_bits(bits: int | None) -> None:
    """Raises ConfigError naming what is possible; None is no rounding."""
    if bits is not None and bits not in BITS:
        raise ConfigError(
            f"weights cannot be rounded to {bits} bits here",
            remedy=f"Possible: {', '.join(str(number) for number in BITS)}.",
        )


def round_blocks(values: Floats, bits: int) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    """Evenly spaced levels for blocks of weights: (n, 32) to scale (n, 1), minimum (n, 1), levels.

    Levels are whole numbers below 2^bits, weights near minimum + scale * level. Starts from the
    block's range and refits scale and minimum to least squared error, FITS times, keeping a fit
    only where it is better. Scale and minimum are already rounded to 16 bits.
    """
    top = np.float32(2**bits - 1)
    low = values.min(axis=1, keepdims=True)
    scale = (values.max(axis=1, keepdims=True) - low) / top
    best = _error(values, scale, low, top)
    mean = values.mean(axis=1, keepdims=True)
    for _ in range(FITS):
        level = _levels(values, scale, low, top)
        centred = level - level.mean(axis=1, keepdims=True)
        spread = np.square(centred).sum(axis=1, keepdims=True)
        slope = (centred * (values - mean)).sum(axis=1, keepdims=True)
        fitted = np.where(spread > 0, slope / np.maximum(spread, 1e-20), scale)
        fitted_low = mean - fitted * level.mean(axis=1, keepdims=True)
        error = _error(values, fitted, fitted_low, top)
        better = (error < best) & (fitted > 0)
        scale, low = np.where(better, fitted, scale), np.where(better, fitted_low, low)
        best = np.minimum(best, error)
    scale, low = (part.astype(np.float16).astype(np.float32) for part in (scale, low))
    return scale, low, _levels(values, scale, low, top).astype(np.uint8)


def _levels(values: Floats, scale: Floats, low: Floats, top: np.float32) -> Floats:
    safe = np.where(scale > 0, scale, np.float32(1))
    result: Floats = np.clip(np.rint((values - low) / safe), 0, top).astype(np.float32)
    return result


def _error(values: Floats, scale: Floats, low: Floats, top: np.float32) -> Floats:
    near = low + scale * _levels(values, scale, low, top)
    result: Floats = np.square(values - near).sum(axis=1, keepdims=True)
    return result


def pack(values: Floats, bits: int) -> Bytes:
    """Rows of weights (r, c) as rows of GGUF bytes, in the type that BITS names."""
    from gguf import GGMLQuantizationType, quants

    kind, _ = BITS[bits]
    if kind != "Q4_1":
        packed: Bytes = quants.quantize(values, GGMLQuantizationType[kind])
        return packed
    scale, low, level = round_blocks(values.reshape(-1, BLOCK), bits)
    halves = level.reshape(-1, 2, BLOCK // 2)
    nibbles = halves[:, 0] | (halves[:, 1] << np.uint8(4))
    scales = (part.astype("<f2").view(np.uint8) for part in (scale, low))
    return np.concatenate([*scales, nibbles], axis=1).reshape(values.shape[0], -1)


def rounded(tensor: Any, bits: int) -> Bytes:
    """A gguf tensor's weights, rounded, as rows of GGUF bytes; taken in pieces, to spare memory."""
    from gguf import quants

    rows = tensor.data.reshape(-1, tensor.data.shape[-1])
    step = max(1, ROWS_AT_ONCE // int(tensor.shape[0]))
    packed = [
        pack(quants.dequantize(rows[start : start + step], tensor.tensor_type), bits)
        for start in range(0, len(rows), step)
    ]
    return np.concatenate(packed)
