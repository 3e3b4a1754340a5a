"""Writes the documents of a run. Every file appears whole or not at all.

Transcripts are written by the run itself while it goes on, not here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from holdtrue.documents.blocks import Document, Figure, figures_of
from holdtrue.documents.capacity_report import capacity_document
from holdtrue.documents.markdown import render_markdown
from holdtrue.documents.page import render_page
from holdtrue.documents.status import moment, status_entry, worklog_line
from holdtrue.documents.svg import standalone
from holdtrue.files import append_atomic, write_atomic

if TYPE_CHECKING:
    from holdtrue.capacity import RunRecord

PAGE = "report.html"
VERDICT = "verdict.json"
STATUS = "LATEST_STATUS.md"


def write_documents(record: RunRecord, folder: Path, *, announce: bool = True) -> list[Path]:
    """Write every document of ``record`` into ``folder``; the paths, in the order of reading.

    The page is also kept in the run's own folder, where a later run does not replace it.
    ``announce`` adds the entry to the status file and the line to the work log; leave it out
    when documents are written again. Raises WorkspaceError when a file cannot be written.
    """
    analysis, pictures = analysis_name(record), pictures_name(record)
    document = capacity_document(record)
    page = render_page(document)
    written = [
        write_atomic(folder / analysis, render_markdown(document, pictures=pictures)),
        write_atomic(folder / moment_name(record), moment(record, analysis=analysis)),
        write_atomic(folder / PAGE, page),
        write_atomic(folder / VERDICT, _json(record.verdict.as_dict())),
    ]
    write_atomic(record.run.folder / PAGE, page)
    write_figures(document, folder / pictures)
    written.append(folder / pictures)
    return [*written, *announce_run(record, folder)] if announce else written


def announce_run(record: RunRecord, folder: Path) -> list[Path]:
    """Add the run to the status file and the work log; what stands there stays as it is.

    An entry that is already there is not added again, so that a run killed on its way through
    here is announced once by its resumption.
    """
    status = folder / STATUS
    worklog = folder / f"{record.config.host.lower()}_worklog.txt"
    analysis = analysis_name(record)
    for path, text in (
        (status, status_entry(record, analysis=analysis)),
        (worklog, worklog_line(record, analysis=analysis)),
    ):
        if not _holds(path, text):
            append_atomic(path, text if _ends_a_line(path) else f"\n{text}")
    return [status, worklog]


def _holds(path: Path, text: str) -> bool:
    try:
        return text.strip().encode() in path.read_bytes()
    except OSError:  # not there; what cannot be read, append_atomic explains
        return False


def _ends_a_line(path: Path) -> bool:
    """Whether what is appended starts on a line of its own; ours always ends one."""
    try:
        with path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) == b"\n"
    except OSError:  # not there, or empty; what cannot be read, append_atomic explains
        return True


def write_document(document: Document, folder: Path, name: str) -> list[Path]:
    """Write any document as ``NAME.md`` and ``report.html`` with its figures beside them.

    For documents of other kinds than a run's: comparisons, ladders, sleep cycles.
    """
    pictures = f"{name}-figures"
    write_figures(document, folder / pictures)
    return [
        write_atomic(folder / f"{name}.md", render_markdown(document, pictures=pictures)),
        write_atomic(folder / PAGE, render_page(document)),
    ]


def analysis_name(record: RunRecord) -> str:
    """The name of the full analysis: ``THOR_30B_CAPACITY_TEST.md``."""
    return f"{record.config.host.upper()}_{record.config.label}_CAPACITY_TEST.md"


def analysis_text(record: RunRecord) -> str:
    """The full analysis, equal for equal records."""
    return render_markdown(capacity_document(record), pictures=pictures_name(record))


def pictures_name(record: RunRecord) -> str:
    """The folder of the figures beside the analysis."""
    return f"{record.config.label}-figures"


def moment_name(record: RunRecord) -> str:
    """The name of the moment file: ``YYYY-MM-DD-thor-30b-test.md``."""
    config = record.config
    # A stranger's run may hold anything here; only a date may stand in a file name.
    day = found[0] if (found := re.match(r"\d{4}-\d{2}-\d{2}", config.created)) else "undated"
    return f"{day}-{config.host.lower()}-{config.label.lower()}-test.md"


def write_figures(document: Document, folder: Path) -> list[Path]:
    """Write each figure as SVG and PNG into ``folder``."""
    figures: list[Figure] = figures_of(document.sections)
    written = []
    for figure in figures:
        drawing = figure.drawing
        written.append(write_atomic(folder / f"{figure.name}.svg", standalone(drawing.svg)))
        written.append(write_atomic(folder / f"{figure.name}.png", drawing.png))
    return written


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
