"""The document of a comparison: what differs between two arms, and both arms' transcripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from holdtrue.comparison import ArmFacts, Comparison, MeasureComparison
from holdtrue.documents import figures, transcript_data, words
from holdtrue.documents.blocks import (
    Block,
    Bullets,
    Code,
    Document,
    Facts,
    Figure,
    Inline,
    Notice,
    Paragraph,
    Section,
    Strong,
    Table,
    Tag,
    Transcripts,
    with_code,
)
from holdtrue.documents.provenance import arm_origin, engine_versions, made_by
from holdtrue.scoring.measures import RATES, ScoredSession


def comparison_document(
    comparison: Comparison,
    a: Sequence[ScoredSession],
    b: Sequence[ScoredSession],
    *,
    command: str = "",
    versions: Mapping[str, str] | None = None,
) -> Document:
    """The document of ``comparison``; ``a`` and ``b`` are the sessions that it was made from.

    ``command`` made it, with the packages of ``versions``.
    """
    origin = [
        *arm_origin(comparison.a.name, a),
        *arm_origin(comparison.b.name, b),
        ("Scorer", Code(comparison.scorer)),
        *made_by(command, {**engine_versions([*a, *b]), **(versions or {})}),
    ]
    tested = [one for one in comparison.measures if one.tested]
    apart = [one for one in tested if differs(one, comparison.alpha)]
    pairing = (
        f"{words.plural(comparison.pairs, 'pair')} of equal seed and prompts"
        if comparison.pairs is not None
        else "unpaired"
    )
    return Document(
        kind="Comparison",
        title=f"{comparison.b.name} against {comparison.a.name}",
        subtitle=f"{comparison.b.name} against {comparison.a.name}",
        answer=words.prose(comparison.supported),
        outcome=Tag("different" if apart else "no difference shown", "warn" if apart else "open"),
        sureness=f"{pairing}; {len(tested)} measures are tested together (Holm), so that two "
        f"halves of one arm differ in at most {words.percent(comparison.alpha)} of cases.",
        meaning=with_code(words.prose(comparison.unsupported)),
        facts=(
            ("A", _arm(comparison.a)),
            ("B", _arm(comparison.b)),
            ("Differ", f"{len(apart)} of {len(tested)} tested"),
        ),
        sections=(
            _differences(comparison),
            _transcripts(comparison, a, b),
            _method(comparison, Facts(tuple(origin))),
        ),
    )


def differs(one: MeasureComparison, alpha: float) -> bool:
    """Whether a tested measure was shown to differ."""
    return one.p_adjusted is not None and one.p_adjusted <= alpha


def _arm(arm: ArmFacts) -> str:
    parts = [arm.name, *(part for part in (arm.model, arm.protocol) if part)]
    return f"{', '.join(parts)}; {words.plural(arm.sessions, 'session')}"


def _differences(comparison: Comparison) -> Section:
    blocks: list[Block] = [Notice(with_code(words.prose(text))) for text in comparison.warnings]
    if figure := difference_figure(comparison):
        blocks.append(figure)
    blocks.append(_table(comparison, tested=True))
    blocks.append(_table(comparison, tested=False))
    if comparison.unscored:
        names = [words.name_of(name) for name in comparison.unscored]
        blocks.append(Paragraph(f"Without a value in one of the arms: {words.listed(names)}."))
    return Section("Differences", "differences", tuple(blocks), lead="B minus A, over sessions.")


def difference_figure(comparison: Comparison) -> Figure | None:
    """Differences with intervals, for measures between 0 and 1; None without any interval."""
    shown = [
        one for one in comparison.measures if one.measure != "mean_words" and one.low is not None
    ]
    if not shown:
        return None
    rows = [
        figures.Gap(
            words.name_of(one.measure),
            one.difference,
            one.low,
            one.high,
            differs(one, comparison.alpha),
        )
        for one in shown
    ]
    apart = [row.name for row in rows if row.shown]
    alt = f"Interval chart of {len(rows)} differences. Shown to differ: " + (
        f"{words.listed(apart)}." if apart else "none."
    )
    draw = partial(figures.draw_differences, rows, name="differences", alt=alt)
    caption = (
        f"{comparison.b.name} minus {comparison.a.name}: difference and 95 % interval. Filled "
        "markers: shown to differ, all tested measures together; hollow ones: not shown, or not "
        "tested."
    )
    table = _table(comparison, tested=True)
    return Figure("differences", draw, caption, alt, table, told=True)


def _table(comparison: Comparison, *, tested: bool) -> Table:
    rows: list[tuple[Inline, ...]] = []
    for one in comparison.measures:
        if one.tested is not tested:
            continue
        cells: list[Inline] = [
            Strong(words.name_of(one.measure)) if tested else words.name_of(one.measure),
            words.value(one.measure, one.mean_a),
            words.value(one.measure, one.mean_b),
            difference(one.measure, one.difference),
            _interval(one),
            signed(one.effect, 2) if one.effect is not None else words.DASH,
        ]
        if tested:
            cells += [_p(one.p_value, one.exact), _p(one.p_adjusted, one.exact)]
            cells.append(
                Tag("differ", "warn")
                if differs(one, comparison.alpha)
                else Tag("not shown", "open")
            )
            if comparison.margin is not None:
                cells.append(_equivalence(one))
        rows.append(tuple(cells))
    headers = ["Measure", "A", "B", "Difference", "Interval", "Effect"]
    if tested:
        headers += ["p", "p, together", "Verdict"]
        if comparison.margin is not None:
            headers.append(f"No worse by {comparison.margin:g}")
    effects = "Effects: Hedges' g, for rates Cohen's h."
    caption = (
        f"Tested together; * exact, from all permutations. {effects}"
        if tested
        else f"Shown with intervals, not tested. {effects}"
    )
    return Table(tuple(headers), tuple(rows), caption, frozenset({1, 2, 3, 5, 6, 7}))


def difference(measure: str, number: float | None) -> str:
    """A difference with its sign, in the measure's unit (percentage points for a rate)."""
    if number is None:
        return words.DASH
    if measure in RATES:
        return f"{signed(100 * number, 1)} pp"
    return signed(number, 1 if measure == "mean_words" else 3)


def signed(number: float, decimals: int) -> str:
    """A number with its sign, nought without one."""
    text = f"{abs(number):.{decimals}f}"
    return text if not float(text) else f"{'+' if number > 0 else '−'}{text}"


def _interval(one: MeasureComparison) -> str:
    if one.low is None or one.high is None:
        return words.DASH
    low = difference(one.measure, one.low).removesuffix(" pp")
    return f"{low} to {difference(one.measure, one.high)}"


def _p(value: float | None, exact: bool) -> str:
    if value is None:
        return words.DASH
    shown = "< 0.001" if value < 0.001 else f"{value:.3f}"
    return f"{shown}*" if exact else shown


def _equivalence(one: MeasureComparison) -> Inline:
    if one.equivalence is None or one.equivalence.shown is None:
        return Tag("not known", "open")
    return Tag("shown", "good") if one.equivalence.shown else Tag("not shown", "open")


def _transcripts(
    comparison: Comparison, a: Sequence[ScoredSession], b: Sequence[ScoredSession]
) -> Section:
    names = (f"A: {comparison.a.name}", f"B: {comparison.b.name}")
    data = transcript_data.transcript_data({names[0]: a, names[1]: b})
    tables = tuple(
        transcript_data.session_table(sessions, caption=f"Sessions of {name}.")
        for name, sessions in zip(names, (a, b), strict=True)
    )
    return Section(
        "Transcripts",
        "transcripts",
        (Transcripts(data, tables),),
        lead="Every reply of both arms. Side by side shows the same seed and prompts under both.",
    )


def _method(comparison: Comparison, origin: Facts) -> Section:
    excluded = [
        f"{arm.name}: {words.plural(one.count, 'session')} not counted, {one.what} ({one.reason})"
        for arm in (comparison.a, comparison.b)
        for one in arm.excluded
    ]
    items: tuple[Inline, ...] = (
        "The unit is the session; a difference is between means over sessions.",
        "Sessions are paired where both arms have one of the same seed and phrasings, which takes "
        "out what the prompts alone explain.",
        "Measures that are not tested are shown with intervals only; looking through many of them "
        "finds differences by chance.",
        *excluded,
    )
    return Section(
        "Limits and method",
        "method",
        (Bullets(items), origin),
        short="Method",
    )
