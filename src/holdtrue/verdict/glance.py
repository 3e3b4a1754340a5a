"""A glance at the evidence while a run goes on: whether each set is decided, and nothing more.

It decides as ``decide`` does, from the same evidence, and leaves out what a run does not need in
order to go on or stop: intervals, forecasts, watched measures, outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdtrue.baseline import Baseline
from holdtrue.criteria import CriteriaSet, resolve_criteria
from holdtrue.scoring.measures import ScoredSession
from holdtrue.stats.evidence import ALPHA
from holdtrue.stats.sequential import decide_set, evidence_pair, look_points
from holdtrue.verdict.decision import checked, decision_of
from holdtrue.verdict.stream import Column, make_stream
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

    Raises ConfigError as ``decide`` does.
    """
    chosen = checked(criteria, mode=mode, batch=batch, met_alpha=met_alpha)
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
            column = columns[criterion.measure]
            pair = evidence_pair(criterion.bound, column.values, column.responses, chosen)
            pairs.append(column.usable(pair))
        whole, _ = decide_set(pairs, looks, met_alpha=met_alpha)
        sets.append(SetGlance(one.name, decision_of(whole, stream)[0]))
    return Glance(len(stream.units), tuple(sets))
