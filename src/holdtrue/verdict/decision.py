"""The sequential decision on every criteria set, from the sessions of one arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holdtrue.baseline import Baseline
from holdtrue.criteria import CriteriaSet, ResolvedCriterion, resolve_criteria
from holdtrue.errors import ConfigError, nearest
from holdtrue.scoring.measures import ScoredSession
from holdtrue.stats.evidence import (
    ALPHA,
    MAX_CORRELATION,
    MAX_SD,
    Array,
    Direction,
    Kind,
    Mode,
    log_average,
)
from holdtrue.stats.intervals import anytime_interval, deviation, intra_session_correlation, mean
from holdtrue.stats.sequential import (
    NEVER,
    Counts,
    Decided,
    decide_set,
    evidence_pair,
    look_points,
)
from holdtrue.verdict.forecast import clean_forecast, forecast_set
from holdtrue.verdict.outcome import conclude
from holdtrue.verdict.questions import answer_questions
from holdtrue.verdict.scale import scale_against
from holdtrue.verdict.secondary import watch_measures
from holdtrue.verdict.stream import Column, Stream, make_stream
from holdtrue.verdict.types import (
    LOG10_FLOOR,
    CriterionResult,
    Decision,
    JudgeRecord,
    Look,
    SetLook,
    SetResult,
    Verdict,
)

LOG10 = float(np.log(10))


def decide(
    sessions: Sequence[ScoredSession],
    criteria: Sequence[CriteriaSet],
    baseline: Baseline | None,
    *,
    mode: str = "bounded",
    batch: int = 4,
    budget: int = 60,
    met_alpha: float = ALPHA,
    judge: JudgeRecord | None = None,
) -> Verdict:
    """The verdict on the sessions of one arm, in the order in which they were looked at.

    Looks are after every ``batch`` sessions and at the end; ``budget`` is what forecasts are held
    against, not a cut; ``met_alpha`` (at most ALPHA) is the error rate asked of *met*, smaller
    where rungs of a ladder compete for it; ``judge`` is the one whose ratings the sessions hold.
    The outcome rests on the set named ``full``, else on
    the last. Raises ConfigError: several arms or scorer versions, no or repeated criteria, a
    relative bound without a baseline value, an unknown mode. No sessions give an undetermined
    verdict.
    """
    chosen = checked(criteria, mode=mode, batch=batch, met_alpha=met_alpha, judge=judge)
    stream = make_stream(sessions)
    figures = baseline.values if baseline else {}
    looks = look_points(len(stream.units), batch)
    plan = _Plan(stream, chosen, looks, batch, met_alpha)
    sets = tuple(_decide(one, resolve_criteria(one, figures), plan) for one in criteria)
    main = next((one for one in criteria if one.name == "full"), criteria[-1])
    result = next(one for one in sets if one.name == main.name)
    secondary = watch_measures(stream, criteria, main, figures, chosen, looks)
    scale = scale_against(stream, baseline)
    conclusion = conclude(result, secondary, figures, stream, scale)
    first = stream.first
    return Verdict(
        sets=sets,
        outcome=conclusion.outcome,
        outcome_set=main.name,
        possible=conclusion.possible,
        meaning=conclusion.meaning,
        next_step=conclusion.next_step,
        mode=chosen,
        alpha=ALPHA,
        met_alpha=met_alpha,
        batch=batch,
        budget=budget,
        sessions=len(stream.units),
        responses=stream.responses,
        failed=stream.failed,
        excluded=stream.excluded,
        warnings=(*stream.warnings, *_warnings(stream, sets, chosen, batch, baseline)),
        secondary=secondary,
        questions=answer_questions(result, conclusion, scale, baseline),
        family=main.family,
        scorer=first.scores.scorer if first else None,
        arm=first.transcript.arm if first else None,
        model=first.transcript.model if first else None,
        baseline=baseline.name if baseline else None,
        baseline_digest=baseline.digest if baseline else None,
        judge=judge,
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """What every set is decided with."""

    stream: Stream
    mode: Mode
    looks: Counts
    batch: int
    met_alpha: float


def checked(
    criteria: Sequence[CriteriaSet],
    *,
    mode: str,
    batch: int,
    met_alpha: float,
    judge: JudgeRecord | None = None,
) -> Mode:
    """The mode, once everything that ``decide`` is told is known to make sense.

    Raises ConfigError as ``decide`` does.
    """
    chosen = _mode(mode)
    _check_criteria(criteria, batch)
    _check_judge(criteria, judge)
    if not 0 < met_alpha <= ALPHA:
        raise ConfigError(f"met_alpha lies above 0 and at most at {ALPHA}, not at {met_alpha}")
    return chosen


def _mode(name: str) -> Mode:
    try:
        return Mode(name)
    except ValueError:
        raise ConfigError(f"no mode {name!r}", remedy=nearest(name, list(Mode))) from None


def _check_criteria(criteria: Sequence[CriteriaSet], batch: int) -> None:
    if batch < 1:
        raise ConfigError(f"a batch has at least one session, not {batch}")
    if not criteria:
        raise ConfigError("no criteria to decide on", remedy="Name a set, such as minimum or full.")
    names = [one.name for one in criteria]
    if len(set(names)) < len(names):
        raise ConfigError(f"criteria sets of one name: {', '.join(names)}")


def _check_judge(criteria: Sequence[CriteriaSet], judge: JudgeRecord | None) -> None:
    """A measure that only a judge can give needs one: unscored, it would decide nothing."""
    needed = [(one.name, one.judged) for one in criteria if one.judged]
    if needed and judge is None:
        name, measures = needed[0]
        raise ConfigError(
            f"{', '.join(measures)} of criteria {name!r} are ratings of a judge, and none is named",
            remedy="Judge stored sessions: holdtrue verdict RUN --criteria FILE --judge MODEL.",
        )


def _decide(criteria: CriteriaSet, resolved: Sequence[ResolvedCriterion], plan: _Plan) -> SetResult:
    """One set on the stream."""
    stream, looks = plan.stream, plan.looks
    columns = [stream.column(one.measure) for one in resolved]
    pairs = [
        evidence_pair(one.bound, column.values, column.responses, plan.mode)
        for one, column in zip(resolved, columns, strict=True)
    ]
    blocked = [_why_blocked(column) for column in columns]
    usable = [column.usable(pair) for column, pair in zip(columns, pairs, strict=True)]
    whole, singles = decide_set(usable, looks, met_alpha=plan.met_alpha)
    decision, at = decision_of(whole, stream)
    note = None
    if stream.too_many_failed:
        note = f"{stream.failed} of {stream.offered} sessions failed, more than a tenth"
    elif decision is Decision.UNDETERMINED and any(blocked):
        note = "a criterion is unscored too often; more sessions alone do not decide it"
    results = tuple(
        _criterion(one, column, pair, single, why, plan)
        for one, column, pair, single, why in zip(
            resolved, columns, pairs, singles, blocked, strict=True
        )
    )
    average = log_average(np.stack([against for _, against in usable]))
    forecast = None
    if decision is Decision.UNDETERMINED and not any(blocked):
        bounds = [one.bound for one in resolved]
        forecast = forecast_set(bounds, columns, plan.mode, plan.batch, plan.met_alpha)
    return SetResult(
        name=criteria.name,
        decision=decision,
        decided_at=at,
        criteria=results,
        looks=tuple(
            SetLook(sessions=int(n), not_met_evidence=_log10(average[n - 1])) for n in looks
        ),
        forecast=forecast,
        criteria_digest=criteria.digest,
        note=note,
    )


def decision_of(decided: Decided, stream: Stream) -> tuple[Decision, int | None]:
    """What is decided, and after how many sessions; nothing where too many of them failed."""
    if stream.too_many_failed:
        return Decision.UNDETERMINED, None
    if decided.met:
        return Decision.MET, int(decided.met_at)
    if decided.not_met:
        return Decision.NOT_MET, int(decided.not_met_at)
    return Decision.UNDETERMINED, None


def _why_blocked(column: Column) -> str | None:
    """Why a criterion stays undetermined whatever its evidence: too much of it is unscored."""
    if not column.is_blocked:
        return None
    reason = f" ({column.reasons[0]})" if column.reasons else ""
    return f"{100 * column.lost:.0f} % of it is unscored, more than a tenth{reason}"


def _criterion(
    one: ResolvedCriterion,
    column: Column,
    pair: tuple[Array, Array],
    decided: Decided,
    blocked: str | None,
    plan: _Plan,
) -> CriterionResult:
    decision, at = decision_of(decided, plan.stream)
    points = plan.looks if plan.looks.size else np.array([len(column.values)])
    interval = None
    if column.sessions:
        interval = anytime_interval(
            column.values,
            points,
            kind=one.bound.kind,
            direction=one.bound.direction,
            mode=plan.mode,
            responses=column.responses,
        )
    rate = one.bound.kind is Kind.RATE
    forecast = None
    if decision is Decision.UNDETERMINED and blocked is None:
        forecast = clean_forecast(one.bound, column, plan.mode, plan.batch, plan.met_alpha)
    return CriterionResult(
        measure=one.measure,
        kind=one.bound.kind,
        direction=one.bound.direction,
        bound=one.bound.bound,
        decision=decision,
        decided_at=at,
        estimate=mean(column.values),
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        sessions=column.sessions,
        responses=column.total_responses,
        unscored=column.unscored,
        correlation=intra_session_correlation(column.values, column.responses) if rate else None,
        deviation=deviation(column.values),
        looks=tuple(
            Look(
                sessions=int(n),
                met_evidence=_log10(pair[0][n - 1]),
                not_met_evidence=_log10(pair[1][n - 1]),
            )
            for n in plan.looks
        ),
        forecast=forecast,
        source=one.source,
        note=_note(one, column, decided, blocked, interval),
    )


def _note(
    one: ResolvedCriterion,
    column: Column,
    decided: Decided,
    blocked: str | None,
    interval: tuple[float, float] | None,
) -> str | None:
    """What a reader of this criterion has to know beside its decision."""
    if blocked:
        return blocked
    if not column.sessions:
        return "no session with a value"
    if decided.met_at < NEVER and decided.not_met_at < NEVER:
        return (
            f"the evidence went both ways (met after {decided.met_at}, not met after "
            f"{decided.not_met_at} sessions): early and late sessions are unlike; the first counts"
        )
    if interval is None:
        return "no single mean fits: early and late sessions are unlike"
    ceiling = one.bound.kind is Kind.RATE and one.bound.direction is Direction.AT_MOST
    if ceiling and not np.nansum(column.values):
        return (
            f"no event in {column.sessions} session{'s' * (column.sessions != 1)} shows at most "
            f"{100 * interval[1]:.1f} % with {100 * (1 - ALPHA):.0f} % confidence, not 0 %"
        )
    return None


def _log10(natural: float) -> float:
    return max(LOG10_FLOOR, float(natural) / LOG10)


def _warnings(
    stream: Stream,
    sets: Sequence[SetResult],
    mode: Mode,
    batch: int,
    baseline: Baseline | None,
) -> list[str]:
    found = []
    if stream.too_many_failed:
        found.append(
            f"{stream.failed} of {stream.offered} sessions failed, more than a tenth: "
            "the verdict is undetermined, since those that failed may be of another kind"
        )
    if len(stream.units) < batch:
        found.append(
            f"{len(stream.units)} session{'s' * (len(stream.units) != 1)}: the first look is after "
            f"{batch}; nothing is decided before"
        )
    if mode is Mode.BOUNDED:
        found += _broken_assumptions(sets)
    if baseline:
        found += [f"baseline {baseline.name}: {limit}" for limit in baseline.limits[:1]]
        scorer = stream.first.scores.scorer if stream.first else None
        if baseline.scorer and scorer and baseline.scorer != scorer:
            found.append(
                f"baseline {baseline.name} was scored by version {baseline.scorer}, these sessions "
                f"by {scorer}: add the baseline again from its transcripts"
            )
    return found


def _broken_assumptions(sets: Sequence[SetResult]) -> list[str]:
    """Measures that vary more than bounded mode assumes, each once."""
    found: dict[str, str] = {}
    for one in (criterion for result in sets for criterion in result.criteria):
        if one.correlation is not None and one.correlation > MAX_CORRELATION:
            found[one.measure] = (
                f"{one.measure}: the observed intra-session correlation is {one.correlation:.2f}; "
                f"bounded mode assumes at most {MAX_CORRELATION}. See what --mode free says."
            )
        elif one.kind is Kind.SCORE and one.deviation is not None and one.deviation > MAX_SD:
            found[one.measure] = (
                f"{one.measure}: sessions deviate by {one.deviation:.2f}; bounded mode assumes "
                f"at most {MAX_SD}. See what --mode free says."
            )
    return list(found.values())
