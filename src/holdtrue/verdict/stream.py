"""Which sessions count, in which order, and as how many observations.

Failed sessions are left out and counted. A draw that was repeated is one observation. Sessions of
a production chain are one cluster: its value is the mean of theirs, its K the smallest of theirs,
since the mean of values that each vary by at most v varies by at most v.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from holdtrue.errors import ConfigError
from holdtrue.scoring.measures import RATES, ScoredSession, is_judged
from holdtrue.scoring.score import RATE_EVENTS
from holdtrue.stats.evidence import Array
from holdtrue.transcript import Status, Transcript
from holdtrue.verdict.types import Exclusion

MAX_LOST = 0.10


@dataclass(frozen=True, slots=True)
class Column:
    """One measure over the stream: ``values`` (n,) with nan, ``responses`` (n,) scored ones.

    ``lost`` is the share of responses (rates) or sessions (scores) without a value, ``reasons``
    why, most frequent first.
    """

    values: Array
    responses: Array
    total_responses: int
    unscored: int
    lost: float
    reasons: tuple[str, ...]

    @property
    def sessions(self) -> int:
        return int(np.count_nonzero(~np.isnan(self.values)))

    @property
    def is_blocked(self) -> bool:
        """Whether so much is unscored that nothing is decided on it, whatever its evidence."""
        return self.lost > MAX_LOST

    def usable(self, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        """Both processes of a criterion; neither gets anywhere where the measure is blocked."""
        if not self.is_blocked:
            return pair
        return np.full_like(pair[0], -np.inf), np.zeros_like(pair[1])


@dataclass(frozen=True, slots=True)
class Stream:
    """The sessions that count, as ``units``: single sessions, and chains as one."""

    units: tuple[tuple[ScoredSession, ...], ...]
    offered: int
    failed: int
    excluded: tuple[Exclusion, ...]
    warnings: tuple[str, ...]

    @property
    def first(self) -> ScoredSession | None:
        return self.units[0][0] if self.units else None

    @property
    def responses(self) -> int:
        return sum(len(one.transcript.turns) for unit in self.units for one in unit)

    @property
    def too_many_failed(self) -> bool:
        """Over a tenth of the sessions failed: those that did not may be the easy ones."""
        return self.failed > MAX_LOST * self.offered

    def column(self, measure: str) -> Column:
        """Values of ``measure``, one a unit."""
        values, responses = np.full(len(self.units), np.nan), np.ones(len(self.units))
        unscored = lost = total = scored = 0
        reasons: Counter[str] = Counter()
        for position, unit in enumerate(self.units):
            known: list[tuple[float, int]] = []
            for one in unit:
                value, k = one.scores.values.get(measure), _scored_responses(one, measure)
                by_response = measure in RATES or is_judged(measure)
                size = len(one.transcript.turns) if by_response else 1
                total += size
                if value is None:
                    unscored += 1
                    lost += size
                    reasons[one.scores.unscored.get(measure, "no reason given")] += 1
                    continue
                known.append((value, k))
                scored += k
                if by_response:
                    lost += max(0, size - k)
                    reasons.update(_unscored_responses(one, measure))
            if known:
                values[position] = float(np.mean([value for value, _ in known]))
                responses[position] = min(k for _, k in known)
        return Column(
            values=values,
            responses=responses,
            total_responses=scored,
            unscored=unscored,
            lost=lost / total if total else 0.0,
            reasons=tuple(reason for reason, _ in reasons.most_common()),
        )


def _scored_responses(session: ScoredSession, measure: str) -> int:
    """How many responses the value of ``measure`` rests on."""
    turns = len(session.transcript.turns)
    if is_judged(measure):
        return sum(one.values.get(measure) is not None for one in session.scores.response_scores)
    if measure not in RATE_EVENTS or not session.scores.responses:
        return turns
    finding = RATE_EVENTS[measure][0]
    return sum(getattr(one, finding) is not None for one in session.scores.responses) or turns


def _unscored_responses(session: ScoredSession, measure: str) -> list[str]:
    """Why responses have no value for ``measure``: one reason for each."""
    if is_judged(measure):
        scores = session.scores.response_scores
        return [one.unscored[measure] for one in scores if measure in one.unscored]
    finding = RATE_EVENTS[measure][0]
    return [one.unscored[finding] for one in session.scores.responses if finding in one.unscored]


def make_stream(sessions: Sequence[ScoredSession]) -> Stream:
    """The sessions that count. Raises ConfigError for several arms or scorer versions."""
    _check_one_arm(sessions)
    finished = [one for one in sessions if one.transcript.status is Status.COMPLETE]
    failed = len(sessions) - len(finished)
    excluded, warnings = [], []
    if failed:
        reasons = Counter(
            one.transcript.error or "no cause recorded"
            for one in sessions
            if one.transcript.status is Status.FAILED
        )
        cause = reasons.most_common(1)[0][0]
        excluded.append(Exclusion(what="failed sessions", count=failed, reason=cause))
    drawn: dict[str, ScoredSession] = {}
    again = []
    for one in finished:
        if one.transcript.draw in drawn:
            again.append(one.transcript)
        drawn.setdefault(one.transcript.draw, one)
    excluded += _repeated(again)
    units, chains = _units(list(drawn.values()))
    if chains:
        warnings.append(
            f"{chains} sessions belong to production chains; a chain is one cluster and counts "
            "as one session, with the mean of its values. Judge a chain when it is closed."
        )
    sizes = sorted({len(one.transcript.turns) for unit in units for one in unit})
    if len(sizes) > 1:
        warnings.append(
            f"sessions have {sizes[0]} to {sizes[-1]} responses; each enters the evidence with "
            "its own number, and every session weighs the same"
        )
    return Stream(tuple(units), len(sessions), failed, tuple(excluded), tuple(warnings))


def _repeated(again: Sequence[Transcript]) -> list[Exclusion]:
    """Why sessions that repeat a draw were left out; at temperature 0 that needs no equal seed."""
    cold = [one for one in again if one.sampling is not None and one.sampling.temperature == 0]
    found = []
    if cold:
        found.append(
            Exclusion(
                what="repeated draws at temperature 0",
                count=len(cold),
                reason="the same prompts at temperature 0 are one observation; counted once",
            )
        )
    if len(again) > len(cold):
        found.append(
            Exclusion(
                what="repeated draws",
                count=len(again) - len(cold),
                reason="the same seed with the same prompts is one observation; counted once",
            )
        )
    return found


def _units(sessions: Sequence[ScoredSession]) -> tuple[list[tuple[ScoredSession, ...]], int]:
    """Sessions grouped by chain in order of appearance; how many are in chains of several."""
    grouped: dict[str, list[ScoredSession]] = {}
    for position, one in enumerate(sessions):
        cluster = one.transcript.cluster
        key = f"chain {cluster}" if cluster is not None else f"session {position}"
        grouped.setdefault(key, []).append(one)
    units = [tuple(group) for group in grouped.values()]
    return units, sum(len(unit) for unit in units if len(unit) > 1)


ARM_PARTS: dict[str, Callable[[Transcript], object]] = {
    "persona": lambda one: f"{one.persona.name} ({one.persona.digest})",
    "protocol": lambda one: (
        f"{one.protocol.name} ({one.protocol.content_hash})" if one.protocol else None
    ),
    "phase": lambda one: one.protocol.phase if one.protocol else None,
    "model": lambda one: one.engine.get("source_hash") or one.model,
    "adapter": lambda one: one.engine.get("adapter"),
    "sampling": lambda one: one.sampling.model_dump() if one.sampling else None,
}


def _check_one_arm(sessions: Sequence[ScoredSession]) -> None:
    """A verdict is on one arm, scored by one version of the detectors."""
    if len({one.transcript.arm for one in sessions}) > 1:
        raise ConfigError(
            "these sessions are of several arms: " + "; ".join(_differences(sessions)),
            remedy="Judge one arm at a time, or set them side by side with `holdtrue compare`.",
        )
    scorers = Counter(one.scores.scorer for one in sessions)
    if len(scorers) > 1:
        listed = ", ".join(f"{name} ({count} sessions)" for name, count in scorers.items())
        raise ConfigError(
            f"these sessions were scored by several scorer versions: {listed}",
            remedy="Score all of them again with one version; that generates nothing.",
        )


def _differences(sessions: Sequence[ScoredSession]) -> list[str]:
    found = []
    for name, part in ARM_PARTS.items():
        counts = Counter(str(part(one.transcript)) for one in sessions)
        if len(counts) > 1:
            listed = ", ".join(f"{value} × {count}" for value, count in counts.most_common(4))
            found.append(f"{name}: {listed}")
    return found or ["they differ in what identifies an arm"]
