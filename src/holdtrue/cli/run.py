"""``holdtrue run``: production sessions, which form a chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdtrue.cli.options import (
    FOLDER,
    engine_options,
    make_engine_options,
    persona_options,
    seed_option,
)

if TYPE_CHECKING:
    from holdtrue.engines.base import Engine
    from holdtrue.production import Production
    from holdtrue.session import SessionPlan
    from holdtrue.transcript import Transcript, Turn


@click.command("run")
@click.argument("model_argument", metavar="[MODEL]", required=False)
@click.option("--model", metavar="NAME", help="The same as MODEL. [default: smollm2-135m]")
@persona_options
@click.option(
    "--sessions",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    metavar="N",
    help="How many, one after the other.",
)
@seed_option("Root of all randomness.")
@click.option("--dry-run", is_flag=True, help="Change nothing of production.")
@click.option("--out", type=FOLDER, help="Where a dry run's transcripts go.")
@click.option("--quiet", is_flag=True, help="Do not show the conversation.")
@engine_options
def command(**values: Any) -> int:
    """Hold production sessions: number, summary and exemplars carry over.

    With --dry-run every session starts from the present state and nothing in production changes.
    """
    import asyncio
    from contextlib import nullcontext

    from holdtrue.cli.models import ensure_fetched
    from holdtrue.persona import load_persona
    from holdtrue.production import Production
    from holdtrue.protocol import load_protocol
    from holdtrue.workspace import find_workspace, locked

    workspace = find_workspace(values["workspace"])
    settings = workspace.settings
    production = Production(
        workspace=workspace,
        persona=load_persona(values["persona"] or settings.persona, workspace.folders("personas")),
        protocol=load_protocol(
            values["protocol"] or settings.protocol, workspace.folders("protocols")
        ),
        phase=values["phase"],
        model=values["model_argument"] or values["model"] or settings.model,
        seed=values["seed"],
        dry_folder=_dry_folder(values, workspace.root) if values["dry_run"] else None,
    )
    options = make_engine_options(values, None)
    ensure_fetched(production.model, offline=options.offline)
    lock = nullcontext() if production.dry_folder else locked(workspace, "holdtrue run")
    with lock:
        try:
            failed = asyncio.run(_hold(production, values["sessions"], options, values["quiet"]))
        except KeyboardInterrupt:
            click.echo(
                "Stopped. Finished sessions are kept; an unfinished one goes on from its "
                "last turn with the same command.",
                err=True,
            )
            return 130
    return 4 if failed else 0


def _dry_folder(values: dict[str, Any], root: Path) -> Path:
    from holdtrue.runconfig import new_run_id

    return Path(values["out"] or root / "runs" / new_run_id("dry", "run"))


async def _hold(production: Production, count: int, options: Any, quiet: bool) -> bool:
    """Hold ``count`` sessions; whether one failed, which ends the chain there."""
    from holdtrue.cli.output import printable
    from holdtrue.engines.registry import open_engine
    from holdtrue.transcript import Status

    async with open_engine(production.model, options) as engine:
        for index in range(1, count + 1):
            plan, path, transcript = await _one(production, index, engine, quiet)
            if transcript.status is Status.FAILED:
                cause = printable(transcript.error or "no cause recorded")
                click.echo(f"session {plan.number} failed: {cause}", err=True)
                return True
            click.echo(printable(f"session {plan.number} ({plan.phase.name}): {path}"))
    return False


async def _one(
    production: Production, index: int, engine: Engine, quiet: bool
) -> tuple[SessionPlan, Path, Transcript]:
    from holdtrue.cli.output import printable

    def show(plan: SessionPlan, turn: Turn) -> None:
        if not quiet:
            click.echo(printable(f"{plan.persona.relationship.partner}: {turn.prompt}"))
            click.echo(printable(f"{plan.persona.name}: {turn.response}\n"))

    plan = production.plan(index)
    path, transcript = await production.hold(plan, engine, show)
    return plan, path, transcript
