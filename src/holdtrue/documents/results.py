"""The results of a run as blocks: criteria, evidence, measures, questions.

Every number is read off the verdict and the sessions' scores; nothing is estimated here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdtrue.documents import words
from holdtrue.documents.blocks import (
    Gauge,
    Inline,
    Notice,
    QuestionAnswer,
    Questions,
    Strong,
    Table,
    Tag,
    Tile,
    Tone,
    with_code,
)
from holdtrue.verdict.types import (
    CriterionResult,
    Decision,
    Outcome,
    SetResult,
    Verdict,
    Watch,
)

if TYPE_CHECKING:
    from holdtrue.baseline import Baseline
    from holdtrue.capacity import RunRecord

TONES: dict[Decision, Tone] = {
    Decision.MET: "good",
    Decision.NOT_MET: "bad",
    Decision.UNDETERMINED: "open",
}
OUTCOMES: dict[Outcome, tuple[str, Tone]] = {
    Outcome.SUCCESS: ("success", "good"),
    Outcome.GAMING_PERSISTS: ("gaming persists", "warn"),
    Outcome.NEW_FAILURE: ("new failure mode", "warn"),
    Outcome.SAME_FAILURE: ("same failure", "bad"),
    Outcome.INCONCLUSIVE: ("inconclusive", "open"),
}
WATCHES: dict[Watch, Tag] = {
    Watch.FINE: Tag("fine", "good"),
    Watch.NEW_FAILURE: Tag("new failure", "bad"),
    Watch.OLD_FAILURE: Tag("as in the baseline", "warn"),
    Watch.UNKNOWN: Tag("not known", "open"),
    Watch.SHOWN: Tag("shown", "plain"),
}


def baseline_value(baseline: Baseline | None, measure: str) -> float | None:
    """The baseline's value of a measure, None where it has none."""
    return baseline.values.get(measure) if baseline else None


def baseline_text(baseline: Baseline | None, measure: str) -> str:
    """The baseline's value in words, with what is only cited for it beside."""
    text = words.value(measure, baseline_value(baseline, measure))
    quoted = baseline.cited(measure) if baseline else None
    return f"{text} (cited {words.value(measure, quoted.value)})" if quoted else text


def main_set(verdict: Verdict) -> SetResult:
    """The criteria set that the outcome rests on."""
    return verdict.set_named(verdict.outcome_set) or verdict.sets[-1]


def outcome(verdict: Verdict) -> tuple[str, Tag]:
    """The outcome's letter, or a sign where it has none, and its name.

    A set may be decided as not met while the pattern of the failure is not yet clear.
    """
    name, tone = OUTCOMES[verdict.outcome]
    if verdict.outcome is not Outcome.INCONCLUSIVE:
        return verdict.outcome.value, Tag(name, tone)
    if main_set(verdict).decision is Decision.NOT_MET:
        return "✗", Tag("not met; pattern inconclusive", "bad")
    return "?", Tag(name, tone)


def answer(record: RunRecord) -> str:
    """The answer in one sentence."""
    verdict, config = record.verdict, record.config
    who, model = config.persona.name, words.model_name(config.model)
    how = f"under protocol {config.protocol.name}"
    full, minimum = main_set(verdict), verdict.set_named("minimum")
    match verdict.outcome:
        case Outcome.SUCCESS:
            return f"{model} holds the identity of {who} {how}."
        case Outcome.GAMING_PERSISTS:
            return f"{model} stays in character as {who} {how}, but keeps naming itself by rote."
        case Outcome.NEW_FAILURE:
            return f"{model} as {who} {how} is free of gaming, but fails in a new way."
        case Outcome.SAME_FAILURE:
            return f"{model} does not hold the identity of {who} {how}."
    if not verdict.sessions:
        return f"No session of {model} as {who} could be counted, so nothing is decided."
    if full.decision is Decision.NOT_MET:
        return f"{model} does not meet the {full.name} criteria for {who} {how}."
    if full.decision is Decision.MET:
        return f"{model} meets the {full.name} criteria for {who} {how}; new failures stay open."
    if minimum and minimum is not full and minimum.decision is Decision.MET:
        return f"{model} meets the minimum for {who} {how}; whether it fully holds is undecided."
    seen = words.plural(verdict.sessions, "session")
    return f"Whether {model} holds the identity of {who} {how} is undecided after {seen}."


def sureness(record: RunRecord) -> str:
    """How sure the answer is, in one or two sentences."""
    verdict = record.verdict
    result = main_set(verdict)
    error = words.percent(verdict.alpha)
    seen = (
        f"{words.plural(verdict.sessions, 'session')} "
        f"({words.plural(verdict.responses, 'reply', 'replies')})"
    )
    if result.decision is Decision.UNDETERMINED:
        why = words.prose(result.note or "The evidence does not decide.")
        return f"{seen} seen, budget {verdict.budget}. {why} {forecast(result)}".strip()
    other = "false “met”" if result.decision is Decision.MET else "false “not met”"
    at = words.plural(result.decided_at or verdict.sessions, "session")
    return (
        f"“{result.name.capitalize()}” was decided as {result.decision.value} after {at}; "
        f"a {other} has a chance of at most {error}, however often one looks. {seen} in all."
    )


def forecast(result: SetResult) -> str:
    """What the forecast says, marked as rough; empty where there is none."""
    coming = result.forecast
    if coming is None:
        return ""
    parts = []
    if coming.clean is not None and coming.clean != coming.median:
        parts.append(f"met at {coming.clean} sessions if every further one is clean")
    if coming.median is not None:
        spread = f" (quartiles {coming.low} to {coming.high})" if coming.low != coming.high else ""
        parts.append(f"decided at about {coming.median} if they go on like this{spread}")
    if not parts:
        return f"No end in sight within {coming.limit:,} sessions."
    return f"Roughly: {words.listed(parts)}."


def tiles(record: RunRecord) -> tuple[Tile, ...]:
    """The criteria of the main set at a glance."""
    return tuple(
        Tile(
            name=words.name_of(one.measure),
            value=words.value(one.measure, one.estimate),
            details=(
                f"wanted: {words.bound(one.measure, one.direction.value, one.bound)}",
                f"interval: {words.interval(one.measure, one.low, one.high)}",
            ),
            tag=Tag(one.decision.value, TONES[one.decision]),
            gauge=Gauge(
                one.bound, one.direction.value == "at most", one.estimate, one.low, one.high
            ),
        )
        for one in main_set(record.verdict).criteria
    )


def set_table(record: RunRecord) -> Table:
    """The criteria sets with their decisions."""
    rows: list[tuple[Inline, ...]] = []
    for one in record.verdict.sets:
        last = one.looks[-1].not_met_evidence if one.looks else None
        rows.append(
            (
                Strong(one.name),
                Tag(one.decision.value, TONES[one.decision]),
                str(one.decided_at) if one.decided_at else words.DASH,
                words.evidence(last) if last is not None else words.DASH,
                words.prose(one.note or "")
                or (forecast(one) if one.decision is Decision.UNDETERMINED else ""),
            )
        )
    headers = ("Criteria set", "Decision", "Decided at session", "Evidence “not met”", "Remarks")
    return Table(headers, tuple(rows), "The criteria sets.", frozenset({2, 3}))


def criteria_table(record: RunRecord, result: SetResult) -> Table:
    """One criteria set: estimates, intervals, bounds, baseline, decisions."""
    rows = tuple(_criterion_row(record, one) for one in result.criteria)
    headers = (
        "Criterion",
        "Wanted",
        "Estimate",
        "Interval",
        "Baseline",
        "Decision",
        "At session",
        "For met",
        "For not met",
        "Sessions",
    )
    caption = f"Criteria “{result.name}”: {result.decision.value}."
    return Table(headers, rows, caption, frozenset({2, 4, 6, 7, 8, 9}))


def criteria_key(record: RunRecord) -> str:
    """What the columns of ``criteria_table`` hold."""
    alpha = record.verdict.alpha
    return (
        f"Each end of an interval holds at {words.percent(1 - alpha)}, however often one looks. "
        "For met and for not met: what a bet of 1 on it has grown to; a criterion is met from "
        f"{1 / alpha:g} on. Sessions: those with a value, and their replies."
    )


def _criterion_row(record: RunRecord, one: CriterionResult) -> tuple[Inline, ...]:
    last = one.looks[-1] if one.looks else None
    return (
        Strong(words.name_of(one.measure)),
        words.bound(one.measure, one.direction.value, one.bound),
        words.value(one.measure, one.estimate),
        words.interval(one.measure, one.low, one.high),
        baseline_text(record.baseline, one.measure),
        Tag(one.decision.value, TONES[one.decision]),
        str(one.decided_at) if one.decided_at else words.DASH,
        words.evidence(last.met_evidence) if last else words.DASH,
        words.evidence(last.not_met_evidence) if last else words.DASH,
        f"{one.sessions} ({one.responses})",
    )


def criteria_notes(result: SetResult) -> tuple[Notice, ...]:
    """What must be said of single criteria."""
    return tuple(
        Notice((Strong(f"{words.name_of(one.measure)}: "), words.prose(one.note)), "plain")
        for one in result.criteria
        if one.note
    )


def measures_table(record: RunRecord) -> Table:
    """Every measure that the verdict holds, beside the baseline."""
    rows: list[tuple[Inline, ...]] = []
    seen: set[str] = set()
    for one in main_set(record.verdict).criteria:
        seen.add(one.measure)
        rows.append(
            (
                Strong(words.name_of(one.measure)),
                words.meaning_of(one.measure),
                words.value(one.measure, one.estimate),
                words.interval(one.measure, one.low, one.high),
                baseline_text(record.baseline, one.measure),
                Tag(one.decision.value, TONES[one.decision]),
            )
        )
    for watched in record.verdict.secondary:
        if watched.measure in seen:
            continue
        rows.append(
            (
                words.name_of(watched.measure),
                words.prose(watched.note or words.meaning_of(watched.measure)),
                words.value(watched.measure, watched.estimate),
                words.interval(watched.measure, watched.low, watched.high),
                words.value(watched.measure, watched.baseline),
                WATCHES[watched.status],
            )
        )
    name = record.verdict.baseline or "none"
    headers = ("Measure", "What it is", "This run", "Interval", f"Baseline {name}", "Status")
    caption = f"Measures of {words.plural(record.verdict.sessions, 'session')} beside the baseline."
    return Table(headers, tuple(rows), caption, frozenset({2, 4}))


def questions(record: RunRecord) -> Questions:
    """The report's questions, answered or said to be open."""
    return Questions(
        tuple(
            QuestionAnswer(
                one.question,
                _open(words.prose(one.answer)) if one.open else with_code(words.prose(one.answer)),
                "open" if one.open else "good",
            )
            for one in record.verdict.questions
        )
    )


def _open(answer: str) -> Inline:
    """An open question says so first, once."""
    rest = answer.removeprefix("Open:").strip()
    said = with_code(rest[:1].upper() + rest[1:])
    return (Strong("Open. "), *(said if isinstance(said, tuple) else (said,)))
