"""Model names with what is done to the model: ``smollm2-135m@layers=20,bits=8+sleep/cycle-002``.

A name is BASE, then ``@KEY=N,…`` for an ablation, then ``+PATH`` for an adapter. Names of remote
models (``openai:MODEL@URL``) are taken whole. Nothing is looked up here, apart from whether a file
of the whole name exists, since a file may have "@" or "+" in its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from holdtrue.errors import ConfigError, nearest

ABLATIONS: Mapping[str, tuple[int, int]] = {"layers": (1, 1_000), "bits": (1, 32)}
LOCAL_PREFIXES = ("gguf:", "hf:")


@dataclass(frozen=True, slots=True)
class ModelName:
    """The parts of a model name; ``ablation`` maps layers and bits to numbers."""

    base: str
    ablation: Mapping[str, int] = field(default_factory=dict)
    adapter: str | None = None

    def __str__(self) -> str:
        text = self.base
        if self.ablation:
            text += "@" + ",".join(f"{key}={value}" for key, value in self.ablation.items())
        return text + (f"+{self.adapter}" if self.adapter else "")

    @property
    def ablation_label(self) -> str | None:
        """The ablation as EngineFacts shows it, None for an unchanged model."""
        return ",".join(f"{key}={value}" for key, value in self.ablation.items()) or None


def parse_model(name: str) -> ModelName:
    """The parts of ``name``. Raises ConfigError for an ablation that does not exist."""
    text = name.strip()
    if not text:
        raise ConfigError("the model's name is empty")
    path = text
    for prefix in LOCAL_PREFIXES:
        path = path.removeprefix(prefix)
    if path == text and re.match(r"[a-z][\w.-]+:(?!\\)", text):
        return ModelName(text)
    if _exists(path):
        return ModelName(text)
    base, _plus, adapter = text.rpartition("+")
    if not base:
        base, adapter = text, ""
    if adapter and base.endswith(("@", "=")):
        raise ConfigError(f"{name!r} has nothing between the ablation and the adapter")
    match = re.fullmatch(r"(.+?)@([A-Za-z]\w*=.*)", base)
    ablation = _ablation(match[2], name) if match else {}
    return ModelName(match[1] if match else base, ablation, adapter or None)


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _ablation(text: str, name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in text.split(","):
        key, _equals, value = part.partition("=")
        if key not in ABLATIONS:
            raise ConfigError(f"{name!r}: no ablation {key!r}", remedy=nearest(key, ABLATIONS))
        if key in found:
            raise ConfigError(f"{name!r}: {key} is given twice")
        low, high = ABLATIONS[key]
        if not re.fullmatch(r"[0-9]{1,4}", value) or not low <= int(value) <= high:
            raise ConfigError(f"{name!r}: {key} must be a whole number from {low} to {high}")
        found[key] = int(value)
    return {key: found[key] for key in ABLATIONS if key in found}
