"""Ablated copies of a GGUF file: fewer layers, fewer bits, from one checkpoint.

For studying capacity where no family of sizes is at hand. An ablated model is not a smaller model:
nothing heals it after the cut, so it marks how much a task leans on what was taken away, and a
trained model of that size will do better. Every copy says what it is in its metadata.

Layers: a contiguous block in the middle is taken out, the first and the last layers stay, as
Gromov et al. (2024, "The Unreasonable Ineffectiveness of the Deeper Layers") and others found the
middle to matter least; measured for the embedded model in docs/ladder.md.

Bits: the matrices of the layers are rounded to 2^bits levels; embeddings, norms, biases, routers
and the output matrix stay as they are. Up to 4 bits each run of 32 weights has its own evenly
spaced levels with a scale and a minimum (16 bits each), fitted to least squared error, stored in
GGUF's Q4_1, which holds them exactly: 1, 2 and 3 bits take the room of 4 on disk and in memory.
5 is Q5_1 and 8 is Q8_0 as llama.cpp defines them. This is not llama.cpp's Q2_K or Q3_K, whose
mixtures round some matrices less. Bits that the file never had do not come back: rounding a 4-bit
file to 8 changes nothing but its size.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from holdtrue.engines.filehash import cache_folder, sha256_of
from holdtrue.engines.gguf_header import read_header
from holdtrue.errors import ConfigError, EngineError

VERSION = 1
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

PLAIN_STACKS = frozenset(
    {
        "exaone",
        "falcon",
        "gemma",
        "gpt2",
        "granite",
        "granitemoe",
        "internlm2",
        "llama",
        "minicpm",
        "olmo",
        "olmo2",
        "olmoe",
        "phi2",
        "phi3",
        "qwen2",
        "qwen2moe",
        "qwen3",
        "qwen3moe",
        "stablelm",
        "starcoder2",
    }
)
"""Architectures whose layers are all alike, so that one may be left out (others alternate)."""

KEY = "holdtrue.ablation"
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Ablation:
    """What an ablated file says of itself.

    ``label`` is ``layers=20,bits=2``, ``base`` the sha256 of the file it was made from, ``kept``
    the base's layers that are left (from 0), ``bits_per_weight`` what the weights would take if
    rounded values were packed tightly, scales included (the file itself may be larger).
    """

    label: str
    base: str
    kept: tuple[int, ...]
    bits_per_weight: float
    note: str


def ablated_file(
    base_path: Path,
    *,
    layers: int | None = None,
    bits: int | None = None,
    cache: Path | None = None,
) -> Path:
    """A copy of the GGUF at ``base_path`` with ``layers`` layers and ``bits`` bits a weight.

    Made once and kept in ``cache`` (the user's cache folder) under the base's hash and what was
    asked. None leaves layers or bits as they are. Raises ConfigError for what cannot be asked of
    this file, naming what can; EngineError when the file cannot be read or the copy not written.
    """
    if layers is None and bits is None:
        raise ConfigError("an ablation changes layers or bits", remedy="Give @layers=N or @bits=N.")
    if bits is not None and bits not in BITS:
        raise ConfigError(
            f"weights cannot be rounded to {bits} bits here",
            remedy=f"Possible: {', '.join(str(number) for number in BITS)}.",
        )
    with _explained(base_path):
        digest = sha256_of(base_path)
    parts = [f"layers{layers}" if layers else "", f"bits{bits}" if bits else ""]
    name = "-".join([base_path.stem[:80], digest[:12], *filter(None, parts), f"v{VERSION}"])
    folder = (cache or cache_folder()) / "ablations"
    path = folder / f"{name}.gguf"
    with _explained(path):
        if path.is_file():
            return path
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                _make(base_path, path, digest, layers, bits)
    return path


def read_ablation(path: Path) -> Ablation | None:
    """What the file at ``path`` says of its making; None for a model that is no ablation of ours.

    Raises EngineError when it is no sound GGUF file.
    """
    metadata = read_header(path).metadata
    label, kept = metadata.get(KEY), metadata.get(f"{KEY}.kept_layers")
    taken = metadata.get(f"{KEY}.bits_per_weight")
    if not isinstance(label, str) or not isinstance(kept, list) or not isinstance(taken, float):
        return None
    return Ablation(
        label=label,
        base=str(metadata.get(f"{KEY}.base_sha256", "")),
        kept=tuple(kept),
        bits_per_weight=taken,
        note=str(metadata.get(f"{KEY}.note", "")),
    )


def kept_layers(total: int, layers: int) -> tuple[int, ...]:
    """The layers (from 0) that stay when ``total`` becomes ``layers``: the middle is cut out.

    The cut lies so that as many layers stay before it as after it, one more after it when odd.
    Raises ConfigError unless 1 <= layers < total.
    """
    if not 1 <= layers < total:
        raise ConfigError(
            f"the model has {total} layers, so @layers={layers} takes none away"
            if layers >= total
            else f"@layers={layers} leaves no layer",
            remedy=f"Possible: 1 to {total - 1}." if total > 1 else "It cannot lose one.",
        )
    head = layers // 2
    return (*range(head), *range(total - (layers - head), total))


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


def _pack(values: Floats, bits: int) -> Bytes:
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


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor of the copy: the source it comes from, its new name, and whether it is rounded."""

    source: Any
    name: str
    rounded: bool


def _make(base: Path, path: Path, digest: str, layers: int | None, bits: int | None) -> None:
    """Write the copy beside ``path``, then put it in place in one step."""
    from gguf import GGUFWriter

    reader = _open(base)
    architecture = str(reader.fields["general.architecture"].contents())
    kept = _kept(reader, architecture, layers)
    tensors = list(_tensors(reader, kept, bits))
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".ablation-", suffix=".gguf")
    os.close(handle)
    writer = GGUFWriter(temporary, architecture, endianess=reader.endianess)
    try:
        ablation = _described(reader, base, digest, kept, layers, bits, tensors)
        _write_metadata(writer, reader, architecture, kept, layers, bits, ablation)
        _write_tensors(writer, reader, tensors, bits)
        writer.close()
        os.replace(temporary, path)
    except BaseException:
        with suppress(Exception):
            writer.close()
        Path(temporary).unlink(missing_ok=True)
        raise


def _open(path: Path) -> Any:
    """A reader of the GGUF at ``path``. Raises EngineError when it is none, or one of several."""
    from gguf import GGUFReader

    header = read_header(path)
    if header.architecture is None:
        raise EngineError("the GGUF names no architecture", where=str(path))
    if header.shards:
        raise EngineError(
            "the model is split over several files",
            where=str(path),
            remedy="Join them with llama.cpp's llama-gguf-split --merge.",
        )
    try:
        return GGUFReader(path)
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise EngineError(f"not a readable GGUF file: {error}", where=str(path)) from None


def _kept(reader: Any, architecture: str, layers: int | None) -> tuple[int, ...]:
    field = reader.fields.get(f"{architecture}.block_count")
    if field is None:
        raise ConfigError(f"a GGUF of architecture {architecture!r} names no layers to ablate")
    total = int(field.contents())
    if layers is None:
        return tuple(range(total))
    if architecture not in PLAIN_STACKS:
        raise ConfigError(
            f"layers of architecture {architecture!r} are not all alike, or not known to be",
            remedy=f"Layers can be taken from: {', '.join(sorted(PLAIN_STACKS))}. "
            "@bits=N works for every architecture.",
        )
    return kept_layers(total, layers)


def _tensors(reader: Any, kept: tuple[int, ...], bits: int | None) -> Iterator[_Tensor]:
    """The tensors of the copy in the base's order, layers numbered anew."""
    place = {old: new for new, old in enumerate(kept)}
    for tensor in reader.tensors:
        name = str(tensor.name)
        match = re.fullmatch(r"blk\.(\d+)\.(.+)", name)
        if match is None:
            yield _Tensor(tensor, name, rounded=False)
        elif (layer := int(match[1])) in place:
            rounded = bits is not None and _is_matrix(tensor, match[2])
            yield _Tensor(tensor, f"blk.{place[layer]}.{match[2]}", rounded)


def _is_matrix(tensor: Any, name: str) -> bool:
    """Whether rounding touches it: a weight matrix of a layer, and no router of experts."""
    shape = [int(size) for size in tensor.shape]
    long_rows = len(shape) >= 2 and shape[0] % BLOCK == 0 and shape[1] > 1
    return long_rows and name.endswith(".weight") and "ffn_gate_inp" not in name


def _described(
    reader: Any,
    base: Path,
    digest: str,
    kept: tuple[int, ...],
    layers: int | None,
    bits: int | None,
    tensors: list[_Tensor],
) -> Ablation:
    label = ",".join(
        f"{key}={value}" for key, value in (("layers", layers), ("bits", bits)) if value is not None
    )
    weights = sum(int(one.source.n_elements) for one in tensors)
    taken = sum(_nominal_bits(one, bits) for one in tensors)
    note = f"Ablation of {base.name}, made by holdtrue; not a trained model of this size."
    if bits is not None:
        kind, room = BITS[bits]
        note += f" Layer matrices rounded to {2**bits} levels ({room:g} bits a weight with scales)"
        note += f", stored as {kind}."
    return Ablation(label, digest, kept, taken / weights, note)


def _nominal_bits(one: _Tensor, bits: int | None) -> float:
    """Bits that a tensor takes when its values are packed tightly, scales included."""
    if one.rounded and bits is not None:
        return BITS[bits][1] * int(one.source.n_elements)
    return 8.0 * int(one.source.n_bytes)


def _write_metadata(
    writer: Any,
    reader: Any,
    architecture: str,
    kept: tuple[int, ...],
    layers: int | None,
    bits: int | None,
    ablation: Ablation,
) -> None:
    """The base's metadata, with what the ablation changes, and what it is."""
    from gguf import GGUFValueType, LlamaFileType

    total = int(reader.fields[f"{architecture}.block_count"].contents())
    for name, field in reader.fields.items():
        if name.startswith(("GGUF.", "split.", KEY)) or name == "general.architecture":
            continue
        value, kind = field.contents(), field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        if name == f"{architecture}.block_count":
            value = len(kept)
        elif name == "general.name":
            value = f"{value} (ablation: {ablation.label})"
        elif name == "general.file_type" and bits is not None:
            value = int(LlamaFileType[f"MOSTLY_{BITS[bits][0]}"])
        elif layers is not None and inner is not None and name.startswith(f"{architecture}."):
            value = [value[layer] for layer in kept] if len(value) == total else value
        if not (inner is not None and len(value) == 0):
            writer.add_key_value(name, value, kind, sub_type=inner)
    writer.add_string(KEY, ablation.label)
    writer.add_string(f"{KEY}.base_sha256", ablation.base)
    writer.add_array(f"{KEY}.kept_layers", list(ablation.kept))
    writer.add_float32(f"{KEY}.bits_per_weight", ablation.bits_per_weight)
    writer.add_string(f"{KEY}.note", ablation.note)


def _write_tensors(writer: Any, reader: Any, tensors: list[_Tensor], bits: int | None) -> None:
    from gguf import GGMLQuantizationType, quant_shape_to_byte_shape

    for one in tensors:
        source = one.source
        if not one.rounded or bits is None:
            writer.add_tensor_info(
                one.name, source.data.shape, source.data.dtype, source.n_bytes, source.tensor_type
            )
            continue
        kind = GGMLQuantizationType[BITS[bits][0]]
        shape = quant_shape_to_byte_shape([int(n) for n in reversed(source.shape)], kind)
        writer.add_tensor_info(one.name, shape, np.dtype(np.uint8), int(np.prod(shape)), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for one in tensors:
        if not one.rounded or bits is None:
            writer.write_tensor_data(one.source.data, tensor_endianess=reader.endianess)
        else:
            writer.write_tensor_data(_rounded(one.source, bits))


def _rounded(tensor: Any, bits: int) -> Bytes:
    """A tensor's weights, rounded, as rows of GGUF bytes; some rows at a time, to spare memory."""
    from gguf import quants

    rows = tensor.data.reshape(-1, tensor.data.shape[-1])
    step = max(1, ROWS_AT_ONCE // int(tensor.shape[0]))
    packed = [
        _pack(quants.dequantize(rows[start : start + step], tensor.tensor_type), bits)
        for start in range(0, len(rows), step)
    ]
    return np.concatenate(packed)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"an ablated model cannot be made: {error.strerror or error}",
            where=str(error.filename or path),
            remedy="Check the file, or free some space, or set HOLDTRUE_CACHE to another folder.",
        ) from None
