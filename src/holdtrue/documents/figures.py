"""Figures: each drawn once by Matplotlib, as a themeable SVG element and as PNG bytes.

They draw numbers that others computed; the only arithmetic here is binning for a histogram.
Every series has its own marker and dash as well as its own hue, and its name stands at its end,
so that no figure needs its colours. Matplotlib is imported when the first figure is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdtrue.documents.blocks import Drawing
from holdtrue.documents.canvas import (
    HUES,
    Line,
    canvas,
    end_labels,
    finish,
    gaps,
    interval,
    name_rows,
    panels,
    short,
    style,
    title,
)
from holdtrue.documents.svg import color

DECISIONS = {"met": ("good", "o"), "not met": ("bad", "X"), "undetermined": ("open", "s")}
FLOOR, CEILING = 1e-3, 1e3


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
class Gap:
    """A difference between two arms with its interval; ``shown`` where it was shown to differ."""

    name: str
    difference: float
    low: float | None
    high: float | None
    shown: bool


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


def draw_evidence(
    met: Sequence[Line], not_met: Line | None, threshold: float, *, name: str, alt: str
) -> Drawing:
    """Evidence (e-values, log scale) over sessions, with the line at which a decision falls.

    Values beyond 1/1000 and 1000 are drawn there: what lies further decides nothing more.
    """
    figure, axes = canvas(1, 2 if not_met else 1, height=3.2, sharey=True)
    _evidence_panel(axes[0], met, threshold, "for “met”, each criterion")
    if not_met:
        _evidence_panel(axes[1], [not_met], threshold, "for “not met”, all together", hues=["bad"])
    axes[0].set_ylabel("evidence (bet of 1 grown to)")
    return finish(figure, name, alt)


def _evidence_panel(
    axis: Any, lines: Sequence[Line], threshold: float, heading: str, hues: Sequence[str] = HUES
) -> None:
    axis.set_yscale("log")
    last = max((line.x[-1] for line in lines if len(line.x)), default=4)
    axis.set_ylim(FLOOR * 0.6, CEILING * 1.7)
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
        look = style(position, hues)
        shown = [None if y is None else min(max(y, FLOOR), CEILING) for y in line.y]
        axis.plot([0, *line.x], [1.0, *gaps(shown)], markersize=3.5, linewidth=1.5, **look)
        if shown and shown[-1] is not None:
            ends.append((line.name, shown[-1], look["color"]))
    if len(lines) > 1:
        end_labels(axis, ends)
    axis.yaxis.set_major_formatter(lambda value, _: short(value))
    axis.set_xlabel("sessions")
    title(axis, heading)


def draw_criteria(rows: Sequence[Row], *, name: str, alt: str) -> Drawing:
    """Each criterion's estimate and anytime-valid interval against its bound and the baseline."""
    figure, axes = canvas(1, 1, height=0.8 + 0.46 * max(len(rows), 1))
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
    name_rows(axis, [row.name for row in rows])
    axis.set_xlim(-0.01, 1.01)
    return finish(figure, name, alt)


def draw_differences(gaps: Sequence[Gap], *, name: str, alt: str) -> Drawing:
    """Differences with their intervals around zero."""
    figure, axes = canvas(1, 1, height=0.8 + 0.34 * max(len(gaps), 1))
    axis, count = axes[0], len(gaps)
    axis.axvline(0, color=color("ink"), linewidth=1, linestyle=(0, (2, 2)))
    for position, gap in enumerate(gaps):
        y = count - 1 - position
        tone = color("c2" if gap.shown else "open")
        if gap.low is not None and gap.high is not None:
            axis.plot((gap.low, gap.high), (y, y), color=tone, linewidth=2.2)
        face = tone if gap.shown else color("paper")
        axis.plot(gap.difference, y, "o", color=tone, markerfacecolor=face, markersize=6.5)
    name_rows(axis, [gap.name for gap in gaps])
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:+.2g}" if value else "0")
    return finish(figure, name, alt)


def draw_distributions(spreads: Sequence[Spread], *, name: str, alt: str) -> Drawing:
    """How the sessions spread over each measure: a histogram, with bound and baseline."""
    figure, axes = panels(len(spreads), height=1.55)
    for axis, spread in zip(axes, spreads, strict=True):
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
        title(axis, spread.name)
    return finish(figure, name, alt)


def draw_drift(shares: Sequence[Line], words: Line | None, *, name: str, alt: str) -> Drawing:
    """What changes from the first turn to the last: shares of sessions, and mean words."""
    figure, axes = canvas(1, 2 if words else 1, height=2.9, ratios=(1.6, 1) if words else None)
    for position, line in enumerate(shares):
        look, shift = style(position), 0.06 * (position - (len(shares) - 1) / 2)
        interval(axes[0], line, look["color"], shift)
        moved = [x + shift for x in line.x]
        axes[0].plot(moved, gaps(line.y), markersize=5, linewidth=1.6, **look)
    ends = [
        (line.name, line.y[-1], style(position)["color"])
        for position, line in enumerate(shares)
        if len(line.y) and line.y[-1] is not None
    ]
    axes[0].set_ylim(-0.03, 1.03)
    axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes[0].set_ylabel("share of sessions")
    end_labels(axes[0], [(text, y, tone) for text, y, tone in ends if y is not None])
    if words:
        interval(axes[1], words, color("c1"))
        axes[1].plot(words.x, gaps(words.y), "o-", color=color("c1"), markersize=5, linewidth=1.6)
        tops = [y for y in (*words.y, *words.high) if y is not None]
        axes[1].set_ylim(0, 1.15 * max(tops, default=1.0))
        title(axes[1], "words of a reply")
    for axis in axes:
        axis.set_xlabel("turn")
        axis.xaxis.get_major_locator().set_params(integer=True, nbins=8)
    return finish(figure, name, alt)


def draw_scale(
    measures: Sequence[Panel], *, x_label: str, log: bool, name: str, alt: str
) -> Drawing:
    """Measures over scale, a panel a measure: estimates with intervals, bound and baseline.

    A point's marker tells the decision, so that neither order nor colour is assumed.
    """
    figure, axes = panels(len(measures), height=2.15)
    for position, (axis, panel) in enumerate(zip(axes, measures, strict=True)):
        if log:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(lambda value, _: short(value))
            axis.xaxis.set_minor_formatter(lambda value, _: "")
        _scale_panel(axis, panel)
        title(axis, panel.name)
        if position >= len(measures) - 3:
            axis.set_xlabel(x_label)
    return finish(figure, name, alt)


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
        look = style(position)
        ordered = sorted(points, key=lambda point: point.scale)
        axis.plot(
            [point.scale for point in ordered],
            [point.estimate for point in ordered],
            color=look["color"],
            linestyle=look["linestyle"],
            linewidth=1.3,
        )
        for point in ordered:
            if point.low is not None and point.high is not None:
                axis.plot((point.scale,) * 2, (point.low, point.high), color=look["color"], lw=1.6)
            _, marker = DECISIONS.get(point.decision, DECISIONS["undetermined"])
            axis.plot(point.scale, point.estimate, marker, color=look["color"], markersize=6.5)
        if len(panel.families) > 1 and ordered:
            end_labels(axis, [(family, ordered[-1].estimate, look["color"])])


def _binned(spread: Spread, bins: int = 20) -> tuple[list[int], list[float]]:
    """Counts in equal bins over the measure's whole range, so that figures compare."""
    width = (spread.highest - spread.lowest) / bins
    counts = [0] * bins
    for value in spread.values:
        place = int((value - spread.lowest) / width)
        counts[min(max(place, 0), bins - 1)] += 1
    return counts, [spread.lowest + width * step for step in range(bins + 1)]
