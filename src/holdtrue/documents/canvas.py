"""What every figure is drawn on: axes in the house style, end labels, and saving to SVG and PNG.

Matplotlib is imported when the first figure is drawn, and only its object-oriented side.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdtrue.documents.blocks import Drawing
from holdtrue.documents.svg import color, themed

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), "-", "--")
HUES = ("c1", "c2", "c3", "c4", "c5", "c6")


@dataclass(frozen=True, slots=True)
class Line:
    """A named series; ``low`` and ``high`` are its interval where there is one. None is a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


def canvas(
    rows: int,
    columns: int,
    *,
    height: float,
    sharey: bool = False,
    ratios: Sequence[float] | None = None,
) -> tuple[Any, list[Any]]:
    """A figure 7.4 inches wide with ``rows`` x ``columns`` plain axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=sharey, width_ratios=ratios)
    axes = list(grid.flat)
    for axis in axes:
        axis.set_facecolor("none")
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(color("grid"))
        axis.tick_params(colors=color("muted"), labelsize=8, length=3, which="both")
        axis.xaxis.label.set(color=color("muted"), fontsize=9)
        axis.yaxis.label.set(color=color("muted"), fontsize=9)
    return figure, axes


def panels(count: int, *, height: float) -> tuple[Any, list[Any]]:
    """A figure of ``count`` small axes, three in a row of ``height`` inches."""
    columns = min(3, max(count, 1))
    rows = math.ceil(max(count, 1) / columns)
    figure, axes = canvas(rows, columns, height=0.5 + height * rows)
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def title(axis: Any, text: str) -> None:
    axis.set_title(text, loc="left", fontsize=9.5, color=color("ink"))


def finish(figure: Any, name: str, alt: str) -> Drawing:
    import matplotlib

    svg, png = io.StringIO(), io.BytesIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": name, "path.simplify": False}
    with matplotlib.rc_context(settings):
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
        figure.set_layout_engine("none")  # laid out once is enough
        figure.savefig(png, format="png", dpi=160, facecolor="white", metadata={"Software": None})
    return Drawing(themed(svg.getvalue(), name=name, alt=alt), png.getvalue())


def style(position: int, hues: Sequence[str] = HUES) -> dict[str, Any]:
    return {
        "color": color(hues[position % len(hues)]),
        "marker": MARKERS[position % len(MARKERS)],
        "linestyle": DASHES[position % len(DASHES)],
    }


def interval(axis: Any, line: Line, tone: str, shift: float = 0.0) -> None:
    """The intervals of a line as thin bars, moved aside by ``shift`` so that none hides another."""
    for x, low, high in zip(line.x, line.low, line.high, strict=False):
        if low is not None and high is not None:
            axis.plot((x + shift, x + shift), (low, high), color=tone, linewidth=1.1, alpha=0.55)


def end_labels(axis: Any, ends: Sequence[tuple[str, float, str]]) -> None:
    """Names at the right end of their lines, pushed apart so that none covers another."""
    low, high = axis.get_ylim()
    log = axis.get_yscale() == "log"
    span = math.log(high / low) if log else high - low
    places = [
        ((math.log(y / low) if log else y - low) / span, text, tone) for text, y, tone in ends
    ]
    places.sort()
    gap = 0.075
    heights: list[float] = []
    for place, _, _ in places:
        heights.append(max(place, heights[-1] + gap) if heights else place)
    over = max(0.0, (heights[-1] if heights else 0.0) - 1.0)
    for height, (_, text, tone) in zip(heights, places, strict=True):
        axis.annotate(
            text,
            (1, height - over),
            (5, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=tone,
            annotation_clip=False,
        )


def gaps(values: Sequence[float | None]) -> list[float]:
    """Unknown values as gaps in a line."""
    return [math.nan if value is None else value for value in values]


def short(value: float) -> str:
    """A tick in few characters: 1/1000, 0.5, 20, 1k, 1M, 30B."""
    if value < 0.1:
        return f"1/{1 / value:,.0f}"
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def name_rows(axis: Any, names: Sequence[str]) -> None:
    """Names at the left of rows that are drawn from the top down."""
    axis.set_yticks(range(len(names)), list(reversed(names)))
    axis.tick_params(axis="y", length=0, labelsize=9, labelcolor=color("ink"))
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.grid(axis="x", color=color("grid"), linewidth=0.8)
    axis.spines["left"].set_visible(False)
