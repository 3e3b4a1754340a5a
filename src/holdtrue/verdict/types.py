"""What a verdict is made of: frozen values with a JSON form. Nothing is computed here.

Evidence is stored as log10 of the e-process W, never below ``LOG10_FLOOR`` (which stands for
W = 0 too). A decision is taken where it is at least log10(1/alpha), 1.301 for alpha = 0.05.
Intervals are anytime-valid: each end holds with confidence 1 - alpha, however often one looks.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import Field

from holdtrue.stats.evidence import Direction, Kind, Mode
from holdtrue.tomlfile import StrictModel

LOG10_FLOOR = -300.0


class Decision(StrEnum):
    MET = "met"
    NOT_MET = "not met"
    UNDETERMINED = "undetermined"


class Outcome(StrEnum):
    """The four patterns of design.md, or none of them."""

    SUCCESS = "A"
    GAMING_PERSISTS = "B"
    NEW_FAILURE = "C"
    SAME_FAILURE = "D"
    INCONCLUSIVE = "inconclusive"


class Watch(StrEnum):
    """How a secondary measure stands against its limits and the baseline.

    OLD_FAILURE: beyond its limits, and so was the baseline. SHOWN: no limit, shown beside.
    """

    FINE = "fine"
    NEW_FAILURE = "new failure"
    OLD_FAILURE = "old failure"
    UNKNOWN = "unknown"
    SHOWN = "shown"


class Look(StrictModel):
    """Evidence after ``sessions`` sessions, as log10 W for *met* and for *not met*."""

    sessions: int
    met_evidence: float
    not_met_evidence: float


class CriterionResult(StrictModel):
    """One criterion on the sessions seen.

    ``decided_at`` is the number of sessions at the look that decided. ``estimate`` is the mean
    over sessions, in [0, 1]; None without a scored session, as are ``low`` and ``high``.
    ``sessions`` and ``responses`` are those with a value, ``unscored`` the sessions without.
    ``correlation`` (rates) is the observed intra-session correlation, ``deviation`` the
    standard deviation between sessions; None where they cannot be estimated. ``forecast`` is the
    total number of sessions at which it would be met if all further ones are clean (no event,
    full score): the earliest possible.
    """

    measure: str
    kind: Kind
    direction: Direction
    bound: float
    decision: Decision
    decided_at: int | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    sessions: int = 0
    responses: int = 0
    unscored: int = 0
    correlation: float | None = None
    deviation: float | None = None
    looks: tuple[Look, ...] = ()
    forecast: int | None = None
    source: str | None = None
    note: str | None = None


class SetLook(StrictModel):
    """log10 of the average of the criteria's not-met evidence after ``sessions`` sessions."""

    sessions: int
    not_met_evidence: float


class Forecast(StrictModel):
    """Total sessions to a decision, counting those seen; None where no end is in sight.

    ``clean`` is the earliest possible: every further session clean (no event, full scores);
    ``median`` a rough bootstrap median from the sessions seen, ``low`` and ``high`` its
    quartiles, ``limit`` the number of sessions beyond which nothing was tried.
    """

    clean: int | None = None
    median: int | None = None
    low: int | None = None
    high: int | None = None
    limit: int
    note: str


class SetResult(StrictModel):
    """A criteria set: met when every criterion is, not met by the averaged evidence."""

    name: str
    decision: Decision
    decided_at: int | None = None
    criteria: tuple[CriterionResult, ...]
    looks: tuple[SetLook, ...] = ()
    forecast: Forecast | None = None
    criteria_digest: str
    note: str | None = None

    def criterion(self, measure: str) -> CriterionResult | None:
        """The result for ``measure``, if the set bounds it."""
        return next((one for one in self.criteria if one.measure == measure), None)


class SecondaryResult(StrictModel):
    """A measure watched for new failure modes. ``estimate`` is in the measure's own unit."""

    measure: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    lower: float | None = None
    upper: float | None = None
    sessions: int = 0
    status: Watch
    note: str | None = None


class Question(StrictModel):
    """One of the report's questions; ``open`` where the evidence does not answer it."""

    question: str
    answer: str
    open: bool


class Exclusion(StrictModel):
    """Sessions that were not counted: what, how many, why."""

    what: str
    count: int
    reason: str


class JudgeRecord(StrictModel):
    """The judge whose ratings are among the measures, and what is known of its worth.

    ``agreement`` says in words how far it agreed with people, or that this was not measured
    (``calibrated`` false). ``unscored`` of ``responses`` have no rating, ``reasons`` say why.
    """

    model: str
    weights: str | None
    adapter: str | None
    rubric: str
    rubric_digest: str
    calibrated: bool
    agreement: str
    responses: int
    unscored: int
    reasons: dict[str, int] = Field(default_factory=dict)


class Verdict(StrictModel):
    """Everything that is concluded from the sessions of one arm.

    ``sets`` are decided on the same stream; the outcome rests on ``outcome_set``. ``possible``
    are the outcomes that further sessions could still give. ``sessions`` are those counted
    (a chain as one), ``responses`` theirs; ``failed`` and ``excluded`` sessions are not counted.
    ``alpha`` is the error rate of *not met* and of intervals, ``met_alpha`` that of *met*.
    ``judge`` is None where no model rated. ``scorer``, ``arm`` and ``model`` are None where there
    is no session, or nobody recorded it.
    """

    sets: tuple[SetResult, ...]
    outcome: Outcome
    outcome_set: str
    possible: tuple[Outcome, ...] = ()
    meaning: str
    next_step: str
    mode: Mode
    alpha: float
    met_alpha: float = 0.05
    batch: int
    budget: int
    sessions: int
    responses: int
    failed: int
    excluded: tuple[Exclusion, ...] = ()
    warnings: tuple[str, ...] = ()
    secondary: tuple[SecondaryResult, ...] = ()
    questions: tuple[Question, ...] = ()
    family: str
    scorer: str | None = None
    arm: str | None = None
    model: str | None = None
    baseline: str | None = None
    baseline_digest: str | None = None
    judge: JudgeRecord | None = None

    @property
    def decided(self) -> bool:
        """Whether every criteria set is met or not met."""
        return all(one.decision is not Decision.UNDETERMINED for one in self.sets)

    def set_named(self, name: str) -> SetResult | None:
        """The result for the criteria set ``name``, if it was asked for."""
        return next((one for one in self.sets if one.name == name), None)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``from_dict`` gives an equal verdict back."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, body: Any) -> Self:
        """Read ``as_dict``. Raises pydantic.ValidationError for anything else."""
        return cls.model_validate(body)
