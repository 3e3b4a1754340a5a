"""GGUF export: an adapter for llama.cpp, alone or merged into a copy of its base's GGUF file.

For adapters that were trained on a GGUF file, so that no converter is needed. The matrices that
training touched are written in 16 bits (or 8): in the 4 bits of many bases a small change would be
rounded away. All other weights and the metadata are copied as they are. Architectures are those
whose names and layout are known here; another one is refused, never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from holdtrue.engines.llamacpp import ADAPTER_BASE
from holdtrue.errors import ConfigError, EngineError
from holdtrue.sleep.appearing import appearing, check_absent
from holdtrue.sleep.manifest import ADAPTER, CONFIG, Manifest, check_base

ROTATED = frozenset({"llama"})
"""Architectures whose query and key rows llama.cpp keeps in another order than transformers."""

ARCHITECTURES = ROTATED | {"gemma2", "gemma3", "qwen2", "qwen3"}
ADAPTER_KEY = "holdtrue.adapter_sha256"
MERGED_BITS = (8, 16)
TENSOR = re.compile(r"base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight")


@dataclass(frozen=True, slots=True)
class Change:
    """What an adapter adds to one matrix: ``scale`` × ``b`` @ ``a``, in llama.cpp's row order.

    ``a`` is (rank, columns), ``b`` (rows, rank), both float32.
    """

    a: Any
    b: Any
    scale: float

    @property
    def product(self) -> Any:
        return self.scale * (self.b @ self.a)


def write_gguf_adapter(adapter: Path, base: Path, out: Path, *, base_name: str = "") -> Manifest:
    """Write the adapter as a LoRA file of llama.cpp, for the GGUF at ``base``.

    It names the sha256 of its base, and the embedded engine refuses it on another. Raises
    ConfigError for an adapter of another base or of a kind that is not known, EngineError for a
    base that cannot be read, WorkspaceError when the file cannot be written.
    """
    manifest, reader, changes = _prepared(adapter, base, base_name)
    with _written(out, str(reader.fields["general.architecture"].contents())) as writer:
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_name(f"{manifest.persona}, a holdtrue adapter")
        rank = next(iter(changes.values())).a.shape[0]
        # llama.cpp multiplies by alpha over the rank, which it reads from the matrices.
        writer.add_float32("adapter.lora.alpha", next(iter(changes.values())).scale * rank)
        _add_origin(writer, manifest)
        for name, change in changes.items():
            writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(change.a, np.float32))
            writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(change.b, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    return manifest


def write_merged_gguf(
    adapter: Path, base: Path, out: Path, *, bits: int = 16, base_name: str = ""
) -> Manifest:
    """Write a copy of the GGUF at ``base`` with the adapter in its weights.

    Raises what ``write_gguf_adapter`` raises.
    """
    from gguf import GGMLQuantizationType, quant_shape_to_byte_shape, quantize

    if bits not in MERGED_BITS:
        raise ConfigError(
            f"matrices of a merged GGUF take 8 or 16 bits, not {bits}", remedy="Give --bits 16."
        )
    manifest, reader, changes = _prepared(adapter, base, base_name)
    wide = GGMLQuantizationType.F16
    with _written(out, str(reader.fields["general.architecture"].contents())) as writer:
        _copy_metadata(writer, reader, manifest, bits)
        kinds = {}
        for one in reader.tensors:
            if one.name not in changes:
                writer.add_tensor_info(
                    one.name, one.data.shape, one.data.dtype, one.n_bytes, one.tensor_type
                )
                continue
            rows, columns = int(one.shape[1]), int(one.shape[0])
            kind = GGMLQuantizationType.Q8_0 if bits == 8 and columns % 32 == 0 else wide
            kinds[one.name] = kind
            if kind is wide:
                writer.add_tensor_info(
                    one.name, (rows, columns), np.dtype(np.float16), 2 * rows * columns, kind
                )
            else:
                shape = quant_shape_to_byte_shape((rows, columns), kind)
                writer.add_tensor_info(
                    one.name, shape, np.dtype(np.uint8), int(np.prod(shape)), kind
                )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for one in reader.tensors:
            if one.name in changes:
                whole = _weights(one) + changes[one.name].product
                writer.write_tensor_data(quantize(whole, kinds[one.name]))
            else:
                writer.write_tensor_data(one.data)
    return manifest


def _prepared(adapter: Path, base: Path, base_name: str) -> tuple[Manifest, Any, dict[str, Change]]:
    from gguf import GGUFReader

    from holdtrue.engines.filehash import sha256_of
    from holdtrue.engines.gguf_header import read_header

    manifest = check_base(adapter, sha256_of(base), base_name or base.name)
    header = read_header(base)  # a file of strangers, so looked at before it is mapped whole
    if header.shards:
        raise EngineError(
            "the base is split over several files",
            where=str(base),
            remedy="Join them with llama.cpp's llama-gguf-split --merge.",
        )
    if header.architecture not in ARCHITECTURES:
        raise ConfigError(
            f"how architecture {header.architecture!r} names and orders its weights is not known",
            where=str(base),
            remedy=f"Known: {', '.join(sorted(ARCHITECTURES))}. Merge into a folder: --out FOLDER.",
        )
    try:
        reader = GGUFReader(base)
    except (OSError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise EngineError(f"not a readable GGUF file: {error}", where=str(base)) from None
    changes = _changes(adapter, header.architecture, header)
    shapes = {one.name: (int(one.shape[1]), int(one.shape[0]))
              for one in reader.tensors if len(one.shape) == 2}  # fmt: skip
    for name, change in changes.items():
        if shapes.get(name) != (change.b.shape[0], change.a.shape[1]):
            raise EngineError(f"{name} is of another shape in the base", where=str(adapter))
    return manifest, reader, changes


def _changes(adapter: Path, architecture: str, header: Any) -> dict[str, Change]:
    """What the adapter adds, by the base's tensor names."""
    import gguf
    from safetensors.numpy import load

    scale = _scale(adapter)
    kind = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(kind, header.number("block_count") or 0)
    halves: dict[str, dict[str, Any]] = {}
    for key, value in load((adapter / ADAPTER).read_bytes()).items():
        match = TENSOR.fullmatch(key)
        name = names.get_name(f"{match[1]}.weight", (".weight",)) if match else None
        if match is None or name is None:
            raise ConfigError(f"{key} has no place in a GGUF of {architecture}", where=str(adapter))
        halves.setdefault(name, {})[match[2]] = np.asarray(value, np.float32)
    found = {}
    for name, both in sorted(halves.items()):
        if set(both) != {"A", "B"}:
            raise ConfigError(f"{name} is there by half only", where=str(adapter))
        b = both["B"]
        if architecture in ROTATED and (turned := re.search(r"\.attn_([qk])\.", name)):
            key = "attention.head_count" + ("_kv" if turned[1] == "k" else "")
            b = rotated(b, header.number(key) or header.number("attention.head_count") or 1)
        found[name] = Change(both["A"], b, scale)
    if not found:
        raise ConfigError("the adapter changes nothing", where=str(adapter))
    return found


def rotated(rows: Any, heads: int) -> Any:
    """Rows of a query or key matrix in llama.cpp's order, from transformers'.

    transformers turns the two halves of a head against each other, llama.cpp neighbours.
    """
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, 2, half, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def _scale(adapter: Path) -> float:
    """Alpha over rank. Raises ConfigError for adapters that are more than two factors."""
    try:
        config = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
        alpha, rank = float(config["lora_alpha"]), int(config["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(adapter / CONFIG)) from None
    more = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save")
    special = [name for name in more if config.get(name)]
    if special or config.get("bias", "none") != "none" or rank < 1:
        raise ConfigError(
            f"not a plain LoRA adapter: {', '.join(special) or 'bias'}",
            where=str(adapter / CONFIG),
            remedy="Merge into a folder: --out FOLDER.",
        )
    return alpha / rank


def _weights(tensor: Any) -> Any:
    from gguf import dequantize

    try:
        return dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError:
        raise EngineError(
            f"{tensor.name} is stored as {tensor.tensor_type.name}, which is not read here",
            remedy="Merge into a folder: --out FOLDER.",
        ) from None


def _copy_metadata(writer: Any, reader: Any, manifest: Manifest, bits: int) -> None:
    from gguf import GGUFValueType, LlamaFileType

    changed: Mapping[str, Any] = {
        "general.file_type": int(LlamaFileType[{8: "MOSTLY_Q8_0", 16: "MOSTLY_F16"}[bits]]),
    }
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", ADAPTER_BASE, ADAPTER_KEY):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        value = changed.get(name, field.contents())
        if name == "general.name":
            value = f"{value} (merged with an adapter for {manifest.persona})"
        if inner is None or len(value):
            writer.add_key_value(name, value, kind, sub_type=inner)
    _add_origin(writer, manifest)


def _add_origin(writer: Any, manifest: Manifest) -> None:
    writer.add_string(ADAPTER_BASE, manifest.base.source_hash)
    writer.add_string(ADAPTER_KEY, manifest.adapter_hash)


@contextmanager
def _written(out: Path, architecture: str) -> Iterator[Any]:
    """A writer of a file that appears at ``out`` whole or not at all."""
    from gguf import GGUFWriter

    check_absent(out)
    with appearing(out) as part:
        writer = GGUFWriter(part, architecture)
        try:
            yield writer
        finally:
            writer.close()
