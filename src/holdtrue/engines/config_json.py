"""What config.json and safetensors headers tell of a model, before anything is loaded.

Reads files of strangers: sizes are bounded, numbers must be plausible, nothing is executed. The
counts of weights come from the tensors' shapes where safetensors files are there, else from the
architecture's usual formula, which is exact for the plain transformer families (checked against
published counts in the tests) and says so where it may not be.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdtrue.errors import EngineError

MAX_CONFIG = 4_000_000
MAX_INDEX = 64_000_000
MAX_HEADER = 100_000_000
MAX_NUMBER = 10**7
MAX_SHARDS = 2_000
TEXT_CONFIGS = ("text_config", "llm_config", "language_config")
OMNI_TEXT = ("thinker.model.", "thinker.lm_head.")
UNGATED = frozenset(
    {"bloom", "falcon", "gpt2", "gpt_neox", "gptj", "mpt", "nemotron", "opt", "phi", "starcoder2"}
)
DTYPE_BITS = {"float32": 32.0, "float64": 64.0, "float16": 16.0, "bfloat16": 16.0}
SAFETENSORS_BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16,
    "I8": 8, "U8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "BOOL": 8,
    "U16": 16, "U32": 32, "U64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of a model without loading it; None is unknown.

    ``bits`` is the mean per weight as stored, ``weight_bytes`` what its weights take in memory as
    stored, ``kv_bytes_per_token`` the key-value cache of one token at 16 bits.
    """

    architecture: str | None = None
    parameters_total: int | None = None
    parameters_active: int | None = None
    bits: float | None = None
    weight_bytes: int | None = None
    file_bytes: int | None = None
    context_length: int | None = None
    kv_bytes_per_token: int | None = None
    notes: tuple[str, ...] = ()


def read_shape(folder: Path) -> Shape:
    """The shape of a Hugging Face model folder.

    Raises EngineError for a folder without a readable config.json, implausible numbers, a
    missing shard or a damaged safetensors header.
    """
    path = folder / "config.json"
    config = read_json(path, MAX_CONFIG)
    if not isinstance(config, dict):
        raise EngineError("not a model's configuration", where=str(path))
    text = text_config(config)
    dims = _Dimensions(text, config, path)
    bits = _stored_bits(config, text)
    notes: list[str] = []
    names = _architecture(config)
    stored = _stored_weights(folder, omni="Omni" in (names or ""))
    total, active = dims.parameters(), dims.active_parameters()
    if stored is not None and total is not None and not _is_packed(config):
        total = stored.elements or total
    elif stored is None:
        notes.append("the count of weights is computed from config.json; no weights are there")
    if stored is not None and stored.left_out:
        notes.append(
            f"{stored.left_out / 1e9:.1f} GB of speech and vision towers are not loaded for text"
        )
    weight_bytes = stored.bytes if stored else None
    if weight_bytes is None and total is not None:
        weight_bytes = round(total * bits / 8)
    if weight_bytes and total:
        bits = 8 * weight_bytes / total
    return Shape(
        architecture=names,
        parameters_total=total,
        parameters_active=active,
        bits=bits if total else None,
        weight_bytes=weight_bytes,
        file_bytes=stored.file_bytes if stored else None,
        context_length=dims.number("max_position_embeddings"),
        kv_bytes_per_token=dims.kv_bytes_per_token(),
        notes=tuple(notes),
    )


def read_json(path: Path, limit: int) -> Any:
    """The parsed content of a JSON file of at most ``limit`` bytes. Raises EngineError."""
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except FileNotFoundError:
        raise EngineError(
            f"no {path.name} in this folder",
            where=str(path.parent),
            remedy="Give the folder that holds the model's config.json.",
        ) from None
    except OSError as error:
        raise EngineError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if len(raw) > limit:
        raise EngineError(f"larger than {limit:,} bytes", where=str(path))
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"not valid JSON: {str(error)[:200]}", where=str(path)) from None


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a configuration that describes the language model.

    Multimodal models nest it (``text_config``), omni models twice (``thinker_config``).
    """
    current = config
    if isinstance(thinker := current.get("thinker_config"), dict):
        current = thinker
    for name in TEXT_CONFIGS:
        if isinstance(inner := current.get(name), dict) and inner:
            return inner
    return current


def _architecture(config: Mapping[str, Any]) -> str | None:
    listed = config.get("architectures")
    if isinstance(listed, list) and listed and isinstance(listed[0], str):
        return listed[0][:100]
    kind = config.get("model_type")
    return kind[:100] if isinstance(kind, str) else None


def _is_packed(config: Mapping[str, Any]) -> bool:
    """Whether several weights are packed into one stored number, so that shapes mislead."""
    return isinstance(config.get("quantization_config"), dict)


def _stored_bits(config: Mapping[str, Any], text: Mapping[str, Any]) -> float:
    """Bits per weight as stored, by the quantization that is named or else the dtype."""
    quantization = config.get("quantization_config") or text.get("quantization_config")
    if isinstance(quantization, dict) and (found := _quantized_bits(quantization)) is not None:
        return found
    for place in (config, text):
        for key in ("torch_dtype", "dtype"):
            name = str(place.get(key, "")).removeprefix("torch.")
            if name in DTYPE_BITS:
                return DTYPE_BITS[name]
    return 16.0


def _quantized_bits(quantization: Mapping[str, Any]) -> float | None:
    for key in ("bits", "w_bit", "num_bits"):
        value = quantization.get(key)
        if isinstance(value, int) and 1 <= value <= 16:
            return float(value)
    groups = quantization.get("config_groups")
    if isinstance(groups, dict):
        for group in list(groups.values())[:100]:
            weights = group.get("weights") if isinstance(group, dict) else None
            if isinstance(weights, dict) and (bits := _quantized_bits(weights)) is not None:
                return bits
    method = str(quantization.get("quant_method", "")).lower()
    if quantization.get("load_in_4bit") or "4" in method:
        return 4.25 if "mxfp4" in method else 4.5
    if quantization.get("load_in_8bit") or "8" in method:
        return 8.0
    return None


class _Dimensions:
    """Numbers of a configuration under their various names, and what follows from them."""

    def __init__(self, text: Mapping[str, Any], outer: Mapping[str, Any], path: Path) -> None:
        self.text = text
        self.outer = outer
        self.path = path
        kind = text.get("model_type") or outer.get("model_type")
        self.kind = kind if isinstance(kind, str) else ""

    def number(self, *names: str) -> int | None:
        """The first of ``names`` that is there; a list's largest. Raises EngineError if absurd."""
        for name in names:
            value = self.text.get(name)
            if isinstance(value, list):
                counts = [item for item in value[:10_000] if isinstance(item, int)]
                value = max(counts, default=None)
            if value is None or isinstance(value, bool):
                continue
            if not isinstance(value, int | float) or not 0 <= value <= MAX_NUMBER:
                raise EngineError(
                    f"{name} is {str(value)[:40]}, which no model has", where=str(self.path)
                )
            return int(value) or None
        return None

    @property
    def hidden(self) -> int | None:
        return self.number("hidden_size", "n_embd", "d_model")

    @property
    def layers(self) -> int | None:
        return self.number("num_hidden_layers", "n_layer", "num_layers")

    @property
    def heads(self) -> int | None:
        return self.number("num_attention_heads", "n_head")

    @property
    def kv_heads(self) -> int | None:
        return self.number("num_key_value_heads", "num_kv_heads") or self.heads

    @property
    def head_width(self) -> int | None:
        if (given := self.number("head_dim")) is not None:
            return given
        return self.hidden // self.heads if self.hidden and self.heads else None

    def kv_bytes_per_token(self) -> int | None:
        """Every layer counted as full attention; latent attention (MLA) by its own width."""
        if self.layers is None:
            return None
        if rank := self.number("kv_lora_rank"):
            return 2 * self.layers * (rank + (self.number("qk_rope_head_dim") or 0))
        if self.kv_heads is None or self.head_width is None:
            return None
        return 2 * 2 * self.layers * self.kv_heads * self.head_width

    def parameters(self) -> int | None:
        return self._count(active=False)

    def active_parameters(self) -> int | None:
        """Weights that one token uses; None for a model without experts."""
        return self._count(active=True) if self._experts() else None

    def _experts(self) -> int | None:
        return self.number("num_experts", "num_local_experts", "n_routed_experts")

    def _count(self, *, active: bool) -> int | None:
        hidden, layers = self.hidden, self.layers
        vocabulary, attention = self.number("vocab_size"), self._attention()
        if hidden is None or layers is None or vocabulary is None or attention is None:
            return None
        norms = 4 * hidden if self.kind.startswith(("gemma2", "gemma3")) else 2 * hidden
        dense = self._dense_layers(layers)
        body = layers * (attention + norms) + dense * self._dense_mlp()
        body += (layers - dense) * self._expert_mlp(active=active)
        return body + vocabulary * hidden * (1 if self._is_tied() else 2) + hidden

    def _attention(self) -> int | None:
        hidden, heads, kv_heads, width = self.hidden, self.heads, self.kv_heads, self.head_width
        if hidden is None or heads is None or kv_heads is None or width is None:
            return None
        if rank := self.number("kv_lora_rank"):
            return self._latent_attention(hidden, heads, rank)
        count = 2 * hidden * heads * width + 2 * hidden * kv_heads * width
        biased = self.text.get("attention_bias", self.kind.startswith("qwen2"))
        if biased:
            count += (heads + 2 * kv_heads) * width
        if self.kind.startswith(("qwen3", "gemma3")):
            count += 2 * width
        return count

    def _latent_attention(self, hidden: int, heads: int, rank: int) -> int:
        """Multi-head latent attention, as in DeepSeek-V2 and V3."""
        plain, rope = self.number("qk_nope_head_dim") or 0, self.number("qk_rope_head_dim") or 0
        value = self.number("v_head_dim") or 0
        query = heads * (plain + rope)
        low = self.number("q_lora_rank")
        count = hidden * low + low + low * query if low else hidden * query
        count += hidden * (rank + rope) + rank + rank * heads * (plain + value)
        return count + heads * value * hidden

    def _dense_mlp(self) -> int:
        matrices = 2 if self.kind in UNGATED else 3
        inner = self.number("intermediate_size", "n_inner", "ffn_dim") or 4 * (self.hidden or 0)
        return matrices * (self.hidden or 0) * inner

    def _expert_mlp(self, *, active: bool) -> int:
        experts = self._experts() or 0
        used = self.number("num_experts_per_tok", "num_experts_per_token") or experts
        hidden = self.hidden or 0
        inner = self.number("moe_intermediate_size", "intermediate_size") or 0
        shared = self.number("shared_expert_intermediate_size") or inner * (
            self.number("n_shared_experts") or 0
        )
        routed = min(used, experts) if active else experts
        return 3 * hidden * inner * routed + 3 * hidden * shared + hidden * experts

    def _dense_layers(self, layers: int) -> int:
        """How many layers have no experts."""
        if not self._experts():
            return layers
        step = self.number("decoder_sparse_step") or 1
        first = self.number("first_k_dense_replace") or 0
        listed = self.text.get("mlp_only_layers")
        only = len(set(map(str, listed[:layers]))) if isinstance(listed, list) else 0
        return min(layers, first + only + (layers - layers // step if step > 1 else 0))

    def _is_tied(self) -> bool:
        for place in (self.text, self.outer):
            if isinstance(tied := place.get("tie_word_embeddings"), bool):
                return tied
        return self.kind.startswith("gemma")


@dataclass(frozen=True, slots=True)
class _Stored:
    elements: int
    bytes: int
    file_bytes: int
    left_out: int


def _stored_weights(folder: Path, *, omni: bool) -> _Stored | None:
    """Weights in the safetensors files; of an omni model those that text needs. None: no files."""
    files = _weight_files(folder)
    if not files:
        return None
    elements = kept = left_out = size = 0
    for path in files:
        size += path.stat().st_size
        for name, count, bits in _tensors(path):
            if omni and not name.startswith(OMNI_TEXT):
                left_out += count * bits // 8
                continue
            elements += count
            kept += count * bits // 8
    return _Stored(elements, kept, size, left_out)


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        single = folder / "model.safetensors"
        return [single] if single.is_file() else []
    body = read_json(index, MAX_INDEX)
    listed = body.get("weight_map") if isinstance(body, dict) else None
    if not isinstance(listed, dict):
        raise EngineError("it has no weight_map", where=str(index))
    names = {name for name in listed.values() if isinstance(name, str)}
    if len(names) > MAX_SHARDS or any(not re.fullmatch(r"[\w.-]+", name) for name in names):
        raise EngineError("it names files that no model has", where=str(index))
    found = [folder / name for name in sorted(names)]
    for path in found:
        if not path.is_file():
            raise EngineError(
                f"shard {path.name} is missing", where=str(folder), remedy="Fetch it again."
            )
    return found


def _tensors(path: Path) -> list[tuple[str, int, int]]:
    """Name, number of elements and bits of each tensor of a safetensors file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise EngineError("not a sound safetensors file", where=str(path))
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            header = None
    if not isinstance(header, dict):
        raise EngineError("its safetensors header is not sound", where=str(path))
    found = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape = entry.get("shape") if isinstance(entry, dict) else None
        bits = SAFETENSORS_BITS.get(str(entry.get("dtype"))) if shape is not None else None
        sound = isinstance(shape, list) and len(shape) <= 8 and bits is not None
        if not sound or any(type(n) is not int or not 0 <= n <= 2**40 for n in shape or ()):
            raise EngineError(f"tensor {name[:80]!r} is not sound", where=str(path))
        found.append((name, math.prod(shape or ()), bits or 0))
    return found
