"""What is known of a rung once it has been tested, and of a ladder: values with a JSON form.

A rung's verdict is that of its capacity test; here it is only put beside the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from holdtrue.capacity import RunRecord
from holdtrue.ladder.plan import Ladder, Rung
from holdtrue.ladder.search import Found, Place, Standing, find, order, reached, reversals, waiting
from holdtrue.stats.evidence import Direction
from holdtrue.tomlfile import StrictModel
from holdtrue.verdict import Decision, Outcome, Verdict, decide

STANDINGS = {
    Decision.MET: Standing.MET,
    Decision.NOT_MET: Standing.NOT_MET,
    Decision.UNDETERMINED: Standing.UNDETERMINED,
}
SHOWN_FACTS = (
    "architecture",
    "parameters_total",
    "parameters_active",
    "bits",
    "file_bytes",
    "context_length",
    "source",
    "source_hash",
    "device",
    "ablation",
    "adapter",
)


class Measured(StrictModel):
    """One measure at a rung: mean over sessions with its anytime-valid interval, and its bound."""

    measure: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    sessions: int = 0
    bound: float | None = None
    direction: Direction | None = None
    decision: Decision | None = None


class RungResult(StrictModel):
    """What came of a rung. ``decisions`` are by criteria set; ``reason`` says why nothing did.

    ``seconds`` are wall seconds of generation, ``peak_bytes`` the most memory that the process
    held meanwhile, ``accelerator_bytes`` the same of accelerators; ``facts`` are the engine's.
    """

    name: str
    standing: Standing
    reason: str | None = None
    decisions: dict[str, Decision] = Field(default_factory=dict)
    outcome: Outcome | None = None
    sessions: int = 0
    responses: int = 0
    failed: int = 0
    measures: tuple[Measured, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    peak_bytes: int | None = None
    accelerator_bytes: int | None = None
    facts: dict[str, Any] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def measure(self, name: str) -> Measured | None:
        """The measure of that name, if the rung has it."""
        return next((one for one in self.measures if one.measure == name), None)

    @property
    def tokens(self) -> int:
        """Prompt and reply tokens."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class LadderResult:
    """A ladder with what was found. ``results`` are by rung name, only of rungs that count.

    ``places`` and ``standings`` belong to ``ladder.rungs``, in that order.
    """

    ladder: Ladder
    places: tuple[Place, ...]
    results: Mapping[str, RungResult]

    @property
    def standings(self) -> list[Standing]:
        return [
            self.results[rung.name].standing if rung.name in self.results else Standing.UNTESTED
            for rung in self.ladder.rungs
        ]

    @property
    def ranked(self) -> list[Rung]:
        """The rungs, cheapest first."""
        return [self.ladder.rungs[index] for index in order(self.places)]

    @property
    def found(self) -> list[Found]:
        """What was found in each track."""
        return find(self.places, self.standings)

    @property
    def smallest(self) -> Rung | None:
        """The cheapest rung of all that is met."""
        met = [one.smallest for one in self.found if one.smallest is not None]
        best = min(met, key=lambda index: self.places[index].cost, default=None)
        return None if best is None else self.ladder.rungs[best]

    @property
    def reversals(self) -> list[tuple[Rung, Rung]]:
        """Rungs of which the cheaper is met and the costlier is not."""
        rungs = self.ladder.rungs
        return [(rungs[a], rungs[b]) for a, b in reversals(self.places, self.standings)]

    @property
    def finished(self) -> bool:
        """Whether the search has come to its end."""
        return not waiting(self.places, self.standings, exhaustive=self.ladder.exhaustive)

    def cost(self, rung: Rung) -> float:
        """The cost of a rung in the ladder's unit, infinite where it has none."""
        return self.places[self.ladder.rungs.index(rung)].cost


def ladder_result(
    ladder: Ladder, results: Mapping[str, RungResult], measured: Mapping[str, float]
) -> LadderResult:
    """What ``results`` say, as far as a search of one rung at a time would have come.

    A rung that was unusable from the start counts wherever it stands, since its cost is unknown.
    """
    places = ladder.places(measured)
    standings = [
        results[rung.name].standing if rung.name in results else Standing.UNTESTED
        for rung in ladder.rungs
    ]
    counted = reached(places, standings, exhaustive=ladder.exhaustive)
    names = [
        rung.name
        for index, rung in enumerate(ladder.rungs)
        if index in counted or (rung.unusable and rung.name in results)
    ]
    return LadderResult(ladder, tuple(places), {name: results[name] for name in names})


def failed_result(rung: Rung, reason: str) -> RungResult:
    """A rung of which nothing is known but why."""
    return RungResult(name=rung.name, standing=Standing.FAILED, reason=reason)


def result_of(
    ladder: Ladder,
    rung: Rung,
    record: RunRecord,
    *,
    peak_bytes: int | None = None,
    accelerator_bytes: int | None = None,
) -> RungResult:
    """A rung's result from its capacity test; further criteria sets are judged on its sessions."""
    verdict, shown = record.verdict, _also(ladder, record)
    own = verdict.sets[0]
    standing = STANDINGS[own.decision]
    if not verdict.sessions and verdict.failed:
        standing = Standing.FAILED
    facts = record.sessions[0].transcript.engine if record.sessions else {}
    return RungResult(
        name=rung.name,
        standing=standing,
        reason=record.stopped or own.note,
        decisions={one.name: one.decision for one in (own, *(shown.sets if shown else ()))},
        outcome=verdict.outcome,
        sessions=verdict.sessions,
        responses=verdict.responses,
        failed=verdict.failed,
        measures=_measures([verdict, *([shown] if shown else [])]),
        prompt_tokens=record.resources.prompt_tokens,
        completion_tokens=record.resources.completion_tokens,
        seconds=record.resources.seconds,
        peak_bytes=peak_bytes,
        accelerator_bytes=accelerator_bytes,
        facts={key: facts.get(key) for key in SHOWN_FACTS if facts.get(key) is not None},
        warnings=verdict.warnings,
    )


def _also(ladder: Ladder, record: RunRecord) -> Verdict | None:
    """The further sets on the same sessions: looked at as often, decided at the plain rate."""
    if not ladder.also:
        return None
    return decide(
        record.sessions,
        ladder.also,
        ladder.baseline,
        mode=ladder.mode,
        batch=ladder.batch,
        budget=ladder.budget,
    )


def _measures(verdicts: Sequence[Verdict]) -> tuple[Measured, ...]:
    """Every measure once: bounded ones first (the wanted set's bound), then the watched."""
    found: dict[str, Measured] = {}
    for verdict in verdicts:
        for one in (criterion for result in verdict.sets for criterion in result.criteria):
            found.setdefault(
                one.measure,
                Measured(
                    measure=one.measure,
                    estimate=one.estimate,
                    low=one.low,
                    high=one.high,
                    sessions=one.sessions,
                    bound=one.bound,
                    direction=one.direction,
                    decision=one.decision,
                ),
            )
    for watched in verdicts[0].secondary:
        found.setdefault(
            watched.measure,
            Measured(
                measure=watched.measure,
                estimate=watched.estimate,
                low=watched.low,
                high=watched.high,
                sessions=watched.sessions,
            ),
        )
    return tuple(found.values())
