"""``holdtrue plan``: what a verdict will cost, and what a budget can and cannot decide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdtrue.cli.options import FOLDER, look_options

if TYPE_CHECKING:
    from holdtrue.verdict.planning import Assumptions, BudgetPlan, TestPlan


@click.command("plan")
@click.option(
    "--criteria",
    multiple=True,
    metavar="NAME|FILE",
    help="Criteria set; may be repeated. [default: minimum and full]",
)
@click.option("--baseline", metavar="NAME|FILE", help="For relative bounds. [default: s35]")
@click.option(
    "--true",
    "true_values",
    multiple=True,
    metavar="MEASURE=VALUE",
    help="Assumed true value; the others are taken as clean. [default: four scenarios]",
)
@look_options(budget=2_000, batch=2_000)
@click.option("--turns", type=click.IntRange(1, 200), default=5, help="Responses a session.")
@click.option(
    "--correlation",
    type=click.FloatRange(0, 0.95),
    default=0.2,
    help="Between responses of one session. [default: 0.2]",
)
@click.option(
    "--sd",
    type=click.FloatRange(0, 0.3),
    default=0.08,
    help="Deviation of scores between sessions. [default: 0.08]",
)
@click.option(
    "--tokens",
    type=click.FloatRange(1),
    default=100.0,
    help="Generated tokens a response. [default: 100]",
)
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), help="Tokens a second.")
@click.option("--like", type=FOLDER, help="Take turns, tokens and speed from this run.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def command(
    criteria: tuple[str, ...],
    baseline: str | None,
    true_values: tuple[str, ...],
    like: Path | None,
    as_json: bool,
    mode: str,
    budget: int,
    batch: int,
    turns: int,
    correlation: float,
    sd: float,
    tokens: float,
    speed: float | None,
) -> None:
    """Plan a test by simulation: sessions, tokens and minutes to a verdict."""
    from holdtrue.baseline import load_baseline
    from holdtrue.cli.output import print_json
    from holdtrue.criteria import load_criteria, resolve_criteria
    from holdtrue.stats.evidence import Mode
    from holdtrue.verdict.planning import Assumptions, plan_tests
    from holdtrue.workspace import find_workspace

    place = find_workspace()
    figures = load_baseline(baseline or place.settings.baseline, place.folders("baselines")).values
    loaded = [
        load_criteria(name, place.folders("criteria")) for name in criteria or ("minimum", "full")
    ]
    assumed = Assumptions(
        mode=Mode(mode),
        batch=batch,
        budget=budget,
        turns=turns,
        correlation=correlation,
        sd=sd,
        tokens=tokens,
        speed=speed,
    )
    if like:
        assumed = _like(like, assumed, speed)
    plan = plan_tests(
        {one.name: resolve_criteria(one, figures) for one in loaded},
        dict(map(_true_value, true_values)),
        assumed,
    )
    if as_json:
        print_json(plan.as_dict())
    else:
        _show(plan)


def _true_value(text: str) -> tuple[str, float]:
    from holdtrue.errors import ConfigError

    measure, equals, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not equals or number != number:
        raise ConfigError(
            f"{text!r} is not MEASURE=VALUE", where="--true", remedy="As in --true gaming_rate=0.1"
        )
    return measure.strip(), number


def _like(path: Path, assumed: Assumptions, speed: float | None) -> Assumptions:
    """The assumptions with what a run measured: turns and tokens of a response, and the speed."""
    from holdtrue.capacity import load_record
    from holdtrue.runs import open_run

    record = load_record(open_run(path))
    responses = [turn for one in record.sessions for turn in one.transcript.turns]
    known = [turn.completion_tokens for turn in responses if turn.completion_tokens]
    if known:
        assumed = replace(assumed, tokens=sum(known) / len(known))
    if record.sessions:
        turns = max(1, round(len(responses) / len(record.sessions)))
        assumed = replace(assumed, turns=turns)
    if speed is None and record.resources.tokens_per_second:
        assumed = replace(assumed, speed=record.resources.tokens_per_second)
    return assumed


def _show(plan: TestPlan) -> None:
    from holdtrue.cli.output import print_table
    from holdtrue.documents import words

    click.echo(
        f"{plan.tests:,} simulated tests a line: budget {plan.budget}, looks every {plan.batch}, "
        f"{plan.mode.value} mode, {plan.turns} responses a session, correlation "
        f"{plan.correlation:g}, deviation {plan.sd:g}, "
        f"{plan.tokens_per_response:.0f} tokens a response"
    )
    for name in dict.fromkeys(one.criteria for one in plan.sets):
        print_table(
            ["if it is", "mean", "10–90 %", "met", "not met", "open", "tokens", "time"],
            [
                [
                    one.scenario,
                    f"{one.mean_sessions:.1f}",
                    f"{one.p10}–{one.p90}",
                    words.percent(one.met),
                    words.percent(one.not_met),
                    words.percent(one.undetermined),
                    words.count(one.tokens),
                    words.duration(None if one.minutes is None else 60 * one.minutes),
                ]
                for one in plan.sets
                if one.criteria == name
            ],
            title=f"{name}: sessions to a verdict",
        )
    print_table(
        ["set", "criterion", "wanted", "clean", "met if truly", "not met if truly"],
        [
            [
                one.criteria,
                words.name_of(one.measure),
                words.bound(one.measure, one.direction.value, one.bound),
                one.clean_sessions,
                _edge(one, one.met_from, good=True),
                _edge(one, one.not_met_from, good=False),
            ]
            for one in plan.criteria
        ],
        title=f"What {plan.budget} sessions can decide, in 80 % of tests",
    )
    for one in plan.criteria:
        if one.clean_sessions is None:
            click.echo(
                f"! {one.criteria}: {words.name_of(one.measure)} "
                f"{words.bound(one.measure, one.direction.value, one.bound)} cannot be met within "
                f"{plan.budget} sessions, even if all are clean"
            )
    if plan.tokens_per_second is None:
        click.echo("Time is unknown: give --speed, or --like RUN.")
    click.echo("For true values between both columns, over a fifth of tests do not decide rightly.")


def _edge(one: BudgetPlan, value: float | None, *, good: bool) -> str | None:
    from holdtrue.documents import words

    if value is None:
        return None
    upward = good is (one.direction.value == "at least")
    return f"{'≥' if upward else '≤'} {words.value(one.measure, value)}"
