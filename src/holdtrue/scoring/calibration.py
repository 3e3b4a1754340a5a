"""What ``holdtrue calibrate`` finds: comparisons of measures with human labels, as values.

It computes nothing; ``calibrator`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdtrue.scoring.agreement import ClassAgreement, ValueAgreement


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One place where the labels and what was told are far apart; ``gap`` grows with it."""

    measure: str
    file: str
    response: int | None
    labelled: Any
    told: Any
    gap: float
    spans: tuple[Mapping[str, Any], ...] = ()
    excerpt: str = ""

    def as_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "file": self.file,
            "response": self.response,
            "labelled": self.labelled,
            "told": self.told,
        }
        if self.response is not None:
            body.update(spans=[dict(span) for span in self.spans], excerpt=self.excerpt)
        return body


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure against the labels. ``level`` is response or session.

    ``unscored`` counts what had labels but no value.
    """

    measure: str
    label: str
    level: str
    result: ClassAgreement | ValueAgreement
    unscored: int = 0
    worst: tuple[Disagreement, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "label": self.label,
            "level": self.level,
            "unscored": self.unscored,
            **self.result.as_dict(),
            "worst": [item.as_dict() for item in self.worst],
        }


@dataclass(frozen=True, slots=True)
class Calibration:
    """Everything that one label file says of the measures."""

    file: str
    annotators: tuple[str, ...]
    sessions: int
    responses: int
    scorer: str
    detectors: tuple[Comparison, ...]
    scores: tuple[Comparison, ...]
    between: tuple[tuple[str, str, tuple[Comparison, ...]], ...] = ()
    judge: tuple[Comparison, ...] = ()
    judge_unscored: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "labels": self.file,
            "annotators": list(self.annotators),
            "transcripts": self.sessions,
            "responses": self.responses,
            "scorer": self.scorer,
            "detectors": [comparison.as_dict() for comparison in self.detectors],
            "scores": [comparison.as_dict() for comparison in self.scores],
            "between_annotators": [
                {"annotators": [a, b], "measures": [c.as_dict() for c in comparisons]}
                for a, b, comparisons in self.between
            ],
        }
        if self.judge or self.judge_unscored:
            body["judge"] = {
                "measures": [comparison.as_dict() for comparison in self.judge],
                "unscored": dict(self.judge_unscored),
            }
        return body
