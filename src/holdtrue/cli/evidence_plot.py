"""Evidence after every look, as numbers and a small plot in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from holdtrue.verdict import CriterionResult, SetResult, Verdict

TOP, BOTTOM = 2.6, -2.0
ROWS = 9
COLUMNS = 60
WIDE = 20  # up to so many looks, a look is two characters wide
MET, NOT_MET, BOTH = "+", "x", "*"


def plot(met: Sequence[float], not_met: Sequence[float], decides: float) -> list[str]:
    """Lines of a plot of log10 evidence over looks; what lies outside is drawn at the edge.

    ``decides`` is drawn as a row of dashes. Long series are thinned and keep their last look.
    """
    columns = _thinned(range(max(len(met), len(not_met))))
    gap = " " if len(columns) <= WIDE else ""
    grid = [[" "] * len(columns) for _ in range(ROWS)]
    for place, look in enumerate(columns):
        for series, mark in ((met, MET), (not_met, NOT_MET)):
            if look < len(series):
                row = _row(series[look])
                taken = grid[row][place] in (MET, NOT_MET)
                grid[row][place] = BOTH if taken else mark
    grid[_row(decides)] = [cell if cell.strip() else "-" for cell in grid[_row(decides)]]
    labels = {_row(decides): f"{10**decides:.0f}", _row(0.0): "1", ROWS - 1: f"{10**BOTTOM:g}"}
    return [f"{labels.get(row, ''):>6} |{gap.join(cells)}" for row, cells in enumerate(grid)]


def _row(evidence: float) -> int:
    inside = min(max(evidence, BOTTOM), TOP)
    return round((TOP - inside) / (TOP - BOTTOM) * (ROWS - 1))


def _thinned(looks: range) -> list[int]:
    if len(looks) <= COLUMNS:
        return list(looks)
    step = (len(looks) - 1) / (COLUMNS - 1)
    return [round(place * step) for place in range(COLUMNS)]


def explain_criterion(one: CriterionResult, verdict: Verdict) -> None:
    """Print the evidence of one criterion after each look, and what it decided when."""
    from holdtrue.cli.output import print_table, printable
    from holdtrue.documents import words

    click.echo(f"  {one.measure} {words.bound(one.measure, one.direction.value, one.bound)}")
    if one.source:
        click.echo(printable(f"    where the bound comes from: {one.source}"))
    click.echo(f"    {_facts(one)}")
    if not one.looks:
        click.echo(f"    no look yet: the first is after {verdict.batch} sessions\n")
        return
    rows = [
        [look.sessions, words.evidence(look.met_evidence), words.evidence(look.not_met_evidence)]
        for look in one.looks
    ]
    print_table(["after", "evidence for met", "for not met"], rows)
    met = [look.met_evidence for look in one.looks]
    against = [look.not_met_evidence for look in one.looks]
    for line in plot(met, against, log10(1 / verdict.alpha)):
        click.echo(f"  {line}")
    click.echo(f"         {MET} met, {NOT_MET} not met, {BOTH} both; {_deciding(verdict)}")
    click.echo(f"    {_why(one, verdict)}\n")


def explain_set(result: SetResult, verdict: Verdict) -> None:
    """Print how the set as a whole was decided."""
    from holdtrue.cli.output import printable
    from holdtrue.documents import words

    name = printable(result.name)
    click.echo(f"  set {name}: met when every criterion is met; not met when the average")
    click.echo(f"  of the not-met evidence reaches {1 / verdict.alpha:.0f}.")
    if result.looks:
        line = ", ".join(
            f"{look.sessions}: {words.evidence(look.not_met_evidence)}" for look in result.looks
        )
        click.echo(f"  Averaged not-met evidence after each look: {line}")
    at = f" after {result.decided_at} sessions" if result.decided_at else ""
    click.echo(f"  Decision: {result.decision.value}{at}\n")


def _facts(one: CriterionResult) -> str:
    parts = [f"{one.sessions} sessions, {one.responses} responses"]
    if one.unscored:
        parts.append(f"{one.unscored} sessions unscored")
    if one.correlation is not None:
        parts.append(f"observed intra-session correlation {one.correlation:.2f}")
    if one.deviation is not None:
        parts.append(f"deviation between sessions {one.deviation:.3f}")
    return "; ".join(parts)


def _why(one: CriterionResult, verdict: Verdict) -> str:
    """The decision in words."""
    if one.decided_at is not None:
        alpha = verdict.met_alpha if one.decision.value == "met" else verdict.alpha
        return (
            f"{one.decision.value} after {one.decided_at} sessions: that evidence reached "
            f"{1 / alpha:.0f}, which chance alone does in at most {100 * alpha:.2g} % of tests "
            "where the truth is otherwise."
        )
    text = "undetermined: neither side reached it"
    if one.forecast:
        text += f"; met after {one.forecast} sessions in all if all further ones are clean"
    return f"{text}."


def _deciding(verdict: Verdict) -> str:
    """Where the evidence decides; *met* can be asked for more, on a ladder."""
    text = f"a decision at {1 / verdict.alpha:.0f}"
    if verdict.met_alpha != verdict.alpha:
        text += f", of met at {1 / verdict.met_alpha:.0f}"
    return text
