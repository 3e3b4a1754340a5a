"""``holdtrue check``: will this model load, speak and fit, and how long would a test take."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from holdtrue.cli.options import engine_options, make_engine_options

if TYPE_CHECKING:
    from holdtrue.engines.base import EngineOptions
    from holdtrue.engines.estimate import Estimate
    from holdtrue.engines.preflight import Plan, Preflight

DEFAULT_MODEL = "smollm2-135m"


@click.command("check")
@click.argument("model", default=DEFAULT_MODEL)
@click.option("--estimate-only", is_flag=True, help="From headers alone; load nothing.")
@click.option("--budget", type=click.IntRange(1, 100_000), default=60, help="Sessions planned.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@engine_options
def command(
    model: str, estimate_only: bool, budget: int, as_json: bool, **values: Any
) -> int | None:
    """Load MODEL, let it speak, and print what it is and what it takes.

    Before loading, an estimate from the model's headers says whether it fits. MODEL is a catalog
    name (see `holdtrue models`), a .gguf file, a model folder, or a name such as ollama:MODEL.
    """
    from holdtrue.cli.output import print_json
    from holdtrue.engines.estimate import estimate
    from holdtrue.engines.preflight import Plan

    options = make_engine_options(values, None)
    guess = estimate(model, options)
    if estimate_only:
        if as_json:
            print_json(guess.as_dict() if guess else None)
        else:
            print_estimate(model, guess)
        return 4 if guess is not None and guess.fits is False else 0
    if guess is not None and guess.fits is False:
        _warn(guess)
    facts = asyncio.run(_check(model, options, Plan(sessions=budget, turns=5, tokens=150)))
    if as_json:
        print_json(facts.as_dict())
    else:
        print_preflight(facts)
    return 4 if facts.problem else 0


async def _check(model: str, options: EngineOptions, plan: Plan) -> Preflight:
    from holdtrue.cli.models import ensure_fetched
    from holdtrue.engines.preflight import run_preflight
    from holdtrue.engines.registry import open_engine

    ensure_fetched(model, offline=options.offline)
    async with open_engine(model, options) as engine:
        return await run_preflight(engine, plan)


def _warn(guess: Estimate) -> None:
    from holdtrue.cli.output import printable

    needed, room = size(guess.memory_bytes), size(guess.available_bytes)
    text = f"warning: {guess.model} needs about {needed}; {room} of {guess.device} are free."
    click.echo(printable(text), err=True)
    for line in guess.advice:
        click.echo(printable(f"  {line}"), err=True)


def print_estimate(model: str, guess: Estimate | None) -> None:
    """The estimate as a table, and what would fit where it does not."""
    from holdtrue.cli.output import print_table, printable

    if guess is None:
        click.echo(printable(f"{model} does not run on this machine, or nothing is known of it."))
        return
    shape = guess.shape
    rows = [
        ("architecture", shape.architecture),
        ("parameters", count(shape.parameters_total)),
        ("active a token", count(shape.parameters_active)),
        ("bits a weight", f"{shape.bits:.2f}" if shape.bits else None),
        ("weights", size(guess.weight_bytes)),
        (f"cache, {guess.lanes} × {guess.context:,} tokens", size(guess.kv_bytes)),
        ("memory in all", size(guess.memory_bytes)),
        (f"free ({guess.device})", size(guess.available_bytes)),
        ("fits", {True: "yes", False: "no", None: "unknown"}[guess.fits]),
    ]
    print_table(("estimate", printable(model)), [row for row in rows if row[1] is not None])
    for line in (*guess.advice, *shape.notes):
        click.echo(printable(line))


def print_preflight(facts: Preflight) -> None:
    """What a model is, what it said, and expected against measured."""
    from holdtrue.cli.output import print_table, printable

    known = facts.facts
    memory = [facts.memory_before, facts.memory_after_load, facts.memory_peak]
    rows = [
        ("architecture", known.architecture),
        ("parameters", _parameters(facts)),
        ("file", _file(facts)),
        ("context", f"{known.context_length:,} tokens" if known.context_length else None),
        ("loaded in", f"{facts.load_seconds:.1f} s" if facts.load_seconds else None),
        (
            "memory before, loaded, peak",
            ", ".join(size(one) or "–" for one in memory) if memory[0] is not None else None,
        ),
        ("accelerator memory, peak", size(facts.accelerator_peak)),
        ("tokens/s", _speeds(facts)),
        ("a test takes at most", _minutes(facts)),
        ("template adds", known.template_system),
        ("replayable", "yes" if known.replayable else "no"),
    ]
    print_table(("model", printable(known.model)), [row for row in rows if row[1]])
    _print_rows(facts)
    for note in known.notes:
        click.echo(printable(f"note: {note}"))
    click.echo(printable(f"asked: {facts.sample_prompt}"))
    if facts.problem:
        click.echo(printable(f"it did not speak: {facts.problem}"))
    else:
        click.echo(printable(f"said:  {facts.sample_reply}"))


def _print_rows(facts: Preflight) -> None:
    from holdtrue.cli.output import print_table

    rows = [
        (row.name, _amount(row.expected, row.unit), _amount(row.measured, row.unit))
        for row in facts.rows
        if row.expected is not None
    ]
    if rows:
        print_table(("resource", "expected", "measured"), rows)


def _amount(value: float | None, unit: str) -> str | None:
    if value is None:
        return None
    if unit == "bytes":
        return size(value)
    if unit == "count":
        return count(value)
    return f"{value:.2f}" if unit == "bits" else f"{value:,.0f}"


def _parameters(facts: Preflight) -> str | None:
    known = facts.facts
    if not known.parameters_total:
        return None
    text = count(known.parameters_total) or ""
    if known.parameters_active:
        text += f", {count(known.parameters_active)} active"
    return f"{text}, {known.bits:.2f} bits a weight" if known.bits else text


def _file(facts: Preflight) -> str | None:
    known = facts.facts
    if known.file_bytes is None:
        return None
    return f"{size(known.file_bytes)}, sha256 {(known.source_hash or 'unknown')[:12]}…"


def _speeds(facts: Preflight) -> str | None:
    if facts.tokens_per_second is None:
        return None
    text = f"{facts.tokens_per_second:.0f} with {facts.at_once} conversations at once"
    if facts.at_once > 1 and facts.tokens_per_second_alone:
        text += f", {facts.tokens_per_second_alone:.0f} alone"
    return text


def _minutes(facts: Preflight) -> str | None:
    if facts.expected_minutes is None or facts.plan is None:
        return None
    plan = facts.plan
    return (
        f"{facts.expected_minutes:.1f} min ({plan.sessions} sessions of {plan.turns} turns, "
        f"every reply {plan.tokens} tokens)"
    )


def size(number: float | None) -> str | None:
    """Bytes for people: ``98 MB``, ``16.1 GB``; None stays None."""
    if number is None:
        return None
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def count(number: float | None) -> str | None:
    """A count of weights for people: ``135 M``, ``30.5 B``; None stays None."""
    if number is None:
        return None
    return f"{number / 1e9:.3g} B" if number >= 9.995e8 else f"{number / 1e6:.0f} M"
