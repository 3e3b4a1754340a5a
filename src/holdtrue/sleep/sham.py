"""Sham: the same training on text that has nothing to do with the persona, as the control.

What the sham adapter changes too is not the work of the good sessions, but of training as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from holdtrue.errors import ConfigError
from holdtrue.sleep.dataset import ChatMessage, Dataset, Example, Pair, sealed
from holdtrue.sleep.materials import materials

Kind = Literal["neutral", "shuffled"]
MEANINGS = {
    "neutral": "the same prompts, answered by plain sentences about other things",
    "shuffled": "the same prompts, each answered by the reply to another",
}


def sham_of(dataset: Dataset, kind: Kind, seed: int) -> Dataset:
    """The sham of a dataset: equal prompts, weights and numbers, other replies in ``train``.

    Held-out examples stay as they are, so that both held-out losses are of the same text.
    ``neutral`` replies are about as long as the ones they stand for, in pairs too; ``shuffled``
    pairs are the same pairs, every second one (drawn) turned round, so that what is preferred has
    nothing to do with the persona. Raises ConfigError when a dataset is too small to be shuffled.
    """
    rng = np.random.default_rng([seed, 0x5A])
    pairs: list[Pair]
    if kind == "neutral":
        train = _neutral(dataset.train, rng)
        pairs = [_neutral_pair(pair, rng) for pair in dataset.pairs]
    else:
        train, pairs = _shuffled(dataset.train, rng), _turned(dataset.pairs, rng)
    card = dataset.card.model_copy(update={"kind": "sham", "sham": kind})
    return sealed(train, dataset.held_out, pairs, card)


def _neutral(train: Sequence[Example], rng: np.random.Generator) -> list[Example]:
    return [example.answering(_plain(len(example.reply.split()), rng)) for example in train]


def _plain(wanted: int, rng: np.random.Generator) -> str:
    """Plain sentences of at least ``wanted`` words, as far as there are any."""
    sentences = materials().sham_sentences
    said: list[str] = []
    for place in rng.permutation(len(sentences)):
        said.append(sentences[place])
        if len(" ".join(said).split()) >= wanted:
            break
    return " ".join(said)


def _neutral_pair(pair: Pair, rng: np.random.Generator) -> Pair:
    def instead(said: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
        text = _plain(len(said[0].content.split()), rng)
        return (ChatMessage(role="assistant", content=text),)

    return pair.model_copy(
        update={"chosen": instead(pair.chosen), "rejected": instead(pair.rejected), "fault": "sham"}
    )


def _turned(pairs: Sequence[Pair], rng: np.random.Generator) -> list[Pair]:
    """Half of the pairs, drawn, with chosen and rejected exchanged.

    Of an odd number one more is left out, since it would be a preference. One pair gives none.
    """
    even = len(pairs) - len(pairs) % 2
    order = rng.permutation(len(pairs))[:even]
    turned = {int(place) for place in order[: even // 2]}
    out = []
    for place in sorted(int(place) for place in order):
        one = pairs[place]
        if place in turned:
            one = one.model_copy(update={"chosen": one.rejected, "rejected": one.chosen})
        out.append(one.model_copy(update={"fault": "sham"}))
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
