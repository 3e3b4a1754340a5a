"""Measures that are watched for new failure modes, and those that are only shown beside.

A measure is beyond its limit when the not-met evidence against that limit reaches M/alpha for M
limits watched, so that a false new failure anywhere has probability at most alpha. It is fine
when it is shown to be inside, and unknown otherwise. Mean words are put on [0, 1] by WORDS_SCALE;
more words count as WORDS_SCALE, and a deviation of 30 words is what bounded mode allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from holdtrue.criteria import CriteriaSet, ResolvedWatch, kind_of, resolve_watch
from holdtrue.scoring.measures import SESSION_MEASURES, is_judged
from holdtrue.stats.evidence import ALPHA, Direction, Mode
from holdtrue.stats.intervals import anytime_interval, mean
from holdtrue.stats.sequential import NEVER, Bound, Counts, evidence_pair, first_look
from holdtrue.verdict.stream import MAX_LOST, Column, Stream
from holdtrue.verdict.types import SecondaryResult, Watch

WORDS_SCALE = 200.0


def watch_measures(
    stream: Stream,
    sets: Sequence[CriteriaSet],
    main: CriteriaSet,
    baseline: Mapping[str, float],
    mode: Mode,
    looks: Counts,
) -> tuple[SecondaryResult, ...]:
    """The watched measures of all sets (those of ``main`` first), then all others that ``main``
    does not bound."""
    limits: dict[str, ResolvedWatch] = {}
    for one in (main, *sets):
        for watch in resolve_watch(one, baseline):
            limits.setdefault(watch.measure, watch)
    count = sum((one.lower is not None) + (one.upper is not None) for one in limits.values())
    bounded = {one.measure for one in main.criteria}
    first = stream.first
    known = [*SESSION_MEASURES, *(filter(is_judged, first.scores.values) if first else ())]
    shown = [name for name in known if name not in bounded and name not in limits]
    watches = [*limits.values(), *(ResolvedWatch(name, None, None) for name in shown)]
    return tuple(
        _result(watch, stream, baseline.get(watch.measure), mode, looks, max(1, count))
        for watch in watches
    )


def scale_of(measure: str) -> float:
    """What a measure is divided by to lie in [0, 1]."""
    return WORDS_SCALE if measure == "mean_words" else 1.0


def _result(
    watch: ResolvedWatch,
    stream: Stream,
    baseline: float | None,
    mode: Mode,
    looks: Counts,
    count: int,
) -> SecondaryResult:
    column = stream.column(watch.measure)
    scale = scale_of(watch.measure)
    estimate = mean(column.values)
    column = replace(column, values=np.minimum(column.values / scale, 1.0))
    status, note = _status(watch, column, estimate, baseline, mode, looks, count)
    if stream.too_many_failed and status is not Watch.SHOWN:
        status, note = Watch.UNKNOWN, "too many sessions failed"
    interval = _interval(watch, column, mode, looks)
    return SecondaryResult(
        measure=watch.measure,
        estimate=estimate,
        low=interval[0] * scale if interval else None,
        high=interval[1] * scale if interval else None,
        baseline=baseline,
        lower=watch.lower,
        upper=watch.upper,
        sessions=column.sessions,
        status=status,
        note="; ".join(text for text in (note, watch.note) if text) or None,
    )


def _interval(
    watch: ResolvedWatch, column: Column, mode: Mode, looks: Counts
) -> tuple[float, float] | None:
    if not column.sessions:
        return None
    return anytime_interval(
        column.values,
        looks if looks.size else np.array([len(column.values)]),
        kind=kind_of(watch.measure),
        direction=Direction.AT_MOST if watch.lower is None else Direction.AT_LEAST,
        mode=mode,
        responses=column.responses,
    )


def _status(
    watch: ResolvedWatch,
    column: Column,
    estimate: float | None,
    baseline: float | None,
    mode: Mode,
    looks: Counts,
    count: int,
) -> tuple[Watch, str | None]:
    """The status, and a note where it needs one."""
    if estimate is None:
        reason = column.reasons[0] if column.reasons else "no session has a value"
        unlimited = watch.lower is None and watch.upper is None
        return (Watch.SHOWN if unlimited else Watch.UNKNOWN), f"unscored: {reason}"
    if watch.lower is None and watch.upper is None:
        return Watch.SHOWN, None
    if column.lost > MAX_LOST:
        return Watch.UNKNOWN, f"{100 * column.lost:.0f} % of it is unscored"
    pairs = [
        evidence_pair(bound, column.values, column.responses, mode) for bound in _bounds(watch)
    ]
    beyond = any(first_look(against, looks, ALPHA / count) < NEVER for _, against in pairs)
    inside = all(first_look(met, looks) < NEVER for met, _ in pairs)
    if beyond and baseline is None:
        return Watch.UNKNOWN, "beyond its limit; the baseline has no figure to compare with"
    if beyond:
        assert baseline is not None
        fine = _within(baseline, watch)
        return (Watch.NEW_FAILURE, None) if fine else (Watch.OLD_FAILURE, "so was the baseline")
    if inside:
        return Watch.FINE, None
    where = "inside" if _within(estimate, watch) else "beyond"
    return Watch.UNKNOWN, f"{where} its limit so far, not shown either way"


def _bounds(watch: ResolvedWatch) -> Iterator[Bound]:
    kind, scale = kind_of(watch.measure), scale_of(watch.measure)
    limits = ((watch.lower, Direction.AT_LEAST), (watch.upper, Direction.AT_MOST))
    for limit, direction in limits:
        if limit is not None and 0 < limit < scale:
            yield Bound(kind, direction, limit / scale)


def _within(value: float, watch: ResolvedWatch) -> bool:
    above = watch.lower is None or value >= watch.lower
    return above and (watch.upper is None or value <= watch.upper)
