"""What verbs print with: safe text, tables of 80 columns, JSON. Colours only on terminals."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 80


def printable(text: str) -> str:
    """``text`` with control, escape and bidirectional characters shown instead of obeyed.

    Line feeds and tabs stay.
    """
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co"):
        return character
    return f"\\u{{{ord(character):x}}}"


def console(*, stderr: bool = False) -> Console:
    """A console that obeys NO_COLOR and is 80 columns wide where there is no terminal."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made = Console(
            stderr=stderr, highlight=False, markup=False, emoji=False, width=WIDTH, no_color=True
        )
    return made


def print_table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """A compact table; cells that are numbers are right-aligned, None shows as a dash."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
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
    """One JSON document on standard output; not-a-number is an error, never printed."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))
