"""Whether a model will fit, from its headers alone; nothing is loaded.

An estimate, not a promise: weights as stored, a key-value cache with every layer counted as full
attention, and a fixed allowance for the rest. How far off it is, preflight shows beside what it
measures.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdtrue.engines import catalog, memory, registry
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.config_json import Shape, read_shape
from holdtrue.engines.gguf_header import GgufHeader, read_header
from holdtrue.engines.llamacpp_layout import LANES, usable_cores, wanted_servers
from holdtrue.engines.modelname import ModelName, parse_model
from holdtrue.errors import ConfigError, nearest

CONTEXT = 2_048
OVERHEAD = {"llamacpp": 120_000_000, "transformers": 900_000_000}
LOWER_BITS = (8, 4)
PACKED = {8: 8.5, 4: 4.85}
"""Bits per weight that 8- and 4-bit formats really take, scales counted in."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Memory that a model will take, in bytes, and what there is.

    ``fits`` is None where too little is known; ``advice`` says what would fit where it does not.
    """

    model: str
    engine: str
    shape: Shape
    context: int
    lanes: int
    weight_bytes: int | None
    kv_bytes: int | None
    overhead_bytes: int
    available_bytes: int
    device: str
    fits: bool | None
    advice: tuple[str, ...] = ()

    @property
    def memory_bytes(self) -> int | None:
        """Weights, cache and the rest together; None without the weights."""
        if self.weight_bytes is None:
            return None
        return self.weight_bytes + (self.kv_bytes or 0) + self.overhead_bytes

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        body = dataclasses.asdict(self)
        body["shape"]["notes"] = list(self.shape.notes)
        body["advice"] = list(self.advice)
        body["memory_bytes"] = self.memory_bytes
        return body


def estimate(model: str, options: EngineOptions | None = None) -> Estimate | None:
    """The estimate for a model name; None for a model that does not run on this machine.

    Reads headers only. Raises ConfigError for a malformed or unknown name, EngineError for a file
    or folder that is missing, damaged or implausible.
    """
    settings = options or EngineOptions()
    name = catalog.resolve(parse_model(model))
    found = _shape(name)
    if found is None:
        return None
    engine, shape = found
    context = settings.context_length or min(CONTEXT, shape.context_length or CONTEXT)
    lanes = settings.concurrency or LANES
    if engine == "llamacpp":
        cores = usable_cores()
        lanes = wanted_servers(settings, cores=cores, weights=shape.weight_bytes) or lanes
    return judge(model, engine, shape, settings, context=context, lanes=lanes)


def judge(
    model: str, engine: str, shape: Shape, options: EngineOptions, *, context: int, lanes: int
) -> Estimate:
    """The estimate for a shape that is known, at a context and a number of conversations."""
    device, available = _room(engine, options)
    weights = shape.weight_bytes
    if engine == "transformers" and options.bits and shape.parameters_total:
        kept = PACKED.get(options.bits, float(options.bits))
        weights = min(weights or 2**63, round(shape.parameters_total * kept / 8))
    per_token = shape.kv_bytes_per_token
    made = Estimate(
        model=model,
        engine=engine,
        shape=shape,
        context=context,
        lanes=lanes,
        weight_bytes=weights,
        kv_bytes=None if per_token is None else per_token * context * lanes,
        overhead_bytes=OVERHEAD.get(engine, 0),
        available_bytes=available,
        device=device,
        fits=None,
    )
    needed = made.memory_bytes
    if needed is None:
        return made
    if needed <= available:
        return dataclasses.replace(made, fits=True)
    return dataclasses.replace(made, fits=False, advice=_advice(made))


def _shape(name: ModelName) -> tuple[str, Shape] | None:
    """Engine and shape of a local model, or of a catalog model that is not here yet."""
    base = name.base
    entry = catalog.entries().get(base)
    if entry is not None:
        if entry.path is not None and entry.is_cached:
            return "llamacpp", gguf_shape(read_header(entry.path))
        return "llamacpp", _entry_shape(entry)
    kind, separator, rest = base.partition(":")
    path = Path(rest if separator and kind in ("gguf", "hf") else base).expanduser()
    if kind == "gguf" or path.suffix == ".gguf":
        return "llamacpp", gguf_shape(read_header(path))
    if path.is_dir():
        return "transformers", read_shape(path)
    if kind == "hf":
        same = [one for one in catalog.entries().values() if one.source == base]
        return ("transformers", _entry_shape(same[0])) if same else None
    if not separator:
        known = [*catalog.names(), *(f"{prefix}:…" for prefix in registry.PREFIXES)]
        raise ConfigError(f"unknown model {base!r}", remedy=nearest(base, known))
    return None


def gguf_shape(header: GgufHeader) -> Shape:
    """The shape that a GGUF header tells."""
    return Shape(
        architecture=header.architecture,
        parameters_total=header.parameters_total,
        parameters_active=header.parameters_active,
        bits=header.bits,
        weight_bytes=header.weight_bytes,
        file_bytes=header.file_bytes,
        context_length=header.context_length,
        kv_bytes_per_token=header.kv_bytes_per_token,
    )


def _entry_shape(entry: catalog.Entry) -> Shape:
    dims = (entry.layers, entry.kv_heads, entry.head_dim)
    per_token = 4 * dims[0] * dims[1] * dims[2] if dims[0] and dims[1] and dims[2] else None
    weights = entry.bytes or entry.weight_bytes(16)
    return Shape(
        architecture=entry.family,
        parameters_total=entry.parameters,
        parameters_active=entry.active,
        bits=8 * weights / entry.parameters,
        weight_bytes=weights,
        file_bytes=entry.bytes,
        context_length=entry.context_length,
        kv_bytes_per_token=per_token,
        notes=("from the catalog; the model is not on this machine yet",),
    )


def _room(engine: str, options: EngineOptions) -> tuple[str, int]:
    """The device that the weights go to, and the bytes that are free there."""
    if options.device != "cpu" and engine == "transformers":
        cards = [card for card in memory.accelerators() if card.total is not None]
        if cards:
            free = sum((card.total or 0) - (card.used or 0) for card in cards)
            return cards[0].name if len(cards) == 1 else f"{len(cards)} accelerators", free
    return "main memory", memory.available()


def _advice(made: Estimate) -> tuple[str, ...]:
    """What would fit, the mildest change first."""
    advice: list[str] = []
    room = made.available_bytes - made.overhead_bytes
    weights, per_token = made.weight_bytes or 0, made.shape.kv_bytes_per_token or 0
    if per_token and weights + per_token * made.context < room and made.lanes > 1:
        lanes = (room - weights) // (per_token * made.context)
        advice.append(f"fewer conversations at once: --concurrency {lanes}")
    elif per_token and weights < room:
        context = 1 << max(0, ((room - weights) // per_token).bit_length() - 1)
        if 512 <= context < made.context:
            advice.append(f"a shorter context: --context {context} --concurrency 1")
    advice.extend(_fewer_bits(made, room))
    if made.device != "main memory" and weights + (made.kv_bytes or 0) < room + memory.available():
        advice.append("part of the weights in main memory, at a price in speed: --device auto")
    if not advice:
        fitting = [e for e in catalog.entries().values() if e.weight_bytes(PACKED[4]) < room]
        if fitting:
            largest = max(fitting, key=lambda entry: entry.parameters)
            advice.append(f"a smaller model, at 4 bits up to the size of {largest.name}")
    return tuple(advice)


def _fewer_bits(made: Estimate, room: int) -> list[str]:
    total, bits = made.shape.parameters_total, made.shape.bits
    if not total or not bits:
        return []
    cache = (made.shape.kv_bytes_per_token or 0) * made.context * made.lanes
    for lower in LOWER_BITS:
        needed = round(total * PACKED[lower] / 8) + cache
        if PACKED[lower] < bits and needed < room:
            how = f"--bits {lower}" if made.engine == "transformers" else f"a GGUF of {lower} bits"
            return [f"fewer bits: {how} takes about {needed / 1e9:.1f} GB"]
    return []
