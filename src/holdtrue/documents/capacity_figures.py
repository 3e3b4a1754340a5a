"""The figures of a capacity test, each with its caption, sentence and table.

They show what the verdict and the scores hold. Shares by turn are plain counts, one reply of each
session at each turn, so that their denominator is sessions; their intervals come from ``stats``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from holdtrue.documents import figures, words
from holdtrue.documents.blocks import Figure, Inline, Strong, Table, Tag
from holdtrue.documents.canvas import Line
from holdtrue.documents.results import TONES, baseline_value, main_set
from holdtrue.documents.transcript_data import finding_keys
from holdtrue.scoring.measures import ScoredSession
from holdtrue.stats.intervals import exact_binomial
from holdtrue.transcript import Status
from holdtrue.verdict.types import CriterionResult, SetResult

if TYPE_CHECKING:
    from holdtrue.capacity import RunRecord

DRIFTING = (
    "self_reference:mechanical",
    "self_reference:natural",
    "generic_ai",
    "lecture",
    "truncated",
)
TOP_WORDS = 100.0


def evidence_figure(record: RunRecord) -> Figure | None:
    """Evidence over sessions of the main set; None before the first look."""
    result = main_set(record.verdict)
    criteria = [one for one in result.criteria if one.looks]
    if not criteria:
        return None
    threshold = 1 / record.verdict.alpha
    met = [
        Line(
            words.name_of(one.measure),
            [look.sessions for look in one.looks],
            [_odds(look.met_evidence) for look in one.looks],
        )
        for one in criteria
    ]
    not_met = Line(
        "not met",
        [look.sessions for look in result.looks],
        [_odds(look.not_met_evidence) for look in result.looks],
    )
    alt = _evidence_sentence(result, threshold)
    draw = partial(
        figures.draw_evidence,
        met,
        not_met if result.looks else None,
        threshold,
        name="evidence",
        alt=alt,
    )
    caption = (
        f"Evidence after each look, criteria “{result.name}”. A bet of 1 against the claim grows "
        f"where the sessions speak for it; at {threshold:g} it is decided. Left: each criterion "
        "for “met”, all of which must cross the line. Right: their average for “not met”, which "
        "must cross it once. Values beyond 1/1000 and 1000 are drawn there."
    )
    return Figure("evidence", draw, caption, alt, _evidence_table(result))


def _odds(log10: float) -> float:
    return float(10.0 ** max(min(log10, 12.0), -12.0))


def _evidence_sentence(result: SetResult, threshold: float) -> str:
    parts = []
    for one in result.criteria:
        if one.looks:
            grown = words.evidence(one.looks[-1].met_evidence)
            parts.append(f"{words.name_of(one.measure)} {grown}")
    return (
        f"Line chart of evidence over sessions, decided at {threshold:g}. At the end, for met: "
        + (words.listed(parts) + ".")
    )


def _evidence_table(result: SetResult) -> Table:
    criteria = [one for one in result.criteria if one.looks]
    not_met = {look.sessions: look.not_met_evidence for look in result.looks}
    rows: list[tuple[Inline, ...]] = []
    for position, look in enumerate(criteria[0].looks):
        cells = [words.evidence(one.looks[position].met_evidence) for one in criteria]
        last = not_met.get(look.sessions)
        rows.append(
            (
                str(look.sessions),
                *cells,
                words.evidence(last) if last is not None else words.DASH,
            )
        )
    headers = ("Sessions", *(words.name_of(one.measure) for one in criteria), "Set not met")
    caption = f"Evidence after each look, criteria “{result.name}”."
    return Table(headers, tuple(rows), caption, frozenset(range(len(headers))))


def criteria_figure(record: RunRecord) -> Figure | None:
    """The main set's estimates and intervals against bounds and baseline."""
    result = main_set(record.verdict)
    rows = [_criterion_row(record, one) for one in result.criteria]
    if not rows:
        return None
    decided = [f"{row.name} {row.decision}" for row in rows]
    alt = f"Interval chart of {len(rows)} criteria: {words.listed(decided)}."
    draw = partial(figures.draw_criteria, rows, name="criteria", alt=alt)
    caption = (
        f"Criteria “{result.name}”: estimate (marker) and anytime-valid interval (bar) against "
        "the bound (green line; the good side is shaded). Hollow diamonds: the baseline. "
        "Round: met; cross: not met; square: undetermined."
    )
    table_rows = tuple(
        (
            Strong(row.name),
            words.bound(one.measure, one.direction.value, one.bound),
            words.value(one.measure, one.estimate),
            words.interval(one.measure, one.low, one.high),
            words.value(one.measure, row.baseline),
            Tag(one.decision.value, TONES[one.decision]),
        )
        for row, one in zip(rows, result.criteria, strict=True)
    )
    headers = ("Criterion", "Wanted", "Estimate", "Interval", "Baseline", "Decision")
    table = Table(headers, table_rows, f"Criteria “{result.name}”.", frozenset({2, 4}))
    return Figure("criteria", draw, caption, alt, table, told=True)


def _criterion_row(record: RunRecord, one: CriterionResult) -> figures.Row:
    return figures.Row(
        name=words.name_of(one.measure),
        bound=one.bound,
        upper=one.direction.value == "at most",
        estimate=one.estimate,
        low=one.low,
        high=one.high,
        baseline=baseline_value(record.baseline, one.measure),
        decision=one.decision.value,
    )


def distribution_figure(record: RunRecord) -> Figure | None:
    """How the counted sessions spread over the criteria's measures and reply length."""
    sessions = _complete(record.sessions)
    bounds = {one.measure: one.bound for one in main_set(record.verdict).criteria}
    spreads = []
    rows: list[tuple[Inline, ...]] = []
    for measure in (*bounds, "mean_words"):
        found = [one.scores.values.get(measure) for one in sessions]
        values = sorted(value for value in found if value is not None)
        if not values:
            continue
        top = TOP_WORDS if measure == "mean_words" else 1.0
        spreads.append(
            figures.Spread(
                words.name_of(measure),
                values,
                0.0,
                max(top, values[-1]) if measure == "mean_words" else top,
                bounds.get(measure),
                baseline_value(record.baseline, measure),
            )
        )
        places = (values[0], _middle(values), values[-1])
        known = f"{len(values)} of {len(sessions)}"
        cells = [words.value(measure, value) for value in places]
        rows.append((words.name_of(measure), known, *cells))
    if not spreads:
        return None
    alt = f"Histograms of {len(spreads)} measures over {words.plural(len(sessions), 'session')}."
    draw = partial(figures.draw_distributions, spreads, name="distributions", alt=alt)
    caption = (
        "Sessions (height) by value of each measure. Green line: the criterion's bound; dotted "
        "line: the baseline."
    )
    headers = ("Measure", "Sessions", "Lowest", "Median", "Highest")
    table = Table(headers, tuple(rows), "Spread over sessions.", frozenset({1, 2, 3, 4}))
    return Figure("distributions", draw, caption, alt, table)


def _middle(values: Sequence[float]) -> float:
    """The median of sorted values."""
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def drift_figure(record: RunRecord) -> Figure | None:
    """What happens from the first turn to the last; None with fewer than two turns."""
    sessions = _complete(record.sessions)
    last = max((len(one.transcript.turns) for one in sessions), default=0)
    if last < 2:
        return None
    turns = list(range(1, last + 1))
    counts = {key: [_count(sessions, turn, key) for turn in turns] for key in DRIFTING}
    shares = [_share_line(words.FINDINGS[key], turns, pairs) for key, pairs in counts.items()]
    means = [_mean_words(sessions, turn) for turn in turns]
    alt = (
        f"Line chart over {last} turns of the share of sessions with "
        f"{words.listed([line.name.lower() for line in shares])}, and of words."
    )
    length = Line("words", turns, means)
    draw = partial(figures.draw_drift, shares, length, name="drift", alt=alt)
    caption = (
        "Does the persona fade within a session? Left: of the sessions, how many show each "
        "finding at that turn, with 95 % intervals (thin bars; Clopper-Pearson over sessions). "
        "Right: mean words of a reply."
    )
    rows = tuple(
        (
            str(turn),
            *(_of(counts[key][place]) for key in DRIFTING),
            words.value("mean_words", means[place]),
        )
        for place, turn in enumerate(turns)
    )
    headers = ("Turn", *(words.FINDINGS[key] for key in DRIFTING), "Words")
    table = Table(headers, rows, "Findings by turn.", frozenset(range(len(headers))))
    return Figure("drift", draw, caption, alt, table)


def _share_line(name: str, turns: list[int], pairs: Sequence[tuple[int, int]]) -> Line:
    """The share at each turn; its interval is exact, since each session counts once a turn."""
    ends = [exact_binomial(n, of) if of else (None, None) for n, of in pairs]
    shares = [n / of if of else None for n, of in pairs]
    return Line(name, turns, shares, [low for low, _ in ends], [high for _, high in ends])


def _complete(sessions: Sequence[ScoredSession]) -> list[ScoredSession]:
    return [one for one in sessions if one.transcript.status is Status.COMPLETE]


def _count(sessions: Sequence[ScoredSession], turn: int, key: str) -> tuple[int, int]:
    """In how many sessions the reply at ``turn`` shows ``key``, of how many that were scored."""
    measure = key.partition(":")[0]
    shown = known = 0
    for one in sessions:
        for found in one.scores.responses:
            if found.index == turn and getattr(found, measure) is not None:
                known += 1
                shown += key in finding_keys(found)
    return shown, known


def _mean_words(sessions: Sequence[ScoredSession], turn: int) -> float | None:
    found = [
        response.words
        for one in sessions
        for response in one.scores.responses
        if response.index == turn
    ]
    return sum(found) / len(found) if found else None


def _of(pair: tuple[int, int]) -> str:
    count, known = pair
    return f"{count} of {known}" if known else words.DASH
