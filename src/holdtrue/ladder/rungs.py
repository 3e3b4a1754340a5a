"""Rungs: what a ladder tests, from a TOML file or a list of models.

Axes (models, quantizations, protocols, adapters) are multiplied out; single rungs may be added.
Rungs that differ in more than scale fall into tracks, searched side by side: a protocol is
no smaller than another, and neither is a model with an adapter. Nothing is loaded here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from holdtrue.engines import catalog
from holdtrue.engines.modelname import ModelName, parse_model
from holdtrue.errors import ConfigError
from holdtrue.ladder.sizes import Bits, Count, is_gguf, is_transformers
from holdtrue.persona import Name
from holdtrue.runconfig import FileName, default_label
from holdtrue.tomlfile import StrictModel

Reference = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
CostKind = Literal["weights", "seconds", "memory", "listed"]
Quantization = Literal["stored"] | Annotated[int, Field(ge=1, le=32)]
Adapter = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
NONE = "none"
MAX_RUNGS = 200
LOAD_BITS = (4, 8, 16)
DEFAULT_MODELS = (
    "smollm2-135m@layers=20",
    "smollm2-135m@bits=3",
    "smollm2-135m@layers=27",
    "smollm2-135m",
)


class Needs(StrictModel):
    """What a rung asks of a cluster's node: processors, accelerators, gigabytes of memory."""

    cpus: Annotated[float, Field(ge=0, le=1_024)] = 1.0
    gpus: Annotated[float, Field(ge=0, le=1_024)] = 0.0
    memory_gb: Annotated[float, Field(gt=0, le=100_000)] | None = None


class RungEntry(StrictModel):
    """One rung of a file. Size fields stand in for what cannot be known before loading."""

    name: FileName | None = None
    model: Reference
    quantization: Quantization = "stored"
    protocol: Reference | None = None
    adapter: Adapter = NONE
    family: Name | None = None
    parameters: Count | None = None
    active: Count | None = None
    weight_bits: Bits | None = None
    needs: Needs | None = None


class LadderFile(StrictModel):
    """A ladder as a user writes it. What is left out is as in ``holdtrue test``.

    ``criteria`` names the set that has to be met, ``also`` further sets that are judged on the
    same sessions; ``needs`` is for a cluster. With ``families_apart`` each family of models is a
    track of its own.
    """

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    name: Name = "ladder"
    models: tuple[Reference, ...] = ()
    quantizations: tuple[Quantization, ...] = ("stored",)
    protocols: tuple[Reference, ...] = ()
    adapters: tuple[Adapter, ...] = (NONE,)
    rung: tuple[RungEntry, ...] = ()
    families_apart: bool = False
    cost: CostKind = "weights"
    exhaustive: bool = False
    strict: bool = False
    persona: Reference | None = None
    phase: Name | None = None
    criteria: Reference = "full"
    also: tuple[Reference, ...] = ("minimum",)
    baseline: Reference | None = None
    budget: Annotated[int, Field(ge=1, le=100_000)] = 60
    batch: Annotated[int, Field(ge=1, le=10_000)] = 4
    mode: Literal["bounded", "free"] = "bounded"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=32_768)] | None = None
    needs: Needs = Needs()


@dataclass(frozen=True, slots=True)
class Draft:
    """A rung before its protocol is read and its size looked up.

    ``model`` includes an ablation; ``load_bits`` is for transformers. ``entry`` holds what a file
    says of it.
    """

    model: str
    protocol: str
    adapter: str | None
    load_bits: int | None
    entry: RungEntry
    name: str = field(default="")

    @property
    def family(self) -> str:
        """The family of a file or the catalog, else the model's name without its size."""
        base = parse_model(self.model).base
        known = catalog.entries().get(base)
        if self.entry.family or known:
            return self.entry.family or (known.family if known else "")
        plain = re.split(r"[/\\:]", base.split("@")[0].rstrip("/\\"))[-1].removesuffix(".gguf")
        return re.split(r"[-_:.]?\d+(?:\.\d+)?[KkMmBb](?![A-Za-z])", plain)[0] or plain


def drafts(file: LadderFile, *, default_protocol: str) -> list[Draft]:
    """Every rung of ``file``, axes multiplied out, with names that are unique.

    Raises ConfigError: no rung, too many, two that are equal or of one name, a quantization that
    the model cannot have.
    """
    protocols = file.protocols or (default_protocol,)
    axes = itertools.product(file.models, file.quantizations, protocols, file.adapters)
    listed = [
        RungEntry(model=model, quantization=bits, protocol=protocol, adapter=adapter)
        for model, bits, protocol, adapter in axes
    ]
    found = [_draft(entry, protocols[0]) for entry in (*listed, *file.rung)]
    if not found:
        raise ConfigError("the ladder has no rung", remedy="Name models, or add [[rung]] tables.")
    if len(found) > MAX_RUNGS:
        raise ConfigError(
            f"the ladder has {len(found)} rungs, more than {MAX_RUNGS}",
            remedy="Shorten an axis.",
        )
    _check_equal(found)
    return list(_named(found))


def _draft(entry: RungEntry, default_protocol: str) -> Draft:
    name, load_bits = _quantized(parse_model(entry.model), entry.quantization)
    adapter = name.adapter or (None if entry.adapter == NONE else entry.adapter)
    if name.adapter and entry.adapter != NONE and name.adapter != entry.adapter:
        raise ConfigError(f"{entry.model!r} names another adapter than {entry.adapter!r}")
    if name.adapter:
        name = ModelName(name.base, name.ablation)
    if adapter is not None:
        adapter = str(Path(adapter).expanduser().resolve())
    protocol = entry.protocol or default_protocol
    return Draft(str(name), protocol, adapter, load_bits, entry)


def _quantized(name: ModelName, wanted: Quantization) -> tuple[ModelName, int | None]:
    """A model at a quantization: rounded weights for GGUF files, bits to load in for others."""
    if wanted == "stored":
        return name, None
    if is_gguf(name):
        if name.ablation.get("bits", wanted) != wanted:
            raise ConfigError(f"{str(name)!r} names other bits than the quantization {wanted}")
        order = ("layers", "bits")
        ablation = {**name.ablation, "bits": wanted}
        kept = {key: ablation[key] for key in order if key in ablation}
        return ModelName(name.base, kept, name.adapter), None
    if is_transformers(name):
        if wanted not in LOAD_BITS:
            raise ConfigError(
                f"{str(name)!r} cannot be loaded in {wanted} bits",
                remedy="Possible: 4, 8, 16, stored.",
            )
        return name, wanted
    raise ConfigError(
        f"the quantization of {str(name)!r} cannot be chosen here",
        remedy="Name the quantized models of that server one by one, and leave quantizations out.",
    )


def _check_equal(found: Sequence[Draft]) -> None:
    """Raises ConfigError naming two rungs that would be one."""
    seen: dict[tuple[str, str, str | None, int | None], Draft] = {}
    for one in found:
        key = (one.model, one.protocol.lower(), one.adapter, one.load_bits)
        if key in seen:
            with_adapter = f", adapter {one.adapter}" if one.adapter else ""
            raise ConfigError(
                f"two rungs are equal: {one.model}, protocol {one.protocol}{with_adapter}",
                remedy="Remove one of them; a rung is tested once.",
            )
        seen[key] = one


def _named(found: Sequence[Draft]) -> Iterator[Draft]:
    """Give each rung a short name: of the model, then of what else tells it from the others."""
    models = _model_names(found)
    protocols = {one.protocol.lower() for one in found}
    adapters = {one.adapter for one in found}
    taken: dict[str, str] = {}
    for one in found:
        parts = [models[one.model]]
        if one.load_bits:
            parts.append(f"{one.load_bits}bit")
        if len(protocols) > 1:
            parts.append(Path(one.protocol).stem if "/" in one.protocol else one.protocol)
        if one.adapter and len(adapters) > 1:
            parts.append(Path(one.adapter).name)
        name = one.entry.name or _slug("-".join(parts))
        if name.lower() in taken:
            raise ConfigError(
                f"two rungs are called {name}: {taken[name.lower()]} and {one.model}",
                remedy="Give them names in [[rung]] tables.",
            )
        taken[name.lower()] = one.model
        yield Draft(one.model, one.protocol, one.adapter, one.load_bits, one.entry, name)


def _model_names(found: Sequence[Draft]) -> dict[str, str]:
    """Short names by model: its size where that tells the models apart, else its own name."""
    models = {one.model: parse_model(one.model) for one in found}
    bases = {name.base for name in models.values()}
    short = {base: default_label(base) for base in bases}
    if len({label.lower() for label in short.values()}) < len(bases):
        short = {base: _slug(base.split("@")[0]) for base in bases}
    return {
        model: "-".join([short[name.base], *(f"{key}{n}" for key, n in name.ablation.items())])
        for model, name in models.items()
    }


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[-64:].strip("-._") or "rung"
