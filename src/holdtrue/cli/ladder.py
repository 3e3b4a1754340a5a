"""``holdtrue ladder``: the smallest model that holds, over several models, from the cheapest up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from holdtrue.cli.options import FILE, FOLDER, loading_options, make_engine_options
from holdtrue.cli.shell import command_line, from_here

if TYPE_CHECKING:
    from holdtrue.engines.base import EngineOptions
    from holdtrue.ladder.climb import Executor
    from holdtrue.ladder.results import LadderResult
    from holdtrue.ladder.rungs import LadderFile
    from holdtrue.ladder.state import LadderFolder

Command = TypeVar("Command", bound=Callable[..., Any])
PLAN_OPTIONS = (
    "models",
    "quantizations",
    "protocols",
    "adapters",
    "families_apart",
    "cost",
    "exhaustive",
    "strict",
    "persona",
    "phase",
    "criteria",
    "baseline",
    "budget",
    "batch",
    "mode",
    "seed",
    "temperature",
    "max_tokens",
)


def _whole(name: str, low: int, high: int, meaning: str) -> Callable[[Command], Command]:
    """An option that is a whole number from ``low`` to ``high``; None where it is not given."""
    return click.option(name, type=click.IntRange(low, high), metavar="N", help=meaning)


def _axis(name: str, plural: str, metavar: str, meaning: str) -> Callable[[Command], Command]:
    """An option that may be repeated."""
    return click.option(name, plural, multiple=True, metavar=metavar, help=meaning)


@click.command("ladder")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--file", type=FILE, help="A ladder file (TOML) instead of MODELs.")
@_axis("--quantization", "quantizations", "BITS|stored", "Axis: bits of the weights. Repeatable.")
@_axis(
    "--protocol",
    "protocols",
    "NAME|FILE",
    "Axis: protocols, side by side. Repeatable. [default: v2.0]",
)
@_axis("--adapter", "adapters", "FOLDER|none", "Axis: LoRA adapters, side by side. Repeatable.")
@click.option(
    "--families-apart", is_flag=True, default=None, help="Search each family of models for itself."
)
@click.option(
    "--cost",
    type=click.Choice(["weights", "seconds", "memory", "listed"]),
    help="What orders the rungs: weights a token reads, measured seconds or memory, or the order "
    "given. [default: weights]",
)
@click.option("--exhaustive", is_flag=True, default=None, help="Test every rung to its verdict.")
@click.option(
    "--strict",
    is_flag=True,
    default=None,
    help="Keep all rungs together to the error rate of one (for met).",
)
@click.option("--persona", metavar="NAME|FILE", help="Who. [default: sage]")
@click.option("--phase", metavar="NAME", help="Conversation flow to use.")
@click.option("--workspace", type=FOLDER, help="Workspace. [default: nearest above]")
@click.option("--criteria", metavar="NAME|FILE", help="What has to be met. [default: full]")
@click.option("--baseline", metavar="NAME|FILE", help="What to compare with. [default: s35]")
@_whole("--budget", 1, 100_000, "Sessions at most, for each rung. [default: 60]")
@_whole("--batch", 1, 10_000, "Sessions between two looks. [default: 4]")
@click.option(
    "--mode", type=click.Choice(["bounded", "free"]), help="What the evidence may assume."
)
@_whole("--seed", 0, 2**63 - 1, "Root of all randomness. [default: 0]")
@click.option(
    "--temperature", type=click.FloatRange(0, 5), metavar="T", help="Instead of the protocols'."
)
@_whole("--max-tokens", 1, 32_768, "Tokens of a reply, instead of the protocols'.")
@click.option("--host", metavar="TEXT", help="This machine's name in the documents.")
@click.option("--out", type=FOLDER, help="Folder for the ladder. [default: the workspace]")
@click.option("--resume", metavar="LADDER", type=FOLDER, help="Go on with an interrupted ladder.")
@click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where rungs are tested: in this process, or on a Ray cluster.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Ray cluster. [default: RAY_ADDRESS, or one started here]",
)
@_whole(
    "--rungs-at-once",
    1,
    200,
    "On a cluster: rungs tested together. [default: 1; with --exhaustive 8]",
)
@_whole(
    "--batches-at-once", 1, 1_000, "On a cluster: batches of one rung held together. [default: 2]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@loading_options
def command(**values: Any) -> int:
    """Find the smallest MODEL that holds the persona, from the cheapest up.

    A MODEL may be cut down: smollm2-135m@layers=24 or @bits=3. Without any, the rungs are the
    embedded model and three such ablations of it, which works offline on any machine. The search
    stops at the first rung that is met; what is undetermined below it is told.
    """
    from holdtrue.cli.ladder_progress import LadderProgress
    from holdtrue.documents.ladder import write_ladder
    from holdtrue.ladder.climb import climb
    from holdtrue.ladder.state import held

    as_json = values.pop("as_json")
    folder, options = _prepared(values)
    executor = _executor(values, options, exhaustive=folder.ladder.exhaustive)
    with held(folder), LadderProgress(folder.ladder, quiet=as_json) as progress:
        try:
            result = asyncio.run(climb(folder, executor, progress))
        except KeyboardInterrupt:
            progress.stop()
            click.echo(
                f"Stopped. Go on with: holdtrue ladder --resume {from_here(folder.path)}", err=True
            )
            return 130
        finally:
            close = getattr(executor, "close", None)
            if close is not None:
                close()
    paths = write_ladder(result, folder)
    _finish(result, paths, as_json=as_json)
    return 4 if all(one.value == "failed" for one in result.standings) else 0


def _prepared(values: dict[str, Any]) -> tuple[LadderFolder, EngineOptions]:
    """The ladder to climb, new or resumed, and how its models are opened."""
    from holdtrue.ladder.plan import make_ladder
    from holdtrue.ladder.state import check_same, create_ladder, open_ladder
    from holdtrue.workspace import find_workspace

    options = make_engine_options(values, None)
    given = {name: values[name] for name in PLAN_OPTIONS if values[name] not in (None, ())}
    if values["file"] and given.get("models"):
        raise click.UsageError("give MODELs or --file, not both")
    workspace = find_workspace(values["workspace"])
    begun = open_ladder(values["resume"]) if values["resume"] else None
    if begun is not None and not given and not values["file"]:
        return begun, options
    plan = _file(given, values["file"], fall_back=begun is None)
    host = values["host"] or (begun.ladder.host if begun else None)
    if begun is None:
        _fetch(plan, offline=options.offline)
    ladder = make_ladder(plan, workspace, host=host, offline=options.offline)
    if begun is not None:
        check_same(begun, ladder)
        return begun, options
    out = (values["out"] or workspace.root).expanduser()
    return create_ladder(out, ladder, command=command_line()), options


def _file(given: dict[str, Any], path: Path | None, *, fall_back: bool) -> LadderFile:
    """The ladder of a file or of MODELs, with the options given on top of it."""
    from holdtrue.ladder.rungs import DEFAULT_MODELS, LadderFile
    from holdtrue.tomlfile import load_toml, validate

    base = load_toml(path, LadderFile) if path else LadderFile(name="ladder")
    changes = dict(given)
    if "quantizations" in changes:
        changes["quantizations"] = [
            int(one) if one.isdigit() else one for one in changes["quantizations"]
        ]
    if path is None and "models" not in changes:
        if not fall_back:
            raise click.UsageError(
                "with --resume, name the MODELs or --file again to check them, or leave all "
                "options of the plan out"
            )
        changes["models"] = list(DEFAULT_MODELS)
        changes.setdefault("name", "ablations of smollm2-135m")
    body = {**base.model_dump(mode="json", by_alias=True, exclude_unset=True), **changes}
    return validate(body, LadderFile, source=str(path) if path else "command line")


def _fetch(plan: LadderFile, *, offline: bool) -> None:
    """Fetch catalog models that are not cached yet, with a bar, before they are sized."""
    from holdtrue.cli.models import ensure_fetched

    for model in dict.fromkeys([*plan.models, *(rung.model for rung in plan.rung)]):
        ensure_fetched(model, offline=offline)


def _executor(values: dict[str, Any], options: EngineOptions, *, exhaustive: bool) -> Executor:
    at_once = values["rungs_at_once"]
    if values["executor"] == "local":
        if values["address"] or at_once or values["batches_at_once"]:
            raise click.UsageError(
                "--address, --rungs-at-once and --batches-at-once are for --executor ray"
            )
        from holdtrue.ladder.climb import LocalExecutor

        return LocalExecutor(options)
    from holdtrue.executors.ray import RayExecutor

    return RayExecutor(
        options,
        address=values["address"],
        at_once=at_once or (8 if exhaustive else 1),
        batches=values["batches_at_once"] or 2,
    )


def _finish(result: LadderResult, paths: list[Path], *, as_json: bool) -> None:
    from holdtrue.cli.output import print_json
    from holdtrue.documents.ladder_terminal import ladder_json, print_ladder

    if as_json:
        print_json(ladder_json(result, paths))
        return
    print_ladder(result)
    click.echo("Wrote:")
    for path in paths:
        click.echo(f"  {from_here(path)}")
