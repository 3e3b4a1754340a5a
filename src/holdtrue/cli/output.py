"""What verbs print with: safe text, tables of 80 columns, JSON. Colours only on terminals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

from holdtrue.documents.console import WIDTH, console
from holdtrue.documents.escape import json_shown, printable

__all__ = ["WIDTH", "console", "print_json", "print_table", "printable"]


def print_table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """A compact table; cells that are numbers are right-aligned, None shows as a dash."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    table = Table(
        title=None if title is None else Text(printable(title)),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for position, header in enumerate(headers):
        column = [row[position] for row in listed]
        numeric = any(isinstance(cell, int | float) for cell in column)
        table.add_column(header, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        table.add_row(*(Text(_cell(cell)) for cell in row))
    console().print(table)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    return printable(str(value))


def print_json(value: Any) -> None:
    """One JSON document on standard output; not-a-number is an error, never printed.

    What a terminal would obey is escaped, which changes no value.
    """
    click.echo(json_shown(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)))
