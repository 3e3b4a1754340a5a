"""Manifest: what an adapter was made of, and the model that it belongs to.

An adapter is only put on the base that it was trained on: equal shapes do not make two models one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from holdtrue.errors import ConfigError
from holdtrue.files import write_atomic
from holdtrue.runconfig import installed_versions, now
from holdtrue.tomlfile import StrictModel

if TYPE_CHECKING:
    from holdtrue.sleep.dataset import Dataset
    from holdtrue.sleep.weights import Base

MANIFEST = "manifest.json"
ADAPTER = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
FORMAT = "holdtrue-adapter"
PACKAGES = ("torch", "transformers", "peft", "safetensors")


class BaseRef(StrictModel):
    """The model an adapter belongs to: its name, and sha256 of its weights and its tokenizer."""

    model: str
    source_hash: str
    tokenizer_hash: str


class Manifest(StrictModel):
    """An adapter's origin. Hashes are sha256; ``losses`` one a step, ``held_out`` by step."""

    format: str = FORMAT
    version: int = 1
    base: BaseRef
    dataset_hash: str
    dataset_kind: str
    persona: str
    examples: int
    pairs: int
    skipped: int = 0
    settings: dict[str, Any]
    losses: tuple[float, ...] = ()
    held_out: dict[int, float] = Field(default_factory=dict)
    seconds: float = 0.0
    versions: dict[str, str] = Field(default_factory=dict)
    created: str = ""
    adapter_hash: str = ""


def new_manifest(
    base: Base,
    dataset: Dataset,
    settings: dict[str, Any],
    losses: tuple[float, ...],
    held_out: dict[int, float],
    *,
    seconds: float,
    skipped: int,
) -> Manifest:
    """The manifest of a training that has just ended."""
    card = dataset.card
    return Manifest(
        base=BaseRef(
            model=base.name,
            source_hash=base.source_hash,
            tokenizer_hash=base.tokenizer_hash,
        ),
        dataset_hash=dataset.sha256,
        dataset_kind=f"sham ({card.sham})" if card.kind == "sham" else card.kind,
        persona=card.persona,
        examples=card.train,
        pairs=card.pairs,
        skipped=skipped,
        settings=settings,
        losses=losses,
        held_out=held_out,
        seconds=round(seconds, 3),
        versions=installed_versions(*PACKAGES),
        created=now(),
    )


def write_adapter(folder: Path, model: Any, manifest: Manifest) -> Manifest:
    """Write adapter and configuration as peft reads them, and the manifest last."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    data = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})
    config = model.peft_config["default"].to_dict()
    config["base_model_name_or_path"] = manifest.base.model
    config["inference_mode"] = True
    for name, value in config.items():  # sets have no order, and JSON has none of them
        if isinstance(value, set):
            config[name] = sorted(value)
    write_atomic(folder / ADAPTER, data)
    write_atomic(folder / CONFIG, json.dumps(config, indent=1, default=str) + "\n")
    final = manifest.model_copy(update={"adapter_hash": hashlib.sha256(data).hexdigest()})
    write_atomic(folder / MANIFEST, final.model_dump_json(indent=1) + "\n")
    return final


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an adapter. Raises ConfigError: none, damaged, or another adapter's."""
    path = folder / MANIFEST
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest.model_validate(body, strict=False)
        data = (folder / ADAPTER).read_bytes()
    except (OSError, ValueError, RecursionError, ValidationError) as error:
        raise ConfigError(
            f"no adapter of holdtrue: {' '.join(str(error).split())[:200]}",
            where=str(path),
            remedy="Name a folder made by `holdtrue sleep train` or `sleep cycle`.",
        ) from None
    if hashlib.sha256(data).hexdigest() != manifest.adapter_hash:
        raise ConfigError(
            "the adapter's weights are not those of its manifest",
            where=str(folder),
            remedy="Train it again, or restore the file.",
        )
    return manifest


def check_base(folder: Path, base_hash: str, base_name: str) -> Manifest:
    """The manifest of an adapter that belongs to this base. Raises ConfigError for another's."""
    manifest = read_manifest(folder)
    if manifest.base.source_hash != base_hash:
        raise ConfigError(
            f"the adapter was trained on {manifest.base.model} "
            f"({manifest.base.source_hash[:12]}), not on {base_name} ({base_hash[:12]})",
            where=str(folder),
            remedy="Use it with its own base, or train one for this model.",
        )
    return manifest


def zero_adapter(source: Path, folder: Path) -> Manifest:
    """An adapter of the same shape that changes nothing: the base, spoken by the same engine.

    Its second factors are nought, so that every product is. Raises ConfigError for no adapter.
    """
    from safetensors.torch import load, save

    manifest = read_manifest(source)
    tensors = load((source / ADAPTER).read_bytes())
    data = save({n: (v * 0 if ".lora_B." in n else v) for n, v in tensors.items()})
    write_atomic(folder / ADAPTER, data)
    write_atomic(folder / CONFIG, (source / CONFIG).read_bytes())
    changes = {
        "adapter_hash": hashlib.sha256(data).hexdigest(),
        "dataset_kind": "none (changes nothing)",
        "losses": (),
        "held_out": {},
        "seconds": 0.0,
    }
    final = manifest.model_copy(update=changes)
    write_atomic(folder / MANIFEST, final.model_dump_json(indent=1) + "\n")
    return final
