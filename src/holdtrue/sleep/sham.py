"""Sham: the same training on text that has nothing to do with the persona, as the control.

What the sham adapter changes too is not the work of the good sessions, but of training as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from holdtrue.errors import ConfigError
from holdtrue.sleep.dataset import Dataset, Example, sealed
from holdtrue.sleep.materials import materials

Kind = Literal["neutral", "shuffled"]
MEANINGS = {
    "neutral": "the same prompts, answered by plain sentences about other things",
    "shuffled": "the same prompts, each answered by the reply to another",
}


def sham_of(dataset: Dataset, kind: Kind, seed: int) -> Dataset:
    """The sham of a dataset: equal prompts, weights and numbers, other replies in ``train``.

    Held-out examples stay as they are, so that both held-out losses are of the same text; there
    are no pairs. ``neutral`` replies are about as long as the ones they stand for. Raises
    ConfigError when a dataset is too small to be shuffled.
    """
    rng = np.random.default_rng([seed, 0x5A])
    train = _neutral(dataset.train, rng) if kind == "neutral" else _shuffled(dataset.train, rng)
    card = dataset.card.model_copy(update={"kind": "sham", "sham": kind})
    return sealed(train, dataset.held_out, (), card)


def _neutral(train: Sequence[Example], rng: np.random.Generator) -> list[Example]:
    sentences = materials().sham_sentences
    out = []
    for example in train:
        wanted = len(example.reply.split())
        said: list[str] = []
        for place in rng.permutation(len(sentences)):
            said.append(sentences[place])
            if len(" ".join(said).split()) >= wanted:
                break
        out.append(example.answering(" ".join(said)))
    return out


def _shuffled(train: Sequence[Example], rng: np.random.Generator) -> list[Example]:
    """Every reply moves on along one random cycle, so that none stays at its own prompt."""
    if len(train) < 2:
        raise ConfigError("one example cannot be shuffled", remedy="Use the sham kind neutral.")
    order = rng.permutation(len(train))
    out = list(train)
    for place, other in zip(order, np.roll(order, 1), strict=True):
        out[place] = train[place].answering(train[other].reply)
    return out
