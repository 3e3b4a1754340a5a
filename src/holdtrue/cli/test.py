"""``holdtrue test``: the whole capacity test."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdtrue.cli.options import (
    FILE,
    FOLDER,
    engine_options,
    look_options,
    make_engine_options,
    persona_options,
    seed_option,
)
from holdtrue.cli.shell import command_line, from_here
from holdtrue.errors import HoldtrueError

if TYPE_CHECKING:
    from holdtrue.capacity import RunRecord
    from holdtrue.engines.base import EngineOptions
    from holdtrue.runconfig import RunConfig
    from holdtrue.runs import Run
    from holdtrue.workspace import Workspace

PHASE = "questioning"


@click.command("test")
@click.argument("model_argument", metavar="[MODEL]", required=False)
@click.option("--model", metavar="NAME", help="The same as MODEL. [default: smollm2-135m]")
@persona_options
@click.option("--baseline", metavar="NAME|FILE", help="What to compare with. [default: s35]")
@click.option(
    "--criteria",
    multiple=True,
    metavar="NAME|FILE",
    help="Criteria set; may be repeated. [default: minimum and full]",
)
@look_options(budget=100_000, batch=10_000)
@seed_option("Root of all randomness.")
@click.option(
    "--temperature", type=click.FloatRange(0, 5), metavar="T", help="Instead of the protocol's."
)
@click.option(
    "--max-tokens",
    type=click.IntRange(1, 32_768),
    metavar="N",
    help="Tokens of a reply, instead of the protocol's.",
)
@click.option(
    "--session",
    "session",
    type=click.IntRange(1, 900_000),
    metavar="N",
    help="Number of the first transcript. [default: next free]",
)
@click.option(
    "--dry-run/--no-dry-run",
    default=True,
    help="A test is always a dry run; `holdtrue run` advances production.",
)
@click.option("--label", metavar="TEXT", help="In file names. [default: the model's size]")
@click.option("--host", metavar="TEXT", help="In file names. [default: this machine]")
@click.option("--out", type=FOLDER, help="Folder for documents. [default: the workspace]")
@click.option("--resume", metavar="RUN", type=FOLDER, help="Go on with an interrupted run.")
@click.option(
    "--gate",
    type=click.Choice(["minimum", "full"]),
    help="Exit 1 when that set is not met, 3 when undetermined.",
)
@click.option("--junit", type=FILE, help="Also write the verdict as a JUnit XML file.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@engine_options
@click.pass_context
def command(ctx: click.Context, /, **values: Any) -> int:
    """Test whether MODEL holds the persona, to a verdict.

    Runs sessions in batches until the criteria are decided or the budget is spent, and writes
    transcripts, the analysis, a moment file, verdict.json and report.html.
    """
    import asyncio

    from holdtrue.capacity import run_capacity
    from holdtrue.cli.progress import TestProgress
    from holdtrue.documents.write import write_documents

    gate, junit, as_json = values.pop("gate"), values.pop("junit"), values.pop("as_json")
    run, config, options = _prepared(ctx, values)
    with run.locked(), TestProgress(config, quiet=as_json) as progress:
        try:
            record = asyncio.run(run_capacity(config, run, options, progress))
            progress.stop()
            paths = write_documents(record, run.out)
        except (KeyboardInterrupt, HoldtrueError) as error:
            progress.stop()
            return _stopped(error, run)
    _finish(record, paths, junit=junit, as_json=as_json)
    return _exit_code(record, gate)


def _stopped(error: KeyboardInterrupt | HoldtrueError, run: Run) -> int:
    """Say how to go on with a run that ended early; one without a turn leaves nothing behind."""
    empty = run.discard_if_empty()
    way = f"Go on with: holdtrue test --resume {shlex.quote(from_here(run.folder))}"
    if isinstance(error, HoldtrueError):
        if not empty:
            error.remedy = f"{error.remedy} {way}" if error.remedy else way
        raise error
    click.echo("Stopped before the first reply." if empty else f"Stopped. {way}", err=True)
    return 130


def _prepared(ctx: click.Context, values: dict[str, Any]) -> tuple[Run, RunConfig, EngineOptions]:
    """The run to do, new or resumed, its configuration and the engine's options."""
    from holdtrue.cli.models import ensure_fetched
    from holdtrue.runconfig import read_config
    from holdtrue.runs import create_run, open_run
    from holdtrue.workspace import find_workspace

    if not values.pop("dry_run"):
        raise click.UsageError("a test never advances production; use `holdtrue run` for that")
    resume = values.pop("resume")
    if resume:
        run = open_run(resume)
        config = read_config(run)
        _check_resumed(ctx, values, run, config)
        if not run.is_finished:
            ensure_fetched(config.model, offline=values["offline"])
        options = make_engine_options(values, run.log_path)
        adapter = Path(config.adapter) if config.adapter else None
        return run, config, replace(options, adapter=adapter, bits=config.bits)
    workspace = find_workspace(values["workspace"])
    out = (values["out"] or workspace.root).expanduser()
    config = _new_config(values, workspace, out)
    ensure_fetched(config.model, offline=values["offline"])
    run = create_run(out, config.model_dump(mode="json", by_alias=True))
    return run, config, make_engine_options(values, run.log_path)


def _new_config(values: dict[str, Any], workspace: Workspace, out: Path) -> RunConfig:
    from holdtrue.baseline import load_baseline
    from holdtrue.criteria import load_criteria
    from holdtrue.persona import load_persona
    from holdtrue.protocol import load_protocol
    from holdtrue.runconfig import (
        RunConfig,
        SnapshotConfig,
        check_label,
        default_host,
        default_label,
        installed_versions,
        new_run_id,
        now,
    )
    from holdtrue.runs import next_number
    from holdtrue.workspace import read_state, snapshot_of

    model = _model_of(values, workspace)
    settings = workspace.settings
    persona = load_persona(values["persona"] or settings.persona, workspace.folders("personas"))
    protocol = load_protocol(
        values["protocol"] or settings.protocol, workspace.folders("protocols")
    )
    label = check_label(values["label"] or default_label(model), "--label")
    host = check_label(values["host"] or default_host(), "--host")
    snapshot = snapshot_of(
        read_state(workspace), persona, sessions=protocol.anchoring.exemplars.sessions
    )
    phase = protocol.phase_named(values["phase"] or _default_phase(protocol.phases, PHASE))
    session = max(snapshot.session, phase.first)
    sampling = protocol.sampling.model_copy(
        update={
            key: values[key] for key in ("temperature", "max_tokens") if values[key] is not None
        }
    )
    names = values["criteria"] or ("minimum", "full")
    return RunConfig(
        run_id=new_run_id(host, label),
        label=label,
        host=host,
        persona=persona,
        protocol=protocol,
        phase=phase.name,
        model=model,
        adapter=str(values["adapter"].resolve()) if values["adapter"] else None,
        bits=int(values["bits"]) if values["bits"] else None,
        sampling=sampling,
        seed=values["seed"],
        budget=values["budget"],
        batch=values["batch"],
        mode=values["mode"],
        first_session=values["session"] or next_number(out, label),
        criteria=tuple(load_criteria(name, workspace.folders("criteria")) for name in names),
        baseline=load_baseline(
            values["baseline"] or settings.baseline, workspace.folders("baselines")
        ),
        snapshot=SnapshotConfig(
            session=session, summary=snapshot.summary, exemplars=snapshot.exemplars
        ),
        command=command_line(),
        created=now(),
        versions=installed_versions("xllamacpp", "numpy", "scipy", "torch", "transformers"),
    )


def _model_of(values: dict[str, Any], workspace: Workspace) -> str:
    argument, option = values["model_argument"], values["model"]
    if argument and option and argument != option:
        raise click.UsageError("MODEL and --model name two models")
    return str(argument or option or workspace.settings.model)


def _default_phase(phases: Any, wanted: str) -> str:
    """The baseline's phase where the protocol has it, else the protocol's first."""
    names = [phase.name for phase in phases]
    return wanted if wanted in names else str(names[0])


def _check_resumed(ctx: click.Context, values: dict[str, Any], run: Run, config: RunConfig) -> None:
    """Refuse options that would change a run's results, naming them and both values."""
    from holdtrue.errors import WorkspaceError

    given = [
        name
        for name in values
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    differing = [
        f"--{name.replace('_', '-')} {values[name]} (the run has {stored})"
        for name, stored in _settled(config).items()
        if name in given and values[name] != stored
    ]
    differing += _differing_files(given, values, run, config)
    if differing:
        raise WorkspaceError(
            "a run is only resumed under its own configuration; differing: " + "; ".join(differing),
            where=str(run.folder),
            remedy="Leave these options out, or start a new run.",
        )


def _settled(config: RunConfig) -> dict[str, Any]:
    """Values of plain options that a run began with, in the form that the options have."""
    same = ("seed", "budget", "batch", "mode", "label", "host", "phase")
    return {
        **{name: getattr(config, name) for name in same},
        "temperature": config.sampling.temperature,
        "max_tokens": config.sampling.max_tokens,
        "session": config.first_session,
        "bits": str(config.bits) if config.bits else None,
    }


def _differing_files(
    given: list[str], values: dict[str, Any], run: Run, config: RunConfig
) -> list[str]:
    """Differences in options that name a file, folder or model."""
    from holdtrue.baseline import load_baseline
    from holdtrue.criteria import load_criteria
    from holdtrue.persona import load_persona
    from holdtrue.protocol import load_protocol
    from holdtrue.workspace import find_workspace

    workspace = find_workspace(values["workspace"])
    found = []
    if "persona" in given:
        persona = load_persona(values["persona"], workspace.folders("personas"))
        if persona != config.persona:
            found.append(
                f"--persona {values['persona']} (content {persona.digest}, "
                f"the run has {config.persona.digest})"
            )
    if "protocol" in given:
        protocol = load_protocol(values["protocol"], workspace.folders("protocols"))
        if protocol != config.protocol:
            found.append(
                f"--protocol {values['protocol']} (content {protocol.digest}, "
                f"the run has {config.protocol.digest})"
            )
    for name in ("model", "model_argument"):
        if name in given and values[name] and values[name] != config.model:
            found.append(f"model {values[name]} (the run has {config.model})")
    if "baseline" in given:
        baseline = load_baseline(values["baseline"], workspace.folders("baselines"))
        if baseline != config.baseline:
            found.append(f"--baseline {values['baseline']} (the run has another)")
    if "criteria" in given:
        sets = tuple(
            load_criteria(name, workspace.folders("criteria")) for name in values["criteria"]
        )
        if sets != config.criteria:
            stored = ", ".join(one.name for one in config.criteria)
            found.append(f"--criteria {', '.join(values['criteria'])} (the run has {stored})")
    if "adapter" in given and str(values["adapter"].resolve()) != config.adapter:
        found.append(f"--adapter {values['adapter']} (the run has {config.adapter})")
    if "out" in given and values["out"].expanduser().resolve() != run.out.resolve():
        found.append(f"--out {values['out']} (the run is in {run.out})")
    return found


def _finish(record: RunRecord, paths: list[Path], *, junit: Path | None, as_json: bool) -> None:
    """Write the JUnit file where asked, print the closing table and the paths written."""
    from holdtrue.cli.output import print_json
    from holdtrue.documents.terminal import print_summary

    if junit:
        from holdtrue.files import write_atomic
        from holdtrue.gate import junit_xml

        paths = [*paths, write_atomic(junit, junit_xml(record.verdict))]
    if as_json:
        print_json(record.verdict.as_dict())
        return
    print_summary(record)
    click.echo(f"Wrote {len(record.sessions)} transcripts and:")
    for path in [record.run.transcripts_folder, *paths, record.run.folder]:
        click.echo(f"  {from_here(path)}{'/' if path.is_dir() else ''}")


def _exit_code(record: RunRecord, gate: str | None) -> int:
    """0, or what the gate says; 4 when the model failed so often that the run was stopped."""
    if record.stopped:
        from holdtrue.cli.output import printable

        click.echo(printable(f"The run was stopped: {record.stopped}"), err=True)
        return 4
    if not gate:
        return 0
    from holdtrue.gate import exit_code

    return exit_code(record.verdict, gate)
