"""Calibrated scores: coherence, quality and identity as readers rate them, in [0, 1].

Each is a sum: an intercept plus a weight times each feature of ``features``, a feature beyond
what was seen in fitting counting as the nearest seen, clamped to [0, 1]. A rating of 1 is 0, of
5 is 1. The weights are data (``data/weights/calibrated.json``), fitted by
``scripts/fit_calibrated.py`` on labelled transcripts, with the labels' hash and the
cross-validated figures beside them.

A score ranks sessions as readers did; it is no judgement of what a reply says. It was fitted on
one persona's English sessions, so on others it is an extrapolation: measure it with ``holdtrue
calibrate`` on labels of your own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import mul
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from holdtrue.errors import ConfigError
from holdtrue.scoring.features import FEATURES, session_features
from holdtrue.scoring.findings import Reply
from holdtrue.scoring.measures import ResponseFindings
from holdtrue.scoring.repetition import Recurrence
from holdtrue.tomlfile import StrictModel

RATED: Mapping[str, str] = {
    "calibrated_coherence": "on_topic",
    "calibrated_quality": "quality",
    "calibrated_identity": "identity",
}
"""Each calibrated score with the rating that it follows."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Correlation = Annotated[float, Field(ge=-1, le=1)]


class Weight(StrictModel):
    """``weight`` per unit of the feature, signed; the range of the feature seen in fitting."""

    weight: Number
    low: Number
    high: Number


class Figure(StrictModel):
    """A Spearman correlation over sessions with its 95 % bootstrap interval."""

    spearman: Correlation
    low: Correlation | None
    high: Correlation | None


class Validation(StrictModel):
    """How sessions are ranked that the weights were not fitted on.

    ``by_transcript`` leaves out one transcript at a time, ``by_family`` all of one model.
    """

    by_transcript: Figure
    by_family: Figure


class Formula(StrictModel):
    """One score: the rating that it follows, and its sum."""

    label: str
    intercept: Number
    features: dict[str, Weight]
    cross_validation: Validation


class Training(StrictModel):
    """What the weights were fitted on; hashes are sha256, ``scorer`` the version of detectors."""

    labels_sha256: str
    transcripts_sha256: str
    sessions: int
    responses: int
    annotators: int
    models: int


class Weights(StrictModel):
    """The weights file."""

    schema_version: Literal[1] = Field(alias="schema")
    version: str
    fitted: str
    ridge: Number
    training: Training
    scores: dict[str, Formula]

    @model_validator(mode="after")
    def _fits_the_features(self) -> Weights:
        if set(self.scores) != set(RATED):
            raise ValueError(f"scores must be {', '.join(RATED)}")
        for name, formula in self.scores.items():
            if list(formula.features) != list(FEATURES):
                raise ValueError(f"{name}: features must be {', '.join(FEATURES)}")
            for feature, weight in formula.features.items():
                if weight.weight * FEATURES[feature].sign < 0:
                    raise ValueError(f"{name}: {feature} has the wrong sign")
        return self


def parse_weights(text: str, *, source: str) -> Weights:
    """Read a weights file. Raises ConfigError naming ``source`` and what does not fit."""
    try:
        return Weights.model_validate_json(text, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(
            f"{key}: {first['msg']}",
            where=source,
            remedy="Fit the weights anew: scripts/fit_calibrated.py.",
        ) from None


@cache
def shipped_weights() -> Weights:
    """The weights that come with holdtrue."""
    place = files("holdtrue") / "data" / "weights" / "calibrated.json"
    return parse_weights(place.read_text("utf-8"), source=str(place))


class Rated:
    """The calibrated scores of one response, or why it has none."""

    __slots__ = ("reason", "values")

    def __init__(self, values: Mapping[str, float] | None, reason: str | None) -> None:
        self.values = values
        self.reason = reason


def rate(
    replies: Sequence[Reply],
    findings: Sequence[ResponseFindings],
    recurring: Sequence[Recurrence],
    weights: Weights | None = None,
) -> list[Rated]:
    """The calibrated scores of every response, in order, each in [0, 1].

    Unscored: an empty response, one without words, one that is not English.
    """
    sums = _sums(weights) if weights else _shipped_sums()
    return [
        Rated(None, row.reason) if row.values is None else Rated(_scores(row.values, sums), None)
        for row in session_features(replies, findings, recurring)
    ]


@dataclass(frozen=True, slots=True)
class _Sums:
    """The sums as what they are at the lowest features, and what each feature adds from there.

    ``terms`` holds each feature with the range within which it counts, ``scores`` each score with
    its sum at the lowest and the weights of the terms in it.
    """

    terms: tuple[tuple[str, float, float], ...]
    scores: tuple[tuple[str, float, tuple[float, ...]], ...]


@cache
def _shipped_sums() -> _Sums:
    return _sums(shipped_weights())


def _sums(weights: Weights) -> _Sums:
    terms: dict[tuple[str, float, float], None] = {}
    lowest: dict[str, float] = {}
    for name, formula in weights.scores.items():
        lowest[name] = formula.intercept
        for feature, one in formula.features.items():
            if one.weight:
                terms[feature, one.low, one.high] = None
                lowest[name] += one.weight * one.low
    rows = tuple(
        (name, lowest[name], tuple(_weight(formula, *term) for term in terms))
        for name, formula in weights.scores.items()
    )
    return _Sums(tuple(terms), rows)


def _weight(formula: Formula, feature: str, low: float, high: float) -> float:
    """The weight of a feature in a formula that counts it within this range, else 0."""
    one = formula.features[feature]
    return one.weight if (one.low, one.high) == (low, high) else 0.0


def _scores(row: Mapping[str, float], sums: _Sums) -> dict[str, float]:
    beyond = [
        (high if value > high else value) - low if (value := row[feature]) > low else 0.0
        for feature, low, high in sums.terms
    ]
    found = {}
    for name, lowest, weights in sums.scores:
        total = lowest + sum(map(mul, beyond, weights))
        found[name] = 0.0 if total < 0 else 1.0 if total > 1 else total
    return found
