"""Linear scores with weights kept as data in ``data/weights/findings.toml``.

The weights are fitted by ``benchmarks/fit_findings.py``; this module only reads and applies them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from holdtrue.scoring.text import Text


@dataclass(frozen=True, slots=True)
class Linear:
    """A logistic model: it says yes where ``score`` is above 0."""

    bias: float
    weights: Mapping[str, float]

    def score(self, features: Mapping[str, float]) -> float:
        """Log odds of the features; one that is absent, or has no weight, counts as 0."""
        total = self.bias
        weights = self.weights
        for name, value in features.items():
            if value:
                total += weights.get(name, 0.0) * value
        return total


@lru_cache(maxsize=8)
def linear(name: str) -> Linear:
    """The model of that name. Raises KeyError for a name that the file lacks."""
    source = resources.files("holdtrue") / "data" / "weights" / "findings.toml"
    table = tomllib.loads(source.read_text(encoding="utf-8"))[name]
    bias = float(table.pop("bias"))
    return Linear(bias, {key: float(value) for key, value in table.items()})


def log_odds(name: str, text: Text, features: Mapping[str, float]) -> float:
    """Log odds of a model whose words have weights too: its features, and the words' mean."""
    return linear(name).score(features) + text.mean_weight(name)
