"""Ablated copies of a GGUF file: fewer layers, fewer bits, from one checkpoint.

For studying capacity where no family of sizes is at hand. An ablated model is not a smaller model:
nothing heals it after the cut, so it marks how much a task leans on what was taken away, and a
trained model of that size will do better. Every copy says what it is in its metadata.

Layers: a contiguous block in the middle is taken out, the first and the last layers stay, as
Gromov et al. (2024, "The Unreasonable Ineffectiveness of the Deeper Layers") and others found the
middle to matter least; measured for the embedded model in docs/ladder.md.

Bits: the matrices of the layers are rounded to 2^bits levels (see ``rounding``); embeddings, norms,
biases, routers and the output matrix stay as they are. Bits that the file never had do not come
back: rounding a 4-bit file to 8 changes nothing but its size.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from holdtrue.engines.filehash import cache_folder, sha256_of
from holdtrue.engines.gguf_header import GgufHeader, read_header, tensor_bytes
from holdtrue.engines.rounding import BITS, BLOCK, check_bits, rounded
from holdtrue.errors import ConfigError, EngineError

VERSION = 1
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
    check_bits(bits)
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


def planned_size(
    header: GgufHeader, *, layers: int | None = None, bits: int | None = None
) -> tuple[int, float]:
    """Parameters and bits a weight (packed tightly, scales included) that an ablation would have.

    Reads no weights. Raises what ``ablated_file`` would of these numbers.
    """
    check_bits(bits)
    kept = _kept(header, layers)
    weights, taken = 0, 0.0
    for tensor in header.tensors:
        name = _renamed(tensor.name, kept)
        if name is None:
            continue
        rounded = bits is not None and _is_matrix(name, tensor.shape)
        weights += tensor.elements
        if rounded and bits is not None:
            taken += BITS[bits][1] * tensor.elements
        else:
            taken += 8.0 * tensor_bytes(tensor, header.path)
    return weights, taken / weights


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


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor of the copy: the source it comes from, its new name, and whether it is rounded."""

    source: Any
    name: str
    rounded: bool


def _make(base: Path, path: Path, digest: str, layers: int | None, bits: int | None) -> None:
    """Write the copy beside ``path``, then put it in place in one step."""
    from gguf import GGUFWriter

    header = read_header(base)
    kept = _kept(header, layers)
    reader = _open(header)
    architecture = str(reader.fields["general.architecture"].contents())
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


def _open(header: GgufHeader) -> Any:
    """A reader of a GGUF's weights. Raises EngineError when it is one of several files."""
    from gguf import GGUFReader

    if header.shards:
        raise EngineError(
            "the model is split over several files",
            where=str(header.path),
            remedy="Join them with llama.cpp's llama-gguf-split --merge.",
        )
    try:
        return GGUFReader(header.path)
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise EngineError(f"not a readable GGUF file: {error}", where=str(header.path)) from None


def _kept(header: GgufHeader, layers: int | None) -> tuple[int, ...]:
    total = header.number("block_count")
    if header.architecture is None or total is None:
        raise EngineError("the GGUF names no layers to ablate", where=str(header.path))
    if layers is None:
        return tuple(range(total))
    if header.architecture not in PLAIN_STACKS:
        raise ConfigError(
            f"layers of architecture {header.architecture!r} are not known to be all alike",
            remedy=f"Layers can be taken from: {', '.join(sorted(PLAIN_STACKS))}. "
            "@bits=N works for every architecture.",
        )
    return kept_layers(total, layers)


def _tensors(reader: Any, kept: tuple[int, ...], bits: int | None) -> Iterator[_Tensor]:
    """The tensors of the copy in the base's order, layers numbered anew."""
    for tensor in reader.tensors:
        name = _renamed(str(tensor.name), kept)
        if name is not None:
            rounded = bits is not None and _is_matrix(name, [int(size) for size in tensor.shape])
            yield _Tensor(tensor, name, rounded)


def _renamed(name: str, kept: tuple[int, ...]) -> str | None:
    """A tensor's name in the copy, None where its layer is left out."""
    match = re.fullmatch(r"blk\.(\d+)\.(.+)", name)
    if match is None:
        return name
    return f"blk.{kept.index(int(match[1]))}.{match[2]}" if int(match[1]) in kept else None


def _is_matrix(name: str, shape: Sequence[int]) -> bool:
    """Whether rounding touches it: a weight matrix of a layer, and no router of experts."""
    long_rows = len(shape) >= 2 and shape[0] % BLOCK == 0 and shape[1] > 1
    in_a_layer = name.startswith("blk.") and name.endswith(".weight")
    return long_rows and in_a_layer and "ffn_gate_inp" not in name


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
            writer.write_tensor_data(rounded(one.source, bits))


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
