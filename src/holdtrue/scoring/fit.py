"""Fitting the calibrated scores to labels: ridge regression with the signs fixed beforehand.

Least squares on responses, every session of equal weight, features standardised, an L2 penalty
on the weights, and no weight against its feature's direction (non-negative least squares after
turning the features; Lawson and Hanson 1974). Validation leaves out whole transcripts, or all
transcripts of a model, and ranks sessions by the mean of their responses.

It is not part of scoring: the fitted weights are stored, and scoring reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdtrue.errors import TranscriptError
from holdtrue.scoring import agreement
from holdtrue.scoring.calibrated import RATED, Figure, Formula, Validation, Weight
from holdtrue.scoring.features import FEATURES, session_features
from holdtrue.scoring.findings import find, replies_of
from holdtrue.scoring.labels import HIGHEST, LOWEST, Index, LabelFile
from holdtrue.scoring.repetition import recurrences
from holdtrue.transcript import Transcript

RIDGE = 0.1
"""Fixed, not chosen by validation: 0.03 to 0.3 rank alike (docs/log.md)."""
FEWEST_SESSIONS = 10

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sample:
    """Labelled responses: features (n, f), one rating in [0, 1] each (n), session and family
    numbers (n)."""

    features: Reals
    ratings: Reals
    sessions: Integers
    families: Integers


@dataclass(frozen=True, slots=True)
class Line:
    """A fitted sum: intercept, signed weights (f), and the range of each feature (f)."""

    intercept: float
    weights: Reals
    low: Reals
    high: Reals

    def predict(self, features: Reals) -> Reals:
        """Scores (n) in [0, 1] of features (n, f)."""
        within = np.clip(features, self.low, self.high)
        return np.clip(self.intercept + within @ self.weights, 0.0, 1.0)


def sample(transcripts: Sequence[Transcript], labels: LabelFile, rating: str) -> Sample:
    """The responses that have the rating and features; several annotators are averaged.

    Raises TranscriptError: a label means no transcript, or too few sessions are rated.
    """
    rated: dict[tuple[int, int], list[int]] = {}
    index = Index(transcripts)
    for label in labels.labels:
        if rating in label.values:
            place = (index.position(label), label.response - 1)
            rated.setdefault(place, []).append(int(label.values[rating]))
    if len({position for position, _turn in rated}) < FEWEST_SESSIONS:
        raise TranscriptError(
            f"fewer than {FEWEST_SESSIONS} sessions have the rating {rating}",
            where=str(labels.path),
            remedy="Label more sessions: weights fitted on so few would say nothing.",
        )
    families = {name: number for number, name in enumerate(sorted(map(_family, transcripts)))}
    rows, ratings, sessions, kinds = [], [], [], []
    for position, transcript in enumerate(transcripts):
        replies = replies_of(transcript)
        recurring = recurrences(replies)
        found = find(transcript, replies)
        for turn, row in enumerate(session_features(replies, found, recurring)):
            given = rated.get((position, turn))
            if given is None or row.values is None:
                continue
            rows.append([row.values[name] for name in FEATURES])
            ratings.append((np.mean(given) - LOWEST) / (HIGHEST - LOWEST))
            sessions.append(position)
            kinds.append(families[_family(transcript)])
    return Sample(np.array(rows), np.array(ratings), np.array(sessions), np.array(kinds))


def _family(transcript: Transcript) -> str:
    return transcript.model or "unknown"


def fit(data: Sample, ridge: float = RIDGE) -> Line:
    """The weights that minimise squared error plus ``ridge`` x squared standardised weights."""
    from scipy.optimize import nnls

    signs = np.array([feature.sign for feature in FEATURES.values()], dtype=float)
    _known, places, counts = np.unique(data.sessions, return_inverse=True, return_counts=True)
    share = 1.0 / counts[places]
    share /= share.sum()
    mean = share @ data.features
    spread = np.sqrt(share @ (data.features - mean) ** 2)
    spread[spread < 1e-9] = 1.0
    turned = signs * (data.features - mean) / spread
    level = float(share @ data.ratings)
    root = np.sqrt(share)
    left = np.vstack([turned * root[:, None], np.sqrt(ridge) * np.eye(len(signs))])
    right = np.concatenate([(data.ratings - level) * root, np.zeros(len(signs))])
    weights = signs * nnls(left, right)[0] / spread + 0.0  # no negative zeros
    return Line(
        intercept=level - float(weights @ mean),
        weights=weights,
        low=data.features.min(axis=0),
        high=data.features.max(axis=0),
    )


def held_out(data: Sample, groups: Integers, ridge: float = RIDGE) -> Reals:
    """The score (n) of every response by weights fitted without its group."""
    scores = np.empty(len(data.ratings))
    for group in np.unique(groups):
        out = groups == group
        rest = Sample(
            data.features[~out], data.ratings[~out], data.sessions[~out], data.families[~out]
        )
        scores[out] = fit(rest, ridge).predict(data.features[out])
    return scores


def ranking(data: Sample, scores: Reals, rng: np.random.Generator) -> Figure:
    """Spearman over sessions of mean scores with mean ratings; resamples sessions."""
    known = np.unique(data.sessions)
    told = [float(scores[data.sessions == number].mean()) for number in known]
    labelled = [float(data.ratings[data.sessions == number].mean()) for number in known]
    found = agreement.on_values(labelled, told, list(range(len(known))), rng).spearman
    if found.value is None:
        raise TranscriptError(f"the ratings cannot be ranked: {found.reason}")
    return Figure(
        spearman=round(found.value, 3),
        low=None if found.low is None else round(found.low, 3),
        high=None if found.high is None else round(found.high, 3),
    )


def formulas(
    transcripts: Sequence[Transcript], labels: LabelFile, rng: np.random.Generator
) -> dict[str, Formula]:
    """Every calibrated score, fitted on all labelled responses and validated without them."""
    found = {}
    for name, rating in RATED.items():
        data = sample(transcripts, labels, rating)
        line = fit(data)
        found[name] = Formula(
            label=rating,
            intercept=round(line.intercept, 4),
            features={
                feature: Weight(
                    weight=round(float(line.weights[place]), 4),
                    low=round(float(line.low[place]), 4),
                    high=round(float(line.high[place]), 4),
                )
                for place, feature in enumerate(FEATURES)
            },
            cross_validation=Validation(
                by_transcript=ranking(data, held_out(data, data.sessions), rng),
                by_family=ranking(data, held_out(data, data.families), rng),
            ),
        )
    return found
