"""``holdtrue verdict``: compute a verdict again from stored transcripts, and explain it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdtrue.cli.options import FILE, FOLDER

if TYPE_CHECKING:
    from holdtrue.cli.arms import Arm
    from holdtrue.criteria import CriteriaSet
    from holdtrue.verdict import JudgeRecord, SetResult, Verdict

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
@click.option("--judge", metavar="MODEL", help="Have a model rate every reply: judge_… measures.")
@click.option(
    "--rubric", default="reader", show_default=True, metavar="NAME|FILE", help="What it is asked."
)
@click.option(
    "--judge-calibration",
    type=FILE,
    help="The judge's agreement with people. [default: as calibrate kept it]",
)
@click.option("--judge-uncalibrated", is_flag=True, help="Use a judge that was never calibrated.")
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
    judge: str | None,
    rubric: str,
    judge_calibration: Path | None,
    judge_uncalibrated: bool,
    explain: bool,
    gate: str | None,
    junit: Path | None,
    as_json: bool,
) -> int:
    """Decide the criteria on the sessions of RUN, or of transcripts in any readable format.

    Nothing is generated: a verdict follows from stored transcripts, criteria and baseline, and
    from a judge's ratings if one is named.
    """
    from holdtrue.cli.arms import read_arm
    from holdtrue.cli.output import print_json
    from holdtrue.gate import exit_code

    arm = read_arm(paths, persona)
    sets = _sets(arm, criteria, workspace)
    record = None
    if judge:
        arm, record = _judged(arm, sets, judge, rubric, judge_calibration, judge_uncalibrated)
    verdict = _decide(arm, sets, mode, baseline, batch, workspace, record)
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


def _sets(arm: Arm, criteria: tuple[str, ...], workspace: Path | None) -> tuple[CriteriaSet, ...]:
    """The criteria sets as asked, else the run's, else the default ones."""
    from holdtrue.criteria import load_criteria
    from holdtrue.workspace import find_workspace

    if arm.config is not None and not criteria:
        return arm.config.criteria
    folders = find_workspace(workspace).folders("criteria")
    return tuple(load_criteria(name, folders) for name in criteria or DEFAULT_SETS)


def _judged(
    arm: Arm,
    sets: tuple[CriteriaSet, ...],
    model: str,
    rubric: str,
    calibration: Path | None,
    uncalibrated: bool,
) -> tuple[Arm, JudgeRecord]:
    """The arm with a judge's measures, and which judge it was with what is known of it."""
    from dataclasses import replace

    from holdtrue.cli.judging import judge_all
    from holdtrue.errors import ConfigError, nearest
    from holdtrue.scoring import judge_calibration
    from holdtrue.scoring.judge import JudgeIdentity, unscored
    from holdtrue.scoring.judged import measures_of, with_ratings
    from holdtrue.scoring.measures import JUDGED
    from holdtrue.scoring.rubric import load_rubric
    from holdtrue.verdict import JudgeRecord

    keys = load_rubric(rubric).keys
    needed = list(dict.fromkeys(name for one in sets for name in one.judged))
    for name in needed:
        if name not in measures_of(keys):
            raise ConfigError(
                f"rubric {rubric} has no rating {name.removeprefix(JUDGED)!r} for {name}",
                remedy=nearest(name, measures_of(keys)),
            )
    ratings = [name.removeprefix(JUDGED) for name in needed]

    def agreement(identity: JudgeIdentity) -> str:
        return judge_calibration.require(
            identity, calibration, uncalibrated=uncalibrated, ratings=ratings
        )

    transcripts = [one.transcript for one in arm.sessions]
    identity, rated = judge_all(model, rubric, transcripts, check=agreement)
    sessions = tuple(
        with_ratings(one, ratings_of_it, keys)
        for one, ratings_of_it in zip(arm.sessions, rated, strict=True)
    )
    reasons = unscored(rated)
    return replace(arm, sessions=sessions), JudgeRecord(
        **identity.as_dict(),
        calibrated=judge_calibration.find(identity, calibration) is not None,
        agreement=agreement(identity),
        responses=sum(map(len, rated)),
        unscored=sum(reasons.values()),
        reasons=reasons,
    )


def _decide(
    arm: Arm,
    sets: tuple[CriteriaSet, ...],
    mode: str | None,
    baseline: str | None,
    batch: int | None,
    workspace: Path | None,
    judge: JudgeRecord | None,
) -> Verdict:
    """The verdict as asked; what is not asked for is as in the run."""
    from holdtrue.baseline import load_baseline
    from holdtrue.verdict import decide
    from holdtrue.workspace import find_workspace

    place = find_workspace(workspace)
    config = arm.config
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
        judge=judge,
    )


def _show(arm: Arm, verdict: Verdict, explain: bool) -> None:
    from holdtrue.cli.evidence_plot import explain_criterion, explain_set
    from holdtrue.cli.output import printable
    from holdtrue.documents.words import plural

    seen = f"{plural(verdict.sessions, 'session')}, {plural(verdict.responses, 'response')}"
    click.echo(printable(f"{arm.name}: {verdict.model or 'model unknown'}, {seen}"))
    click.echo(_basis(arm, verdict))
    for line in _judge_lines(verdict):
        click.echo(printable(line))
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


def _judge_lines(verdict: Verdict) -> list[str]:
    """Which model rated, what its ratings are worth, and what it left unscored."""
    judge = verdict.judge
    if judge is None:
        return []
    mark = "" if judge.calibrated else "! "
    lines = [f"{mark}Judge {judge.model}, rubric {judge.rubric}: {judge.agreement}"]
    if judge.unscored:
        why = "; ".join(f"{count} × {reason}" for reason, count in judge.reasons.items())
        lines.append(f"  {judge.unscored} of {judge.responses} replies unscored: {why}")
    return lines


def _show_set(result: SetResult) -> None:
    from holdtrue.cli.output import print_table, printable
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
            click.echo(printable(f"  {words.name_of(one.measure)}: {one.note}"))
    if result.note:
        click.echo(printable(f"  {result.note}"))
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
    from holdtrue.cli.output import print_table, printable
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
            click.echo(printable(f"  {words.name_of(one.measure)}: {one.note}"))


def _limits(measure: str, lower: float | None, upper: float | None) -> str | None:
    from holdtrue.documents import words

    parts = [
        f"{sign} {words.value(measure, limit)}"
        for sign, limit in (("≥", lower), ("≤", upper))
        if limit is not None
    ]
    return ", ".join(parts) or None
