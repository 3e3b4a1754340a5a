"""Baselines: what an arm is compared with, as figures by measure.

Either published figures with their source, or an arm of stored transcripts, scored and averaged
over sessions. A TOML file. It says itself what it cannot support; it compares nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from holdtrue.criteria import Measure
from holdtrue.errors import ConfigError
from holdtrue.files import write_atomic
from holdtrue.persona import Line, Name
from holdtrue.scoring.measures import RATES, SESSION_MEASURES, ScoredSession
from holdtrue.stats.intervals import deviation, exact_binomial, fixed_interval, rate_interval
from holdtrue.tomlfile import StrictModel, find_data, load_toml
from holdtrue.transcript import Status, to_json

FEW_SESSIONS = 4
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Origin(StrEnum):
    """Published figures, or an arm of transcripts that we scored."""

    PUBLISHED = "published"
    ARM = "arm"


class Figure(StrictModel):
    """One value of a measure, in the measure's own unit.

    ``low`` and ``high`` are its 95 % interval over sessions where there is one, ``deviation``
    the standard deviation between them. ``cited`` marks a value that is quoted but not used,
    because the transcripts do not give it.
    """

    measure: Measure
    value: Annotated[float, Field(allow_inf_nan=False)]
    low: float | None = None
    high: float | None = None
    deviation: float | None = None
    sessions: Annotated[int, Field(ge=1)] | None = None
    source: Line | None = None
    cited: bool = False
    note: Line | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.value < 0 or (self.measure != "mean_words" and self.value > 1):
            raise ValueError(f"{self.measure} cannot be {self.value:g}")
        return self


class Baseline(StrictModel):
    """An arm or published figures to compare with.

    ``sessions`` and ``responses`` are how many it rests on, ``parameters`` the model's total,
    ``scorer`` the version of the detectors (None for published figures), ``transcripts`` the
    hashes of those it was made from.
    """

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    name: Name
    title: Line | None = None
    origin: Origin
    source: Line
    model: Name | None = None
    parameters: Annotated[int, Field(gt=0)] | None = None
    persona: Name | None = None
    protocol: Name | None = None
    phase: Name | None = None
    sessions: Annotated[int, Field(ge=1)]
    responses: Annotated[int, Field(ge=1)]
    scorer: Name | None = None
    transcripts: tuple[Name, ...] = ()
    notes: tuple[Line, ...] = ()
    figures: Annotated[tuple[Figure, ...], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _has_one_value_a_measure(self) -> Self:
        names = [one.measure for one in self.figures if not one.cited]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(
                f"more than one value that is not cited: {', '.join(sorted(repeated))}"
            )
        return self

    @property
    def values(self) -> dict[str, float]:
        """The values to compare with, by measure."""
        return {one.measure: one.value for one in self.figures if not one.cited}

    def figure(self, measure: str) -> Figure | None:
        """The figure to compare ``measure`` with, if there is one."""
        found = (one for one in self.figures if one.measure == measure and not one.cited)
        return next(found, None)

    def cited(self, measure: str) -> Figure | None:
        """A quoted figure that is not used, if there is one."""
        return next((one for one in self.figures if one.measure == measure and one.cited), None)

    @property
    def limits(self) -> tuple[str, ...]:
        """What this baseline cannot support, as sentences; empty for one of enough sessions."""
        if self.sessions >= FEW_SESSIONS:
            return ()
        few = f"{self.sessions} sessions"
        consequence = "which is too few to know how much sessions vary"
        if self.sessions == 1:
            few = "One session"
            consequence = "which says nothing of how much sessions vary, so it has no intervals"
        found = [
            f"{few} of {self.responses} responses in all, {consequence}. A difference from its "
            "figures cannot be tested; they serve as fixed bounds only."
        ]
        for measure in ("gaming_rate", "generic_ai_rate"):
            if (figure := self.figure(measure)) is None:
                continue
            events = round(figure.value * self.responses)
            low, high = exact_binomial(events, self.responses)
            found.append(
                f"{measure}: {events} of {self.responses} leaves {100 * low:.1f} to "
                f"{100 * high:.1f} % open, "
                "even if the responses were independent (Clopper-Pearson, 95 %)."
            )
        return tuple(found)


def load_baseline(reference: str, folders: tuple[Path, ...] = ()) -> Baseline:
    """The baseline at a path, or of a name in ``folders`` or among the built-in ones.

    Raises ConfigError: unknown name (nearest offered), or what is wrong in the file.
    """
    return load_toml(find_data(reference, "baselines", folders), Baseline)


def list_baselines(folders: tuple[Path, ...] = ()) -> list[Baseline]:
    """Every baseline in ``folders`` and built in, by name; the first of a name counts."""
    from importlib import resources

    builtin = Path(str(resources.files("holdtrue") / "data" / "baselines"))
    found: dict[str, Path] = {}
    for folder in (*folders, builtin):
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem.lower(), path)
    return [load_toml(found[name], Baseline) for name in sorted(found)]


def baseline_of(name: str, sessions: Sequence[ScoredSession], source: str) -> Baseline:
    """A baseline from the finished sessions of one arm; a repeated draw counts once.

    Intervals are for a number of sessions fixed beforehand, since a baseline is not looked at one
    by one.
    Raises ConfigError: nothing finished, several arms or scorers, no measure with a value.
    """
    counted = _counted(sessions)
    first = counted[0].transcript
    engine = first.engine
    figures = [
        figure
        for measure in SESSION_MEASURES
        if (figure := _figure(measure, [one.scores.values.get(measure) for one in counted]))
    ]
    if not figures:
        raise ConfigError("no measure has a value in these sessions", where=source)
    total = engine.get("parameters_total")
    return Baseline(
        name=name,
        origin=Origin.ARM,
        source=source,
        model=first.model,
        parameters=total if isinstance(total, int) and total > 0 else None,
        persona=first.persona.name,
        protocol=first.protocol.name if first.protocol else None,
        phase=first.protocol.phase if first.protocol else None,
        sessions=len(counted),
        responses=sum(len(one.transcript.turns) for one in counted),
        scorer=counted[0].scores.scorer,
        transcripts=tuple(_hash(one) for one in counted),
        figures=tuple(figures),
    )


def _counted(sessions: Sequence[ScoredSession]) -> list[ScoredSession]:
    """Finished sessions of one arm and scorer, each draw once."""
    finished = [one for one in sessions if one.transcript.status is Status.COMPLETE]
    found = list({one.transcript.draw: one for one in reversed(finished)}.values())[::-1]
    if not found:
        raise ConfigError(f"none of {len(sessions)} sessions is finished: no baseline from them")
    arms = {one.transcript.arm for one in found}
    scorers = {one.scores.scorer for one in found}
    if len(arms) > 1 or len(scorers) > 1:
        what = f"{len(arms)} arms" if len(arms) > 1 else f"{len(scorers)} scorer versions"
        raise ConfigError(
            f"these sessions are of {what}; a baseline is one arm",
            remedy="Add sessions of equal persona, protocol, phase, model and sampling together.",
        )
    return found


def _figure(measure: str, values: Sequence[float | None]) -> Figure | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    interval = rate_interval(known) if measure in RATES else fixed_interval(known)
    ceiling = np.inf if measure == "mean_words" else 1.0
    low, high = (None, None)
    if interval:
        low, high = max(0.0, interval[0]), float(min(ceiling, interval[1]))
    spread = deviation(known)
    return Figure(
        measure=measure,
        value=_rounded(float(np.mean(known))),
        low=None if low is None else _rounded(low),
        high=None if high is None else _rounded(high),
        deviation=None if spread is None else _rounded(spread),
        sessions=len(known),
    )


def _rounded(value: float) -> float:
    return round(value, 6)


def _hash(session: ScoredSession) -> str:
    return hashlib.sha256(to_json(session.transcript).encode()).hexdigest()[:16]


def write_baseline(baseline: Baseline, folder: Path) -> Path:
    """Store a baseline as ``folder/NAME.toml``.

    Raises ConfigError for a name that cannot be a file's, or that is already there.
    """
    if not FILE_NAME.fullmatch(baseline.name):
        raise ConfigError(
            f"{baseline.name!r} cannot be a file name",
            remedy="Use letters, digits, dots, dashes and underscores, 64 at most.",
        )
    path = folder / f"{baseline.name}.toml"
    if path.exists():
        raise ConfigError(
            "a baseline of that name is already there",
            where=str(path),
            remedy="Choose another name, or remove the file.",
        )
    return write_atomic(path, to_toml(baseline))


def to_toml(baseline: Baseline) -> str:
    """The TOML form, which ``load_baseline`` reads back to an equal value."""
    body = baseline.model_dump(mode="json", by_alias=True, exclude_none=True)
    figures = body.pop("figures")
    lines = [f"{key} = {_toml(value)}" for key, value in body.items() if value != []]
    for figure in figures:
        lines += ["", "[[figures]]"]
        lines += [f"{key} = {_toml(value)}" for key, value in figure.items() if value is not False]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A JSON value as TOML: strings are escaped alike, except for the control character DEL."""
    import json

    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
