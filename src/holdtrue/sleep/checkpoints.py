"""Checkpoints: where a training stands, so that going on gives the losses of an uninterrupted one.

Adapter and optimizer are safetensors, the rest JSON: nothing is pickled. The last two are kept.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holdtrue.errors import ConfigError, WorkspaceError

FOLDER = "checkpoints"
KEPT = 2
MOMENTS = ("exp_avg", "exp_avg_sq")


class State(BaseModel):
    """How far a training is. ``identity`` is what has to be equal to go on with it."""

    model_config = ConfigDict(extra="forbid")

    identity: dict[str, str]
    step: int = 0
    losses: list[float] = Field(default_factory=list)
    held_out: dict[int, float] = Field(default_factory=dict)
    seconds: float = 0.0


def latest(folder: Path) -> Path | None:
    """The newest checkpoint of a training, None without any."""
    found = sorted((folder / FOLDER).glob("step-*"))
    return found[-1] if found else None


def store(folder: Path, state: State, weights: Mapping[str, Any], optimizer: Any) -> Path:
    """Write a checkpoint: it is there as a whole or not at all. Raises WorkspaceError."""
    from safetensors.torch import save_file

    target = folder / FOLDER / f"step-{state.step:06d}"
    moments = {
        f"{name}|{kind}": optimizer.state[value][kind].contiguous()
        for name, value in weights.items()
        for kind in MOMENTS
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as part:
            here = Path(part) / "whole"
            here.mkdir()
            adapter = {name: value.detach().contiguous() for name, value in weights.items()}
            save_file(adapter, here / "adapter.safetensors")
            save_file(moments, here / "optimizer.safetensors")
            (here / "state.json").write_text(state.model_dump_json(), encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            os.replace(here, target)
    except OSError as error:
        raise WorkspaceError(
            f"the checkpoint cannot be written: {error.strerror or error}",
            where=str(target),
            remedy="Free some space; training goes on from the checkpoint before.",
        ) from None
    for old in sorted(target.parent.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def restore(folder: Path, fresh: State, weights: Mapping[str, Any], optimizer: Any) -> State:
    """The state of the newest checkpoint, its tensors put in place; ``fresh`` without any.

    Raises ConfigError when the checkpoint is of another base, tokenizer, dataset or settings, or
    cannot be read.
    """
    import torch
    from safetensors.torch import load_file

    place = latest(folder)
    if place is None:
        return fresh
    try:
        body = json.loads((place / "state.json").read_text(encoding="utf-8"))
        state = State.model_validate(body, strict=False)
        _check_identity(place, state.identity, fresh.identity)
        adapter = load_file(place / "adapter.safetensors")
        moments = load_file(place / "optimizer.safetensors")
        with torch.no_grad():
            for name, value in weights.items():
                value.copy_(adapter[name])
        for name, value in weights.items():
            held = {kind: moments[f"{name}|{kind}"].to(value.device) for kind in MOMENTS}
            optimizer.state[value] = {"step": torch.tensor(float(state.step)), **held}
    except (OSError, ValueError, KeyError, RuntimeError, ValidationError) as error:
        raise ConfigError(
            f"the checkpoint cannot be read: {' '.join(str(error).split())[:200]}",
            where=str(place),
            remedy="Remove it; training goes on from the one before, or from the beginning.",
        ) from None
    return state


def forget(folder: Path) -> None:
    """Remove the checkpoints of a finished training."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _check_identity(place: Path, stored: Mapping[str, str], now: Mapping[str, str]) -> None:
    differing = [key for key in now if stored.get(key) != now[key]]
    if not differing:
        return
    raise ConfigError(
        f"the checkpoint is of another training; differing: {', '.join(differing)}",
        where=str(place),
        remedy="Use the same base, dataset and settings, or another --out.",
    )
