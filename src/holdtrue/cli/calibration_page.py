"""Calibrations as a Markdown page that explains its own figures. It computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdtrue.cli.calibration_text import CAVEAT, headline, looked_for, missing, sentence, tables
from holdtrue.documents.blocks import Block, Bullets, Code, Inline, Section, Strong, Table
from holdtrue.documents.markdown import render_section
from holdtrue.scoring.calibrated import RATED
from holdtrue.scoring.calibration import Calibration, Comparison

HOW_TO_READ: tuple[tuple[str, str], ...] = (
    ("Labels", "what a reader said of a response; with two readers a response counts twice."),
    ("Told", "what holdtrue says of it."),
    ("Precision", "of what was told, the share that readers say too: low means false alarms."),
    ("Recall", "of what readers say, the share that was told: low means missed."),
    (
        "F1",
        "their harmonic mean, 1 at best; macro-F1 is its mean over the classes, so that a rare "
        "class weighs as much as a common one.",
    ),
    (
        "Kappa",
        "agreement beyond chance: 0 as good as guessing, 1 perfect. Two readers among themselves "
        "are the ceiling that can be hoped for.",
    ),
    (
        "Spearman",
        "whether sessions (or responses) come in the readers' order: 1 the same, 0 unrelated. "
        "It says nothing of the values.",
    ),
    ("Bias", "told minus labelled, on average, where both have the same unit."),
    (
        "95 %",
        "the range in which the figure would lie for other transcripts of the same kind; the "
        "transcripts are drawn anew, not the responses, which are alike within one. A wide range "
        "means too few labels to tell.",
    ),
)


def to_markdown(found: Sequence[Calibration]) -> str:
    """One page of all calibrations; text from transcripts is escaped."""
    parts = ["# Agreement with human labels", CAVEAT]
    for calibration in found:
        parts.append(render_section(_opening(calibration)))
        parts += [render_section(section, level=3) for section in _sections(calibration)]
    explained: tuple[Inline, ...] = tuple(
        (Strong(f"{name}:"), f" {what}") for name, what in HOW_TO_READ
    )
    parts.append(render_section(Section("How to read the figures", "", (Bullets(explained),))))
    return "\n\n".join(parts) + "\n"


def _opening(calibration: Calibration) -> Section:
    lines = tuple(map(_in_short, calibration.detectors)) + tuple(
        _score_in_short(score)
        for score in calibration.scores
        if score.level == "session" and score.measure in RATED
    )
    return Section(calibration.file, "", (Bullets(lines),), lead=headline(calibration))


def _in_short(comparison: Comparison) -> Inline:
    """A detector in a sentence: what it misses and what it alarms at falsely."""
    told = []
    for one in looked_for(comparison):
        name = "" if one.name == "yes" else f"{one.name}: "
        recall, precision = one.recall.value, one.precision.value
        if recall is None:
            told.append(f"{name}no reader labelled any")
            continue
        alarms = (
            "tells none"
            if precision is None
            else f"{_percent(1 - precision)} of what it tells is wrong"
        )
        told.append(f"{name}finds {_percent(recall)} of {one.labelled}, {alarms}")
    return (Strong(comparison.measure), f": {'; '.join(told) or 'nothing labelled'}")


def _score_in_short(comparison: Comparison) -> Inline:
    result: Any = comparison.result
    value = result.spearman.value
    told = "cannot be said" if value is None else f"Spearman {value:.2f}"
    return (
        Strong(comparison.measure),
        f": ranks sessions with the readers' {comparison.label.replace('_', ' ')}: {told}",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _sections(calibration: Calibration) -> list[Section]:
    sections = [
        Section(title, "", (Table(tuple(headers), _cells(rows), ""),))
        for title, headers, rows in tables(calibration)
        if rows
    ]
    confusions: tuple[Block, ...] = tuple(map(_confusion, calibration.detectors))
    if confusions:
        lead = "Rows are what readers said, columns what was told; the diagonal agrees."
        sections.append(Section("Confusion", "", confusions, lead=lead))
    if told := missing(calibration):
        sections.append(Section("What could not be measured", "", (Bullets(tuple(told)),)))
    worst = tuple(_worst(calibration))
    if worst:
        lead = "Where readers and holdtrue are furthest apart, with the characters it points at."
        sections.append(Section("Worst disagreements", "", worst, lead=lead))
    return sections


def _worst(calibration: Calibration) -> list[Block]:
    blocks: list[Block] = []
    for comparison in (*calibration.detectors, *calibration.scores, *calibration.judge):
        if comparison.worst:
            rows = tuple((sentence(item), Code(item.excerpt)) for item in comparison.worst)
            what = f"{comparison.measure}, by {comparison.level}"
            blocks.append(Table(("where", "response"), rows, what))
    return blocks


def _confusion(comparison: Comparison) -> Table:
    result: Any = comparison.result
    rows = tuple(
        (name, *map(str, row)) for name, row in zip(result.names, result.confusion, strict=True)
    )
    headers = ("labelled \\ told", *result.names)
    numeric = frozenset(range(1, len(headers)))
    return Table(headers, rows, comparison.measure, numeric)


def _cells(rows: Sequence[Sequence[Any]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple("" if cell is None else str(cell) for cell in row) for row in rows)
