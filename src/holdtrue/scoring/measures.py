"""The values that scoring produces: findings per response, scores per session.

Unknown is never zero: a measure without a value is None and has its reason in ``unscored``. What is
made for every response or session is not a frozen dataclass, which takes three times as long to
make, but nothing changes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from holdtrue.transcript import Transcript


class Naming(StrEnum):
    """How a self-reference or partnership language reads."""

    NONE = "none"
    NATURAL = "natural"
    MECHANICAL = "mechanical"


class Span(NamedTuple):
    """Characters ``start:end`` of a response on which a finding rests, and why (one line)."""

    measure: str
    start: int
    end: int
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "start": self.start,
            "end": self.end,
            "reason": self.reason,
        }


@dataclass(slots=True)
class ResponseFindings:
    """What the detectors say of one response; ``index`` counts from 1.

    A value of None is unscored, with its reason in ``unscored`` under the measure's name.
    """

    index: int
    words: int
    self_reference: Naming | None = None
    generic_ai: bool | None = None
    lecture: bool | None = None
    truncated: bool | None = None
    partnership: Naming | None = None
    confabulated: bool | None = None
    spans: tuple[Span, ...] = ()
    unscored: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The object that ``holdtrue score --json`` prints for a response."""
        body: dict[str, Any] = {
            name: getattr(self, name) for name in ("index", "words", *FINDING_NAMES)
        }
        body["spans"] = [span.as_dict() for span in self.spans]
        if self.unscored:
            body["unscored"] = dict(self.unscored)
        return body


FINDING_NAMES = (
    "self_reference",
    "generic_ai",
    "lecture",
    "truncated",
    "partnership",
    "confabulated",
)

SESSION_MEASURES: Mapping[str, str] = {
    "gaming_rate": "share of responses with a mechanical self-reference",
    "generic_ai_rate": "share of responses that speak as a generic AI",
    "truncation_rate": "share of responses that are cut off",
    "mean_words": "mean words of a response",
    "d9": "surface score D9, mean over responses",
    "quality": "surface quality of the session",
    "identity_coherence": "0.5 D9 + 0.3 self-reference + 0.2 quality",
    "calibrated_coherence": "coherence as readers rate it, 0 to 1",
    "calibrated_quality": "quality as readers rate it, 0 to 1",
    "calibrated_identity": "identity as readers rate it, 0 to 1",
    "self_identification_rate": "share of responses with any self-reference by name",
    "mechanical_partnership_rate": "share of responses with stock partnership phrases",
    "partnership_density": "share of responses with natural partnership language",
    "lecture_rate": "share of responses in a lecturing voice",
    "confabulation_rate": "share of responses that assert unsupported events",
    "repetition": "mean overlap of a response with the session's earlier ones, 0 to 1",
}

RATES = frozenset(
    {
        "gaming_rate",
        "generic_ai_rate",
        "truncation_rate",
        "self_identification_rate",
        "mechanical_partnership_rate",
        "partnership_density",
        "lecture_rate",
        "confabulation_rate",
    }
)


JUDGED = "judge_"
"""What the names of a judge's measures begin with; the rest is a rating of its rubric."""


def is_judged(measure: str) -> bool:
    """Whether a measure is the mean of a judge's ratings."""
    return measure.startswith(JUDGED) and measure.removeprefix(JUDGED).isidentifier()


_BILLION = 1e9


def tidy(value: float) -> float:
    """A score of at least 0 to nine decimals, so that sums of tenths come out as tenths.

    The same as ``round`` but for ties, at a tenth of the time.
    """
    return (value * _BILLION + 0.5) // 1 / _BILLION


@dataclass(slots=True)
class ResponseScores:
    """The scores of one response, by name (RESPONSE_SCORES); ``index`` counts from 1.

    A value of None is unscored, with its reason in ``unscored`` under the score's name.
    """

    index: int
    values: Mapping[str, float | None]
    unscored: Mapping[str, str] = field(default_factory=dict)


RESPONSE_SCORES = ("d9", "calibrated_coherence", "calibrated_quality", "calibrated_identity")


@dataclass(slots=True)
class SessionScores:
    """The scores of one session, by the names of SESSION_MEASURES.

    ``scorer`` identifies the detectors and weights; scores of different scorers are never pooled.
    ``response_scores`` runs parallel to ``responses``.
    """

    responses: tuple[ResponseFindings, ...]
    values: Mapping[str, float | None]
    unscored: Mapping[str, str]
    scorer: str
    response_scores: tuple[ResponseScores, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The object that ``holdtrue score --json`` prints under ``session_scores``."""
        body: dict[str, Any] = dict(self.values)
        if self.unscored:
            body["unscored"] = dict(self.unscored)
        return body


@dataclass(frozen=True, slots=True)
class ScoredSession:
    """A transcript with its scores, the unit that statistics see."""

    transcript: Transcript
    scores: SessionScores
