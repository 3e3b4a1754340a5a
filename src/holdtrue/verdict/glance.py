"""A glance at the evidence while a run goes on: whether each set is decided, and nothing more.

It decides as ``decide`` does, from the same evidence, and leaves out what a run does not need in
order to go on or stop: intervals, forecasts, watched measures, outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holdtrue.baseline import Baseline
from holdtrue.criteria import CriteriaSet, resolve_criteria
from holdtrue.scoring.measures import ScoredSession
from holdtrue.stats.evidence import ALPHA, Array, Mode
from holdtrue.stats.sequential import Bound, Decided, decide_set, evidence_pair, look_points
from holdtrue.verdict.stream import MAX_LOST, Column, Stream, make_stream
from holdtrue.verdict.types import Decision


@dataclass(frozen=True, slots=True)
class SetGlance:
    """What is decided on the criteria set ``name`` so far."""

    name: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Glance:
    """What is decided on each set; ``sessions`` are those counted, as in a verdict."""

    sessions: int
    sets: tuple[SetGlance, ...]

    @property
    def decided(self) -> bool:
        """Whether every criteria set is met or not met."""
        return all(one.decision is not Decision.UNDETERMINED for one in self.sets)


def glance(
    sessions: Sequence[ScoredSession],
    criteria: Sequence[CriteriaSet],
    baseline: Baseline | None,
    *,
    mode: str = "bounded",
    batch: int = 4,
    met_alpha: float = ALPHA,
) -> Glance:
    """The decisions that ``decide`` would come to with the same arguments.

    Raises ConfigError as ``decide`` does for sessions of several arms or scorers.
    """
    stream = make_stream(sessions)
    looks = look_points(len(stream.units), batch)
    figures = baseline.values if baseline else {}
    columns: dict[str, Column] = {}
    sets = []
    for one in criteria:
        pairs = []
        for criterion in resolve_criteria(one, figures):
            if criterion.measure not in columns:  # sets share measures
                columns[criterion.measure] = stream.column(criterion.measure)
            pairs.append(_evidence(columns[criterion.measure], criterion.bound, Mode(mode)))
        whole, _ = decide_set(pairs, looks, met_alpha=met_alpha)
        sets.append(SetGlance(one.name, _decision(whole, stream)))
    return Glance(len(stream.units), tuple(sets))


def _evidence(column: Column, bound: Bound, mode: Mode) -> tuple[Array, Array]:
    """Both processes of a criterion; neither gets anywhere where too much of it is unscored."""
    if column.lost > MAX_LOST:
        return np.full(column.values.shape, -np.inf), np.zeros(column.values.shape)
    return evidence_pair(bound, column.values, column.responses, mode)


def _decision(whole: Decided, stream: Stream) -> Decision:
    if stream.too_many_failed:
        return Decision.UNDETERMINED
    if whole.met:
        return Decision.MET
    return Decision.NOT_MET if whole.not_met else Decision.UNDETERMINED
