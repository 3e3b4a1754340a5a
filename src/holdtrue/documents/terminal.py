"""The closing words of a test in the terminal: answer, criteria, evidence, in 80 columns.

Colour only on a terminal that wants it (NO_COLOR is obeyed); block characters only where the
output's encoding has them. Nothing that a model said is printed here, and names are made safe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdtrue.documents import results, words
from holdtrue.documents.blocks import Tone
from holdtrue.documents.console import console
from holdtrue.documents.escape import clip, one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from holdtrue.capacity import RunRecord
    from holdtrue.verdict.types import CriterionResult, SetResult

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-~=+*#"
GAP = "·"
SPARK = 12
STYLES: dict[Tone, str] = {
    "good": "green",
    "bad": "red",
    "warn": "yellow",
    "open": "cyan",
    "plain": "none",
}


def sparkline(
    values: Sequence[float | None],
    *,
    low: float | None = None,
    high: float | None = None,
    width: int = SPARK,
    ascii_only: bool = False,
) -> str:
    """``values`` as a row of at most ``width`` blocks between ``low`` and ``high``.

    Longer series keep their last value and are thinned evenly; None and not-a-number are gaps.
    """
    marks = ASCII if ascii_only else BLOCKS
    kept = _thinned(list(values), width)
    known = [value for value in kept if value is not None and not math.isnan(value)]
    if not known:
        return ""
    bottom = min(known) if low is None else low
    top = max(known) if high is None else high
    span = top - bottom or 1.0
    drawn = []
    for value in kept:
        if value is None or math.isnan(value):
            drawn.append(" " if ascii_only else GAP)
            continue
        place = (min(max(value, bottom), top) - bottom) / span
        drawn.append(marks[min(int(place * len(marks)), len(marks) - 1)])
    return "".join(drawn)


def _thinned(values: list[float | None], width: int) -> list[float | None]:
    if len(values) <= width:
        return values
    step = (len(values) - 1) / (width - 1)
    return [values[round(place * step)] for place in range(width)]


def print_summary(record: RunRecord) -> None:
    """Print the answer, the outcome, each criterion with its evidence, and what comes next."""
    print_to(console(), record)


def print_to(out: Console, record: RunRecord) -> None:
    """The same on a given console."""
    from rich.text import Text

    verdict = record.verdict
    main = results.main_set(verdict)
    mark, tag = results.outcome(verdict)
    letter = f"{mark}: " if mark.isalpha() else ""
    out.print()
    _say(out, results.answer(record), style="bold")
    out.print(Text.assemble("Outcome ", (f"{letter}{tag.text}", f"bold {STYLES[tag.tone]}")))
    _say(out, results.sureness(record))
    out.print()
    out.print(_table(out, record, main))
    for other in verdict.sets:
        if other is not main:
            _say(out, _in_a_line(other))
    for warning in verdict.warnings:
        _say(out, f"! {words.prose(warning)}", style=STYLES["warn"])
    out.print()
    _say(out, words.prose(verdict.meaning))
    _say(out, f"Next: {words.prose(verdict.next_step)}")
    out.print()


def _in_a_line(result: SetResult) -> str:
    """A set that is not the main one: what was decided, and what keeps it open."""
    after = f" after {words.plural(result.decided_at, 'session')}" if result.decided_at else ""
    waiting = [
        words.name_of(one.measure)
        for one in result.criteria
        if results.TONES[one.decision] != "good"
    ]
    why = f" ({words.listed(waiting)})" if waiting and not after else ""
    return f"{result.name.capitalize()}: {result.decision.value}{after}{why}."


def _table(out: Console, record: RunRecord, result: SetResult) -> Table:
    from rich import box
    from rich.table import Table

    ascii_only = not _can_draw(out)
    shape = None if ascii_only else box.SIMPLE_HEAD
    table = Table(box=shape, pad_edge=False, show_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column(one_line(result.name), max_width=20, overflow="fold", no_wrap=True)
    table.add_column("wanted", no_wrap=True)
    table.add_column("here", justify="right", no_wrap=True)
    table.add_column("interval", no_wrap=True)
    table.add_column("base", justify="right", no_wrap=True)
    table.add_column(f"evidence to {1 / record.verdict.alpha:g}", no_wrap=True)
    table.add_column("", no_wrap=True)
    for one in result.criteria:
        table.add_row(*_cells(record, one, ascii_only))
    return table


def _cells(record: RunRecord, one: CriterionResult, ascii_only: bool) -> list[Text]:
    from rich.text import Text

    tone = results.TONES[one.decision]
    decision = {"undetermined": "open"}.get(one.decision.value, one.decision.value)
    sign = {"good": "+", "bad": "x"}.get(tone, "?") if ascii_only else ""
    top = math.log10(1 / record.verdict.alpha)
    limit = "<=" if one.direction.value == "at most" else ">="
    if not ascii_only:
        limit = {"<=": "≤", ">=": "≥"}[limit]
    low, high = one.low, one.high
    rate = one.kind.value == "rate"
    spread = (
        words.DASH
        if low is None or high is None
        else f"{100 * low:.0f}–{100 * high:.0f} %"
        if rate
        else f"{low:.2f}–{high:.2f}"
    )
    base = results.baseline_value(record.baseline, one.measure)
    cells = [
        clip(words.name_of(one.measure), 20),
        f"{limit} {words.value(one.measure, one.bound)}",
        words.value(one.measure, one.estimate),
        spread,
        words.value(one.measure, base),
        sparkline(
            [look.met_evidence for look in one.looks], low=-1.0, high=top, ascii_only=ascii_only
        ),
    ]
    plain = [cell.replace("–", "-") if ascii_only else cell for cell in cells]
    return [*map(Text, plain), Text(f"{sign} {decision}".strip(), style=STYLES[tone])]


def _say(out: Console, text: str, *, style: str = "none") -> None:
    from rich.text import Text

    safe = one_line(text)
    if not _can_draw(out):
        safe = safe.translate({0x2013: "-", 0x201C: '"', 0x201D: '"', 0x2026: "..."})
        safe = safe.encode("ascii", "replace").decode()
    out.print(Text(safe, style=style), soft_wrap=False)


def _can_draw(out: Console) -> bool:
    """Whether the output's encoding has block characters."""
    try:
        (BLOCKS + "≤").encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
