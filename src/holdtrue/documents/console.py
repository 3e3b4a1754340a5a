"""The console that everything is printed with: colour only where it is wanted, 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 80


def console(*, stderr: bool = False) -> Console:
    """A console that obeys NO_COLOR and is 80 columns wide where there is no terminal."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made = Console(
            stderr=stderr, highlight=False, markup=False, emoji=False, width=WIDTH, no_color=True
        )
    return made
