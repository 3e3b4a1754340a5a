"""Criteria sets: bounds on rates and scores, and limits on measures that are watched.

A TOML file. A bound is a number, or relative to the baseline: ``at_most = "baseline + 0.05"``.
This file only describes; evidence and decisions are made in ``stats`` and ``verdict``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from holdtrue.errors import ConfigError, nearest
from holdtrue.persona import Line, Name
from holdtrue.scoring.measures import RATES, SESSION_MEASURES, is_judged
from holdtrue.stats.evidence import Direction, Kind
from holdtrue.stats.sequential import Bound
from holdtrue.tomlfile import StrictModel, find_data, load_toml

Limit = float | str
RELATIVE = re.compile(r"baseline(?:\s*([+-])\s*(\d+(?:\.\d+)?|\.\d+))?")
UNBOUNDED = frozenset({"mean_words"})


def known_measure(name: str) -> str:
    """``name`` if it is a measure of a session, or of a judge. Raises ValueError offering the
    nearest."""
    if name not in SESSION_MEASURES and not is_judged(name):
        raise ValueError(f"unknown measure {name!r}. {nearest(name, SESSION_MEASURES)}")
    return name


Measure = Annotated[Name, AfterValidator(known_measure)]


class _Limited(StrictModel):
    """A measure with ``at_most`` or ``at_least``: a number, or "baseline + 0.05"."""

    measure: Measure
    at_most: Limit | None = None
    at_least: Limit | None = None
    note: Line | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        for limit in (self.at_most, self.at_least):
            if isinstance(limit, str) and not RELATIVE.fullmatch(limit):
                raise ValueError(
                    f"{limit!r} is neither a number nor like 'baseline', 'baseline + 0.05'"
                )
            if isinstance(limit, float) and self.measure not in UNBOUNDED:
                _check_range(self.measure, limit)
        return self


class Criterion(_Limited):
    """A bound that decides. Exactly one of ``at_most`` and ``at_least``."""

    @model_validator(mode="after")
    def _is_one_bound(self) -> Self:
        if self.measure in UNBOUNDED:
            raise ValueError(
                f"{self.measure!r} has no range [0, 1]; it can be watched, not bounded"
            )
        if (self.at_most is None) is (self.at_least is None):
            raise ValueError("give either at_most or at_least")
        return self


class WatchLimit(_Limited):
    """Limits of a measure that is watched for new failure modes. One of them, or both."""

    @model_validator(mode="after")
    def _has_limits(self) -> Self:
        if self.at_most is None and self.at_least is None:
            raise ValueError("give at_most, at_least or both")
        both = (self.at_least, self.at_most)
        if isinstance(both[0], float) and isinstance(both[1], float) and both[0] >= both[1]:
            raise ValueError(f"at_least {both[0]} is not below at_most {both[1]}")
        return self


class CriteriaSet(StrictModel):
    """Criteria that have to be met together. ``watch`` may be empty."""

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    name: Name
    description: Line | None = None
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1, max_length=50)]
    watch: Annotated[tuple[WatchLimit, ...], Field(max_length=50)] = ()

    @model_validator(mode="after")
    def _names_each_measure_once(self) -> Self:
        for entries in (self.criteria, self.watch):
            names = [one.measure for one in entries]
            if repeated := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"more than once: {', '.join(sorted(repeated))}")
        return self

    @property
    def family(self) -> str:
        """Which families of scores it rests on: surface, calibrated, judged; or rates only."""
        scores = [one.measure for one in self.criteria if one.measure not in RATES]
        return " and ".join(sorted(set(map(_family, scores)))) or "rates only"

    @property
    def judged(self) -> tuple[str, ...]:
        """The measures among criteria and watched ones that only a judge can give."""
        return tuple(one.measure for one in (*self.criteria, *self.watch) if is_judged(one.measure))


def _family(score: str) -> str:
    if is_judged(score):
        return "judged"
    return "calibrated" if score.startswith("calibrated_") else "surface"


@dataclass(frozen=True, slots=True)
class ResolvedCriterion:
    """A criterion with its bound as a number, and where that number comes from."""

    measure: str
    bound: Bound
    source: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedWatch:
    """Limits of a watched measure as numbers, in its own unit."""

    measure: str
    lower: float | None
    upper: float | None
    note: str | None = None


def load_criteria(reference: str, folders: tuple[Path, ...] = ()) -> CriteriaSet:
    """The criteria set at a path, or of a name in ``folders`` or among the built-in ones.

    Raises ConfigError: unknown name (nearest offered), unknown measure, impossible bound.
    """
    return load_toml(find_data(reference, "criteria", folders), CriteriaSet)


def kind_of(measure: str) -> Kind:
    """Whether a measure is a rate over responses or a score of the session."""
    return Kind.RATE if measure in RATES else Kind.SCORE


def resolve_criteria(
    criteria: CriteriaSet, baseline: Mapping[str, float]
) -> tuple[ResolvedCriterion, ...]:
    """The criteria with bounds as numbers. ``baseline`` has its values by measure.

    Raises ConfigError when a relative bound has no baseline value, or falls outside (0, 1).
    """
    found = []
    for one in criteria.criteria:
        direction = Direction.AT_LEAST if one.at_most is None else Direction.AT_MOST
        limit = one.at_least if one.at_most is None else one.at_most
        assert limit is not None
        value, source = _number(one.measure, limit, baseline, criteria.name)
        bound = Bound(kind_of(one.measure), direction, value)
        found.append(ResolvedCriterion(one.measure, bound, one.note or source))
    return tuple(found)


def resolve_watch(
    criteria: CriteriaSet, baseline: Mapping[str, float]
) -> tuple[ResolvedWatch, ...]:
    """The watched measures with limits as numbers.

    A limit is None where the baseline value that it rests on is unknown, and where it would lie
    outside the range that the measure can have, so that nothing is beyond it.
    """
    found = []
    for one in criteria.watch:
        note = one.note
        relative = isinstance(one.at_least, str) or isinstance(one.at_most, str)
        if relative and one.measure not in baseline:
            note = "its limit is relative to the baseline, which has no such figure"
        lower = _watch_limit(one.measure, one.at_least, baseline)
        upper = _watch_limit(one.measure, one.at_most, baseline)
        found.append(ResolvedWatch(one.measure, lower, upper, note))
    return tuple(found)


def _watch_limit(measure: str, limit: Limit | None, baseline: Mapping[str, float]) -> float | None:
    if limit is None or (isinstance(limit, str) and measure not in baseline):
        return None
    value = limit if isinstance(limit, float) else _relative(limit, baseline[measure])
    inside = value > 0 and (measure in UNBOUNDED or value < 1)
    return value if inside else None


def _relative(limit: str, baseline: float) -> float:
    match = RELATIVE.fullmatch(limit)
    assert match is not None
    margin = float(match[2] or 0) * (-1 if match[1] == "-" else 1)
    return round(baseline + margin, 12)


def _number(
    measure: str, limit: Limit, baseline: Mapping[str, float], name: str
) -> tuple[float, str | None]:
    """A limit as a number, and what a relative one was relative to."""
    if isinstance(limit, float):
        return limit, None
    if measure not in baseline:
        raise ConfigError(
            f"{measure} is bounded by {limit!r}, but the baseline has no {measure}",
            where=f"criteria {name}",
            remedy="Name a baseline that has it with --baseline, or give a number.",
        )
    value = _relative(limit, baseline[measure])
    try:
        _check_range(measure, value)
    except ValueError as error:
        raise ConfigError(f"{limit} is {value:g}: {error}", where=f"criteria {name}") from None
    return value, f"{limit}, with the baseline at {baseline[measure]:.3f}"


def _check_range(measure: str, limit: float) -> None:
    """Raises ValueError for a bound that no number of sessions can decide."""
    if not 0 < limit < 1:
        raise ValueError(
            f"a bound of {limit:g} on {measure} cannot be decided by finitely many sessions: "
            "it must lie strictly between 0 and 1 (for '0 %' use, say, 0.05)"
        )
