"""Figures: each drawn once by Matplotlib, as a themeable SVG element and as PNG bytes.

They draw numbers that others computed; the only arithmetic here is binning for a histogram.
Every series has its own marker and dash as well as its own hue, and its name stands at its end,
so that no figure needs its colours. Matplotlib is imported when the first figure is drawn.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from holdtrue.documents.svg import color, themed

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), "-", "--")
HUES = ("c1", "c2", "c3", "c4", "c5", "c6")
DECISIONS = {"met": ("good", "o"), "not met": ("bad", "X"), "undetermined": ("open", "s")}
FLOOR = 1e-3


@dataclass(frozen=True, slots=True)
class Line:
    """A named series; ``low`` and ``high`` are its interval where there is one. None is a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A criterion: estimate with interval against a bound, with the baseline's value beside it."""

    name: str
    bound: float
    upper: bool
    estimate: float | None
    low: float | None
    high: float | None
    baseline: float | None
    decision: str


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of one measure, a value a session, in [``lowest``, ``highest``]."""

    name: str
    values: Sequence[float]
    lowest: float
    highest: float
    bound: float | None = None
    baseline: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One rung: its place on the scale, an estimate with interval, and what was decided."""

    name: str
    scale: float
    estimate: float
    low: float | None
    high: float | None
    decision: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One measure over scale, by family; with the criterion's bound and the baseline."""

    name: str
    families: dict[str, Sequence[Point]]
    bound: float | None = None
    upper: bool = True
    baseline: float | None = None
    limits: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a figure function returns: the SVG element and the PNG file."""

    svg: str
    png: bytes = field(repr=False)


def draw_evidence(
    met: Sequence[Line], not_met: Line | None, threshold: float, *, name: str, alt: str
) -> Drawing:
    """Evidence (e-values, log scale) over sessions, with the line at which a decision falls.

    Values under 1/1000 are drawn at 1/1000: evidence that far down has lost the bet.
    """
    figure, axes = _canvas(1, 2 if not_met else 1, height=3.2, sharey=True)
    _evidence_panel(axes[0], met, threshold, "for “met”, each criterion")
    if not_met:
        _evidence_panel(axes[1], [not_met], threshold, "for “not met”, all together", hues=["bad"])
    axes[0].set_ylabel("evidence (bet of 1 grown to)")
    return _finish(figure, name, alt)


def _evidence_panel(
    axis: Any, lines: Sequence[Line], threshold: float, title: str, hues: Sequence[str] = HUES
) -> None:
    axis.set_yscale("log")
    last = max((line.x[-1] for line in lines if len(line.x)), default=4)
    tops = [y for line in lines for y in line.y if y is not None]
    axis.set_ylim(FLOOR * 0.7, max(threshold * 8, *(min(y, 1e9) * 2 for y in tops), 1.0))
    axis.set_xlim(0, last * 1.02)
    axis.axhline(threshold, color=color("ink"), linewidth=1, linestyle=(0, (2, 2)))
    axis.annotate(
        f"decided at {threshold:g}",
        (0, threshold),
        (3, 3),
        textcoords="offset points",
        fontsize=8,
        color=color("ink"),
    )
    axis.axhline(1, color=color("grid"), linewidth=1)
    ends = []
    for position, line in enumerate(lines):
        style = _style(position, hues)
        shown = [None if y is None else min(max(y, FLOOR), 1e9) for y in line.y]
        axis.plot([0, *line.x], [1.0, *_gaps(shown)], markersize=3.5, linewidth=1.5, **style)
        if shown and shown[-1] is not None:
            ends.append((line.name, shown[-1], style["color"]))
    if len(lines) > 1:
        _end_labels(axis, ends)
    axis.yaxis.set_major_formatter(lambda value, _: _short(value))
    axis.set_xlabel("sessions")
    _title(axis, title)


def draw_criteria(rows: Sequence[Row], *, name: str, alt: str) -> Drawing:
    """Each criterion's estimate and anytime-valid interval against its bound and the baseline."""
    figure, axes = _canvas(1, 1, height=0.8 + 0.46 * max(len(rows), 1))
    axis = axes[0]
    count = len(rows)
    for position, row in enumerate(rows):
        y = count - 1 - position
        good = (0.0, row.bound) if row.upper else (row.bound, 1.0)
        axis.plot(
            good, (y, y), color=color("good"), linewidth=13, alpha=0.16, solid_capstyle="butt"
        )
        axis.plot((row.bound,) * 2, (y - 0.36, y + 0.36), color=color("good"), linewidth=2)
        token, marker = DECISIONS.get(row.decision, DECISIONS["undetermined"])
        if row.low is not None and row.high is not None:
            axis.plot((row.low, row.high), (y, y), color=color(token), linewidth=2.4)
        if row.baseline is not None:
            axis.plot(row.baseline, y, "D", color=color("ink"), markersize=6, fillstyle="none")
        if row.estimate is not None:
            axis.plot(row.estimate, y, marker, color=color(token), markersize=7)
        axis.annotate(
            row.decision,
            (1, y),
            (8, 0),
            textcoords="offset points",
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
            color=color(token),
            annotation_clip=False,
        )
    axis.set_yticks(range(count), [row.name for row in reversed(rows)])
    axis.tick_params(axis="y", length=0, labelsize=9, labelcolor=color("ink"))
    axis.set_ylim(-0.6, count - 0.4)
    axis.set_xlim(-0.01, 1.01)
    axis.grid(axis="x", color=color("grid"), linewidth=0.8)
    axis.spines["left"].set_visible(False)
    return _finish(figure, name, alt)


def draw_distributions(spreads: Sequence[Spread], *, name: str, alt: str) -> Drawing:
    """How the sessions spread over each measure: a histogram, with bound and baseline."""
    columns = min(3, max(len(spreads), 1))
    rows = math.ceil(max(len(spreads), 1) / columns)
    figure, axes = _canvas(rows, columns, height=0.5 + 1.55 * rows)
    for position, axis in enumerate(axes):
        if position >= len(spreads):
            axis.set_visible(False)
            continue
        spread = spreads[position]
        counts, edges = _binned(spread)
        width = edges[1] - edges[0]
        axis.bar(edges[:-1], counts, width * 0.9, align="edge", color=color("c1"), linewidth=0)
        axis.set_xlim(spread.lowest - width * 0.3, spread.highest + width * 0.3)
        axis.yaxis.get_major_locator().set_params(integer=True, nbins=3)
        axis.xaxis.get_major_locator().set_params(nbins=5)
        if spread.bound is not None:
            axis.axvline(spread.bound, color=color("good"), linewidth=2)
        if spread.baseline is not None:
            axis.axvline(spread.baseline, color=color("ink"), linewidth=1.4, linestyle=(0, (2, 2)))
        _title(axis, spread.name)
    return _finish(figure, name, alt)


def draw_drift(shares: Sequence[Line], words: Line | None, *, name: str, alt: str) -> Drawing:
    """What changes from the first turn to the last: shares of sessions, and mean words."""
    figure, axes = _canvas(1, 2 if words else 1, height=2.9, ratios=(1.6, 1) if words else None)
    for position, line in enumerate(shares):
        style = _style(position)
        _interval(axes[0], line, style["color"])
        axes[0].plot(line.x, _gaps(line.y), markersize=5, linewidth=1.6, **style)
    ends = [
        (line.name, line.y[-1], _style(position)["color"])
        for position, line in enumerate(shares)
        if len(line.y) and line.y[-1] is not None
    ]
    axes[0].set_ylim(-0.03, 1.03)
    axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes[0].set_ylabel("share of sessions")
    _end_labels(axes[0], [(text, y, tone) for text, y, tone in ends if y is not None])
    if words:
        _interval(axes[1], words, color("c1"))
        axes[1].plot(words.x, _gaps(words.y), "o-", color=color("c1"), markersize=5, linewidth=1.6)
        axes[1].set_ylim(bottom=0)
        _title(axes[1], "words of a reply")
    for axis in axes:
        axis.set_xlabel("turn")
        axis.xaxis.get_major_locator().set_params(integer=True, nbins=8)
    return _finish(figure, name, alt)


def draw_scale(panels: Sequence[Panel], *, x_label: str, log: bool, name: str, alt: str) -> Drawing:
    """Measures over scale, a panel a measure: estimates with intervals, bound and baseline.

    A point's marker tells the decision, so that neither order nor colour is assumed.
    """
    columns = min(3, max(len(panels), 1))
    rows = math.ceil(max(len(panels), 1) / columns)
    figure, axes = _canvas(rows, columns, height=0.5 + 2.15 * rows)
    for position, axis in enumerate(axes):
        if position >= len(panels):
            axis.set_visible(False)
            continue
        panel = panels[position]
        if log:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(lambda value, _: _short(value))
            axis.xaxis.set_minor_formatter(lambda value, _: "")
        _scale_panel(axis, panel)
        _title(axis, panel.name)
        if position >= len(panels) - columns:
            axis.set_xlabel(x_label)
    return _finish(figure, name, alt)


def _scale_panel(axis: Any, panel: Panel) -> None:
    low, high = panel.limits
    axis.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    if panel.bound is not None:
        edge = (low, panel.bound) if panel.upper else (panel.bound, high)
        axis.axhspan(*edge, color=color("good"), alpha=0.12, linewidth=0)
        axis.axhline(panel.bound, color=color("good"), linewidth=1.6)
    if panel.baseline is not None:
        axis.axhline(panel.baseline, color=color("ink"), linewidth=1.2, linestyle=(0, (2, 2)))
    for position, (family, points) in enumerate(panel.families.items()):
        style = _style(position)
        ordered = sorted(points, key=lambda point: point.scale)
        axis.plot(
            [point.scale for point in ordered],
            [point.estimate for point in ordered],
            color=style["color"],
            linestyle=style["linestyle"],
            linewidth=1.3,
        )
        for point in ordered:
            if point.low is not None and point.high is not None:
                axis.plot((point.scale,) * 2, (point.low, point.high), color=style["color"], lw=1.6)
            _, marker = DECISIONS.get(point.decision, DECISIONS["undetermined"])
            axis.plot(point.scale, point.estimate, marker, color=style["color"], markersize=6.5)
        if len(panel.families) > 1 and ordered:
            _end_labels(axis, [(family, ordered[-1].estimate, style["color"])])


def _canvas(
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


def _title(axis: Any, text: str) -> None:
    axis.set_title(text, loc="left", fontsize=9.5, color=color("ink"))


def _finish(figure: Any, name: str, alt: str) -> Drawing:
    import matplotlib

    svg, png = io.StringIO(), io.BytesIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": name, "path.simplify": False}
    with matplotlib.rc_context(settings):
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
        figure.savefig(png, format="png", dpi=160, facecolor="white", metadata={"Software": None})
    return Drawing(themed(svg.getvalue(), name=name, alt=alt), png.getvalue())


def _style(position: int, hues: Sequence[str] = HUES) -> dict[str, Any]:
    return {
        "color": color(hues[position % len(hues)]),
        "marker": MARKERS[position % len(MARKERS)],
        "linestyle": DASHES[position % len(DASHES)],
    }


def _interval(axis: Any, line: Line, tone: str) -> None:
    pairs = list(zip(line.x, line.low, line.high, strict=False))
    known = [(x, low, high) for x, low, high in pairs if low is not None and high is not None]
    if known:
        xs, lows, highs = zip(*known, strict=True)
        axis.fill_between(xs, lows, highs, color=tone, alpha=0.13, linewidth=0)


def _end_labels(axis: Any, ends: Sequence[tuple[str, float, str]]) -> None:
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


def _gaps(values: Sequence[float | None]) -> list[float]:
    """Unknown values as gaps in a line."""
    return [math.nan if value is None else value for value in values]


def _binned(spread: Spread, bins: int = 20) -> tuple[list[int], list[float]]:
    """Counts in equal bins over the measure's whole range, so that figures compare."""
    width = (spread.highest - spread.lowest) / bins
    counts = [0] * bins
    for value in spread.values:
        place = int((value - spread.lowest) / width)
        counts[min(max(place, 0), bins - 1)] += 1
    return counts, [spread.lowest + width * step for step in range(bins + 1)]


def _short(value: float) -> str:
    """A tick in few characters: 1/1000, 0.5, 20, 1k, 1M, 30B."""
    if value < 0.1:
        return f"1/{1 / value:,.0f}"
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
