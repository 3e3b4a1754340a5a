"""``holdtrue verdict``: compute a verdict again from stored transcripts, and explain it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdtrue.cli.options import FILE, FOLDER

if TYPE_CHECKING:
    from holdtrue.cli.arms import Arm
    from holdtrue.verdict import SetResult, Verdict

DEFAULT_SETS = ("minimum", "full")
NO_BASELINE = "none"


@click.command("verdict")
@click.argument(
    "paths", metavar="RUN|PATH…", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--criteria",
    multiple=True,
    metavar="NAME|FILE",
    help="Criteria set; may be repeated. [default: the run's, else minimum and full]",
)
@click.option(
    "--mode",
    type=click.Choice(["bounded", "free"]),
    help="What the evidence assumes. [default: the run's, else bounded]",
)
@click.option(
    "--baseline",
    metavar="NAME|FILE|none",
    help="What to compare with. [default: the run's, else s35]",
)
@click.option("--batch", type=click.IntRange(1), metavar="N", help="Sessions between looks.")
@click.option("--persona", metavar="NAME|FILE", help="Whose responses, in foreign transcripts.")
@click.option("--workspace", type=FOLDER, help="Workspace. [default: nearest above]")
@click.option("--explain", is_flag=True, help="Show the evidence after every look.")
@click.option("--gate", metavar="SET", help="Exit 1 if SET is not met, 3 if undetermined.")
@click.option("--junit", type=FILE, help="Write a JUnit XML file.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def command(
    paths: tuple[Path, ...],
    criteria: tuple[str, ...],
    mode: str | None,
    baseline: str | None,
    batch: int | None,
    persona: str | None,
    workspace: Path | None,
    explain: bool,
    gate: str | None,
    junit: Path | None,
    as_json: bool,
) -> int:
    """Decide the criteria on the sessions of RUN, or of transcripts in any readable format.

    Nothing is generated: a verdict follows from stored transcripts, criteria and baseline.
    """
    from holdtrue.cli.arms import read_arm
    from holdtrue.cli.output import print_json
    from holdtrue.gate import exit_code

    arm = read_arm(paths, persona)
    verdict = _decide(arm, criteria, mode, baseline, batch, workspace)
    code = exit_code(verdict, gate) if gate else 0
    if junit:
        from holdtrue.files import write_atomic
        from holdtrue.gate import junit_xml

        write_atomic(junit, junit_xml(verdict))
    if as_json:
        print_json(verdict.as_dict())
    else:
        _show(arm, verdict, explain)
    return code


def _decide(
    arm: Arm,
    criteria: tuple[str, ...],
    mode: str | None,
    baseline: str | None,
    batch: int | None,
    workspace: Path | None,
) -> Verdict:
    """The verdict as asked; what is not asked for is as in the run."""
    from holdtrue.baseline import load_baseline
    from holdtrue.criteria import load_criteria
    from holdtrue.verdict import decide
    from holdtrue.workspace import find_workspace

    place = find_workspace(workspace)
    config = arm.config
    if criteria or config is None:
        names = criteria or DEFAULT_SETS
        sets = tuple(load_criteria(name, place.folders("criteria")) for name in names)
    else:
        sets = config.criteria
    if baseline == NO_BASELINE:
        figures = None
    elif baseline is not None or config is None:
        name = baseline or place.settings.baseline
        figures = load_baseline(name, place.folders("baselines"))
    else:
        figures = config.baseline
    return decide(
        arm.sessions,
        sets,
        figures,
        mode=mode or (config.mode if config else "bounded"),
        batch=batch or (config.batch if config else 4),
        budget=config.budget if config else 60,
    )


def _show(arm: Arm, verdict: Verdict, explain: bool) -> None:
    from holdtrue.cli.evidence_plot import explain_criterion, explain_set
    from holdtrue.cli.output import printable
    from holdtrue.documents.words import plural

    seen = f"{plural(verdict.sessions, 'session')}, {plural(verdict.responses, 'response')}"
    click.echo(printable(f"{arm.name}: {verdict.model or 'model unknown'}, {seen}"))
    click.echo(_basis(arm, verdict))
    for one in verdict.excluded:
        click.echo(f"Not counted: {one.count} {one.what} ({printable(one.reason)})")
    for result in verdict.sets:
        _show_set(result)
        if explain:
            for criterion in result.criteria:
                explain_criterion(criterion, verdict)
            explain_set(result, verdict)
    _show_watched(verdict)
    click.echo(f"Outcome: {verdict.outcome.value}. {printable(verdict.meaning)}")
    click.echo(f"Next: {printable(verdict.next_step)}\n")
    for question in verdict.questions:
        click.echo(f"{question.question}\n  {printable(question.answer)}")
    for warning in verdict.warnings:
        click.echo(f"! {printable(warning)}")


def _basis(arm: Arm, verdict: Verdict) -> str:
    """Mode, error rate, family and baseline in one line."""
    assumes = {
        "bounded": "correlation in a session ≤ 0.5, deviation between sessions ≤ 0.15",
        "free": "nothing assumed but [0, 1]",
    }
    line = (
        f"Mode {verdict.mode.value} ({assumes[verdict.mode.value]}), α {verdict.alpha:g}, "
        f"{verdict.family} scores, baseline {verdict.baseline or 'none'}"
    )
    if arm.config and arm.config.mode != verdict.mode.value:
        line += f"\n! The run was begun in {arm.config.mode} mode: that is its verdict, this is not"
    return line


def _show_set(result: SetResult) -> None:
    from holdtrue.cli.output import print_table
    from holdtrue.documents import words

    at = f" after {result.decided_at} sessions" if result.decided_at else ""
    rows = [
        [
            words.name_of(one.measure),
            words.bound(one.measure, one.direction.value, one.bound),
            words.value(one.measure, one.estimate),
            words.interval(one.measure, one.low, one.high),
            one.sessions,
            one.decision.value + (f" ({one.decided_at})" if one.decided_at else ""),
        ]
        for one in result.criteria
    ]
    print_table(
        ["criterion", "wanted", "here", "interval", "n", "decision (after)"],
        rows,
        title=f"{result.name}: {result.decision.value}{at}",
    )
    for one in result.criteria:
        if one.note:
            click.echo(f"  {words.name_of(one.measure)}: {one.note}")
    if result.note:
        click.echo(f"  {result.note}")
    if result.forecast:
        click.echo(f"  {forecast_line(result)}")


def forecast_line(result: SetResult) -> str:
    """What the forecast of an undetermined set says."""
    coming = result.forecast
    if coming is None:
        return ""
    limit = f"more than {coming.limit}"
    if coming.clean:
        text = f"met after {coming.clean} sessions in all if all further ones are clean"
    else:
        text = f"not met within {coming.limit} sessions even if all further ones are clean"
    if coming.low is None and coming.median is None:
        unknown = "fewer" in coming.note
        return f"Forecast: {text}; {coming.note if unknown else f'decided after {limit}'}"
    ends = f"{coming.low or limit} to {coming.high or limit}"
    return f"Forecast: {text}; decided after {coming.median or limit} ({ends}; {coming.note})"


def _show_watched(verdict: Verdict) -> None:
    from holdtrue.cli.output import print_table
    from holdtrue.documents import words

    rows = [
        [
            words.name_of(one.measure),
            words.value(one.measure, one.estimate),
            words.interval(one.measure, one.low, one.high),
            words.value(one.measure, one.baseline),
            _limits(one.measure, one.lower, one.upper),
            one.status.value,
        ]
        for one in verdict.secondary
        if one.estimate is not None
    ]
    if rows:
        print_table(
            ["watched", "here", "interval", "baseline", "limits", "status"],
            rows,
            title="Watched for new failure modes",
        )
    for one in verdict.secondary:
        if one.estimate is None and one.note:
            click.echo(f"  {words.name_of(one.measure)}: {one.note}")


def _limits(measure: str, lower: float | None, upper: float | None) -> str | None:
    from holdtrue.documents import words

    parts = [
        f"{sign} {words.value(measure, limit)}"
        for sign, limit in (("≥", lower), ("≤", upper))
        if limit is not None
    ]
    return ", ".join(parts) or None
