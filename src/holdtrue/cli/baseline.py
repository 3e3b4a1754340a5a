"""``holdtrue baseline``: add, list and show what arms are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdtrue.cli.options import FOLDER

if TYPE_CHECKING:
    from holdtrue.baseline import Baseline

folder_option = click.option(
    "--folder", type=FOLDER, help="Where baselines are kept. [default: the workspace's baselines/]"
)


@click.group("baseline")
def command() -> None:
    """Add, list and show baselines: arms or published figures to compare with."""


@command.command("add")
@click.argument("name")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--source", metavar="TEXT", help="Where it comes from. [default: the paths]")
@click.option("--persona", metavar="NAME|FILE", help="Whose responses, in foreign transcripts.")
@folder_option
def add(
    name: str,
    paths: tuple[Path, ...],
    source: str | None,
    persona: str | None,
    folder: Path | None,
) -> None:
    """Make baseline NAME from a run, from transcripts, or from a TOML file of published figures."""
    from holdtrue.baseline import baseline_of, load_baseline, write_baseline
    from holdtrue.cli.arms import read_arm

    if len(paths) == 1 and paths[0].suffix == ".toml":
        made = load_baseline(str(paths[0].absolute())).model_copy(update={"name": name})
    else:
        arm = read_arm(paths, persona)
        made = baseline_of(name, arm.sessions, source or ", ".join(path.name for path in paths))
    path = write_baseline(made, _folder(folder))
    click.echo(f"wrote {path}")
    _show(made)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@folder_option
def list_all(as_json: bool, folder: Path | None) -> None:
    """List the baselines of the workspace and the built-in ones."""
    from holdtrue.baseline import list_baselines
    from holdtrue.cli.output import print_json, print_table

    found = list_baselines((_folder(folder),))
    if as_json:
        print_json([_body(one) for one in found])
        return
    print_table(
        ["name", "model", "origin", "sessions", "responses", "source"],
        [
            [one.name, one.model, one.origin, one.sessions, one.responses, one.source]
            for one in found
        ],
    )


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@folder_option
def show(name: str, as_json: bool, folder: Path | None) -> None:
    """Show the figures of baseline NAME (or a file), and what it cannot support."""
    from holdtrue.baseline import load_baseline
    from holdtrue.cli.output import print_json

    found = load_baseline(name, (_folder(folder),))
    if as_json:
        print_json(_body(found))
    else:
        _show(found)


def _folder(given: Path | None) -> Path:
    if given is not None:
        return given
    from holdtrue.workspace import find_workspace

    return find_workspace().folders("baselines")[0]


def _body(baseline: Baseline) -> dict[str, object]:
    body: dict[str, object] = baseline.model_dump(mode="json", by_alias=True)
    body["digest"] = baseline.digest
    body["cannot_support"] = list(baseline.limits)
    return body


def _show(baseline: Baseline) -> None:
    from holdtrue.cli.output import print_table, printable
    from holdtrue.documents import words

    title = baseline.title or baseline.name
    click.echo(printable(f"{baseline.name}: {title}"))
    click.echo(printable(f"{baseline.origin.value}; {baseline.source}"))
    size = words.count(baseline.parameters)
    click.echo(
        printable(
            f"{baseline.model or 'model unknown'} ({size} parameters), "
            f"{words.plural(baseline.sessions, 'session')}, "
            f"{words.plural(baseline.responses, 'response')}"
        )
    )
    print_table(
        ["measure", "value", "95 % interval", "where from"],
        [
            [
                words.name_of(one.measure) + (" (cited)" if one.cited else ""),
                words.value(one.measure, one.value),
                words.interval(one.measure, one.low, one.high),
                "; ".join(text for text in (one.source, one.note) if text) or None,
            ]
            for one in baseline.figures
        ],
    )
    for note in baseline.notes:
        click.echo(printable(f"Note: {note}"))
    for limit in baseline.limits:
        click.echo(printable(f"! {limit}"))
