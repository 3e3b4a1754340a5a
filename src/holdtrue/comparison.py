"""Arm against arm: what differs, by how much, and what that does and does not support.

Tested are the measures of ``TESTED``, together (Holm), so that two halves of one arm come out
different anywhere in at most 5 % of cases; the others are shown with intervals and not tested.
Sessions are paired where both arms have one of the same seed and phrasings. It decides no
criteria: that is the verdict's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from holdtrue.errors import ConfigError, TranscriptError, nearest
from holdtrue.scoring.measures import RATES, SESSION_MEASURES, ScoredSession
from holdtrue.stats.compare import Difference, compare_means, difference_interval, holm
from holdtrue.stats.evidence import ALPHA
from holdtrue.tomlfile import StrictModel
from holdtrue.verdict.secondary import scale_of
from holdtrue.verdict.stream import Stream, make_stream
from holdtrue.verdict.types import Exclusion

TESTED = ("gaming_rate", "generic_ai_rate", "d9", "quality", "identity_coherence")
HIGHER_IS_WORSE = frozenset(
    {
        "gaming_rate",
        "generic_ai_rate",
        "truncation_rate",
        "mechanical_partnership_rate",
        "lecture_rate",
        "confabulation_rate",
        "repetition",
    }
)
LOWER_IS_WORSE = frozenset(
    {
        "d9",
        "quality",
        "identity_coherence",
        "calibrated_coherence",
        "calibrated_quality",
        "calibrated_identity",
    }
)
SEED = 20261123
LEAST_PAIRED = 0.75


class ArmFacts(StrictModel):
    """One side: what it is called, and how many sessions it has."""

    name: str
    model: str | None = None
    protocol: str | None = None
    sessions: int
    responses: int
    failed: int
    excluded: tuple[Exclusion, ...] = ()


class Equivalence(StrictModel):
    """Whether B is no worse than A by ``margin`` (no different, where neither way is worse).

    ``bound`` is the end of the 95 % one-sided interval on the worse side (of both ends the farther
    one, where neither way is worse); ``shown`` whether it stays within the margin. None without an
    interval.
    """

    margin: float
    one_sided: bool
    bound: float | None
    shown: bool | None


class MeasureComparison(StrictModel):
    """One measure of B minus A. ``p_adjusted`` is Holm's over the tested measures."""

    measure: str
    mean_a: float
    mean_b: float
    sessions_a: int
    sessions_b: int
    paired: bool
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    p_adjusted: float | None
    exact: bool
    effect: float | None
    effect_name: str
    tested: bool
    equivalence: Equivalence | None = None


class Comparison(StrictModel):
    """Two arms side by side. ``unscored`` are measures without a value in one of them."""

    a: ArmFacts
    b: ArmFacts
    pairs: int | None
    measures: tuple[MeasureComparison, ...]
    unscored: tuple[str, ...] = ()
    alpha: float = ALPHA
    margin: float | None = None
    scorer: str
    supported: str
    unsupported: str
    warnings: tuple[str, ...] = ()

    def measure(self, name: str) -> MeasureComparison | None:
        return next((one for one in self.measures if one.measure == name), None)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``from_dict`` gives an equal comparison back."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, body: Any) -> Comparison:
        """Read ``as_dict``. Raises TranscriptError for anything else."""
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            raise TranscriptError(f"not a comparison: {error.errors()[0]['msg']}") from None


def compare_arms(
    a: Sequence[ScoredSession],
    b: Sequence[ScoredSession],
    *,
    names: tuple[str, str] = ("A", "B"),
    tested: Sequence[str] = TESTED,
    margin: float | None = None,
) -> Comparison:
    """Compare two arms. ``margin`` asks whether B is no worse than A by that much.

    Raises ConfigError: no finished session in an arm, an arm that is several, different scorers,
    an unknown measure, a margin outside (0, 1).
    """
    _check(tested, margin)
    first, second = _stream(a, names[0]), _stream(b, names[1])
    scorer = _one_scorer(first, second)
    pairs = _pairs(first, second)
    rng = np.random.default_rng(SEED)
    order = [*tested, *(name for name in SESSION_MEASURES if name not in tested)]
    found: dict[str, tuple[Difference, Equivalence | None]] = {}
    for measure in order:
        values = _values(first, second, pairs, measure)
        if values is None:
            continue
        rate, paired = measure in RATES, pairs is not None
        compared = compare_means(*values, rng, paired=paired, rate=rate)
        equivalence = None
        if margin is not None and measure in tested:
            # The one-sided 95 % bound is an end of the two-sided 90 % interval.
            ends = difference_interval(*values, 2 * ALPHA, paired=paired, rate=rate)
            equivalence = _equivalence(measure, ends, margin)
        found[measure] = (compared, equivalence)
    adjusted = _adjusted(found, tested)
    measures = tuple(
        _measure(name, one, equivalence, adjusted.get(name), name in tested)
        for name, (one, equivalence) in found.items()
    )
    return Comparison(
        a=_facts(names[0], first),
        b=_facts(names[1], second),
        pairs=len(pairs) if pairs is not None else None,
        measures=measures,
        unscored=tuple(name for name in order if name not in found),
        margin=margin,
        scorer=scorer,
        supported=_supported(measures, names),
        unsupported=_unsupported(measures, names, first, second),
        warnings=_warnings(first, second, pairs),
    )


def _check(tested: Sequence[str], margin: float | None) -> None:
    for name in tested:
        if name not in SESSION_MEASURES:
            raise ConfigError(f"no measure {name!r}", remedy=nearest(name, SESSION_MEASURES))
    if not tested:
        raise ConfigError("no measure to test")
    if margin is not None and not 0 < margin < 1:
        raise ConfigError(
            f"an equivalence margin of {margin:g} is impossible",
            remedy="Give a difference between 0 and 1 that would not matter, such as 0.05.",
        )


def _stream(sessions: Sequence[ScoredSession], name: str) -> Stream:
    """The sessions of an arm that count."""
    try:
        stream = make_stream(sessions)
    except ConfigError as error:
        raise ConfigError(error.message, where=name, remedy=error.remedy) from None
    if not stream.units:
        raise ConfigError(
            f"none of {len(sessions)} sessions is finished: nothing to compare", where=name
        )
    return stream


def _one_scorer(a: Stream, b: Stream) -> str:
    assert a.first is not None
    assert b.first is not None
    scorers = {a.first.scores.scorer, b.first.scores.scorer}
    if len(scorers) > 1:
        raise ConfigError(
            f"the arms were scored by different versions: {', '.join(sorted(scorers))}",
            remedy="Score both again with one version; that generates nothing.",
        )
    return scorers.pop()


def _pairs(a: Stream, b: Stream) -> list[tuple[int, int]] | None:
    """Positions of sessions with equal seed and phrasings; None where too few have one.

    Pairing leaves out sessions without a partner, which costs more than it gains where an arm
    was stopped early.
    """
    keys_a, keys_b = _keys(a), _keys(b)
    found = [(keys_a[key], keys_b[key]) for key in keys_a if key in keys_b]
    larger = max(len(a.units), len(b.units))
    return found if len(found) >= max(2, LEAST_PAIRED * larger) else None


def _keys(stream: Stream) -> dict[tuple[int, tuple[str, ...]], int]:
    """Positions of single sessions by seed and prompts; a chain has no partner."""
    found: dict[tuple[int, tuple[str, ...]], int] = {}
    for position, unit in enumerate(stream.units):
        transcript = unit[0].transcript
        if len(unit) == 1 and transcript.seed is not None:
            prompts = tuple(turn.prompt for turn in transcript.turns)
            found.setdefault((transcript.seed, prompts), position)
    return found


def _values(
    a: Stream, b: Stream, pairs: list[tuple[int, int]] | None, measure: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """Values of both arms on [0, 1], pair by pair where paired; None where an arm has none."""
    scale = scale_of(measure)
    x, y = a.column(measure).values / scale, b.column(measure).values / scale
    if pairs is None:
        x, y = x[~np.isnan(x)], y[~np.isnan(y)]
    else:
        x, y = x[[i for i, _ in pairs]], y[[j for _, j in pairs]]
        known = ~(np.isnan(x) | np.isnan(y))
        x, y = x[known], y[known]
    return (np.minimum(x, 1), np.minimum(y, 1)) if x.size and y.size else None


def _equivalence(measure: str, ends: tuple[float, float] | None, margin: float) -> Equivalence:
    scale = scale_of(measure)
    one_sided = measure in HIGHER_IS_WORSE or measure in LOWER_IS_WORSE
    if ends is None:
        return Equivalence(margin=margin, one_sided=one_sided, bound=None, shown=None)
    low, high = ends[0] * scale, ends[1] * scale
    if measure in HIGHER_IS_WORSE:
        bound, shown = high, high < margin
    elif measure in LOWER_IS_WORSE:
        bound, shown = low, low > -margin
    else:
        bound = low if -low > high else high
        shown = abs(bound) < margin
    return Equivalence(margin=margin, one_sided=one_sided, bound=bound, shown=shown)


def _adjusted(
    found: dict[str, tuple[Difference, Equivalence | None]], tested: Sequence[str]
) -> dict[str, float]:
    """Holm's p-values over the tested measures that have one."""
    p_values = {
        name: one.p_value
        for name, (one, _) in found.items()
        if name in tested and one.p_value is not None
    }
    return dict(zip(p_values, holm(list(p_values.values())), strict=True))


def _measure(
    name: str,
    one: Difference,
    equivalence: Equivalence | None,
    adjusted: float | None,
    tested: bool,
) -> MeasureComparison:
    scale = scale_of(name)
    return MeasureComparison(
        measure=name,
        mean_a=one.mean_a * scale,
        mean_b=one.mean_b * scale,
        sessions_a=one.sessions_a,
        sessions_b=one.sessions_b,
        paired=one.paired,
        difference=one.difference * scale,
        low=None if one.low is None else one.low * scale,
        high=None if one.high is None else one.high * scale,
        p_value=one.p_value,
        p_adjusted=adjusted,
        exact=one.exact,
        effect=one.effect,
        effect_name="Cohen's h" if name in RATES else "Hedges' g",
        tested=tested,
        equivalence=equivalence,
    )


def _facts(name: str, stream: Stream) -> ArmFacts:
    assert stream.first is not None
    first = stream.first.transcript
    return ArmFacts(
        name=name,
        model=first.model,
        protocol=first.protocol.name if first.protocol else None,
        sessions=len(stream.units),
        responses=stream.responses,
        failed=stream.failed,
        excluded=stream.excluded,
    )


def _supported(measures: Sequence[MeasureComparison], names: tuple[str, str]) -> str:
    """What the sessions show, in one sentence."""
    a, b = names
    different = [
        f"{one.measure} ({one.difference:+.3f})"
        for one in measures
        if one.p_adjusted is not None and one.p_adjusted <= ALPHA
    ]
    parts = []
    if different:
        parts.append(f"{b} differs from {a} in {', '.join(different)}")
    within = [one for one in measures if one.equivalence and one.equivalence.shown]
    if within:
        margin = within[0].equivalence.margin if within[0].equivalence else 0.0
        listed = ", ".join(one.measure for one in within)
        parts.append(f"{b} is no worse than {a} by more than {margin:g} in {listed}")
    if not parts:
        return "Supported: nothing about a difference, one way or the other."
    return f"Supported: {'; '.join(parts)}."


def _unsupported(
    measures: Sequence[MeasureComparison], names: tuple[str, str], a: Stream, b: Stream
) -> str:
    """What they do not show, in one sentence."""
    if min(len(a.units), len(b.units)) < 2:
        which = names[0] if len(a.units) < 2 else names[1]
        return (
            f"Not supported: any difference. {which} is one session, which says nothing of how "
            "much sessions vary; run more of it."
        )
    tested = [one for one in measures if one.tested]
    same = [one.measure for one in tested if one.p_adjusted is None or one.p_adjusted > ALPHA]
    parts = []
    if same:
        parts.append(f"a difference in {', '.join(same)}, nor that there is none")
    open_ = [one.measure for one in tested if one.equivalence and not one.equivalence.shown]
    if open_:
        parts.append(f"that {names[1]} is no worse in {', '.join(open_)}")
    parts.append("anything about measures that were only shown, or other models and protocols")
    return f"Not supported: {'; '.join(parts)}."


def _warnings(a: Stream, b: Stream, pairs: list[tuple[int, int]] | None) -> tuple[str, ...]:
    found = [*a.warnings, *(text for text in b.warnings if text not in a.warnings)]
    for stream in (a, b):
        if stream.too_many_failed:
            found.append(
                f"{stream.failed} of {stream.offered} sessions of an arm failed: those that did "
                "not may be the easy ones"
            )
    drawn = {one.transcript.draw for unit in a.units for one in unit}
    shared = sum(one.transcript.draw in drawn for unit in b.units for one in unit)
    if shared:
        found.append(
            f"{shared} sessions are in both arms; a session differs from itself in nothing"
        )
    assert a.first is not None
    assert b.first is not None
    if not shared and a.first.transcript.arm == b.first.transcript.arm:
        found.append("both sides are one arm: any difference is chance, or order")
    if pairs is not None and len(pairs) < max(len(a.units), len(b.units)):
        left = len(a.units) + len(b.units) - 2 * len(pairs)
        found.append(
            f"paired by seed and phrasings; {left} sessions without a partner are left out"
        )
    return tuple(found)
