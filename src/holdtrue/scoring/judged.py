"""A judge's ratings as measures of a session, so that criteria can bound them.

A rating ``quality`` of the rubric gives the measure ``judge_quality``: the mean over the session's
rated responses, 1 as 0 and 5 as 1. Responses without a rating are left out and counted with their
reasons, never zero. It calls no judge and says nothing of a judge's worth; that is
``judge_calibration``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from holdtrue.scoring.labels import HIGHEST, LOWEST
from holdtrue.scoring.measures import JUDGED, ResponseScores, ScoredSession, tidy
from holdtrue.scoring.rubric import Judgement


def measures_of(ratings: Sequence[str]) -> tuple[str, ...]:
    """The measures' names of a rubric's ratings."""
    return tuple(JUDGED + rating for rating in ratings)


def with_ratings(
    session: ScoredSession, judgements: Sequence[Judgement], ratings: Sequence[str]
) -> ScoredSession:
    """The session with the measures of a judge added; ``judgements`` are one per response."""
    scores = session.scores
    values, unscored = dict(scores.values), dict(scores.unscored)
    rated = [one.ratings for one in judgements if one.ratings is not None]
    for name, key in zip(measures_of(ratings), ratings, strict=True):
        if rated:
            share = sum(_share(one[key]) for one in rated) / len(rated)
            values[name] = tidy(share)
        else:
            reasons = dict.fromkeys(one.reason or "no reason given" for one in judgements)
            values[name] = None
            unscored[name] = "; ".join(reasons) or "the session has no response"
    return replace(
        session,
        scores=replace(
            scores,
            values=values,
            unscored=unscored,
            response_scores=tuple(
                _with_rating(one, judgement, ratings)
                for one, judgement in zip(scores.response_scores, judgements, strict=True)
            ),
        ),
    )


def _with_rating(
    scores: ResponseScores, judgement: Judgement, ratings: Sequence[str]
) -> ResponseScores:
    values, unscored = dict(scores.values), dict(scores.unscored)
    for name, key in zip(measures_of(ratings), ratings, strict=True):
        if judgement.ratings is None:
            values[name] = None
            unscored[name] = judgement.reason or "no reason given"
        else:
            values[name] = tidy(_share(judgement.ratings[key]))
    return replace(scores, values=values, unscored=unscored)


def _share(rating: int) -> float:
    return (rating - LOWEST) / (HIGHEST - LOWEST)
