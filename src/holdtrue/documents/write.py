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
from holdtrue.files import append_atomic, inside, write_atomic

if TYPE_CHECKING:
    from holdtrue.capacity import RunRecord

PAGE = "report.html"
VERDICT = "verdict.json"
STATUS = "LATEST_STATUS.md"


def write_documents(record: RunRecord, folder: Path, *, announce: bool = True) -> list[Path]:
    """Write every document of ``record`` into ``folder``; the paths, in the order of reading.

    The page is also kept in the run's own folder, where a later run does not replace it.
    ``announce`` adds the entry to the status file and the line to the work log; leave it out
    when documents are written again. Raises WorkspaceError when a file cannot be written, or a
    symbolic link would lead it out of ``folder``.
    """
    contents = documents_of(record)
    for name, content in contents.items():
        write_atomic(inside(folder, folder / name), content)
    page = inside(record.run.out, record.run.folder / PAGE)
    write_atomic(page, contents[PAGE])
    written = [folder / name for name in contents if "/" not in name]
    written.append(folder / pictures_name(record))
    return [*written, *announce_run(record, folder)] if announce else written


def documents_of(record: RunRecord) -> dict[str, bytes]:
    """Every document of a run by its path in the folder, equal for equal records."""
    analysis, pictures = analysis_name(record), pictures_name(record)
    document = capacity_document(record)
    texts = {
        analysis: render_markdown(document, pictures=pictures),
        moment_name(record): moment(record, analysis=analysis),
        PAGE: render_page(document),
        VERDICT: _json(record.verdict.as_dict()),
    }
    drawn = {f"{pictures}/{name}": data for name, data in _drawn(document).items()}
    return {name: text.encode() for name, text in texts.items()} | drawn


def announcements(record: RunRecord) -> dict[str, str]:
    """What a run adds to the status file and to the work log, by file name."""
    analysis = analysis_name(record)
    return {
        STATUS: status_entry(record, analysis=analysis),
        f"{record.config.host.lower()}_worklog.txt": worklog_line(record, analysis=analysis),
    }


def announce_run(record: RunRecord, folder: Path) -> list[Path]:
    """Add the run to the status file and the work log; what stands there stays as it is.

    An entry that is already there is not added again, so that a run killed on its way through
    here is announced once by its resumption.
    """
    return [append_once(folder, name, text) for name, text in announcements(record).items()]


def append_once(folder: Path, name: str, text: str) -> Path:
    """Append the entry ``text`` to a file of ``folder`` on lines of its own, unless it is there."""
    path = inside(folder, folder / name)
    if not holds(path, text):
        append_atomic(path, text if _ends_a_line(path) else f"\n{text}")
    return path


def holds(path: Path, text: str) -> bool:
    """Whether the entry ``text`` stands in the file at ``path``."""
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


def write_document(
    document: Document, folder: Path, name: str, *, pictures: str | None = None
) -> list[Path]:
    """Write any document as ``NAME.md`` and ``report.html`` with its figures beside them.

    They go to the folder ``pictures``, by default ``NAME-figures``. For documents of other kinds
    than a run's: comparisons, ladders, sleep cycles.
    """
    pictures = pictures or f"{name}-figures"
    write_figures(document, inside(folder, folder / pictures))
    texts = {
        f"{name}.md": render_markdown(document, pictures=pictures),
        PAGE: render_page(document),
    }
    return [write_atomic(inside(folder, folder / file), text) for file, text in texts.items()]


def analysis_name(record: RunRecord) -> str:
    """The name of the full analysis: ``THOR_30B_CAPACITY_TEST.md``."""
    return f"{record.config.host.upper()}_{record.config.label}_CAPACITY_TEST.md"


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
    return [write_atomic(folder / name, data) for name, data in _drawn(document).items()]


def _drawn(document: Document) -> dict[str, bytes]:
    """The figures of a document as SVG and PNG, by file name."""
    found: dict[str, bytes] = {}
    figures: list[Figure] = figures_of(document.sections)
    for figure in figures:
        found[f"{figure.name}.svg"] = standalone(figure.drawing.svg).encode()
        found[f"{figure.name}.png"] = figure.drawing.png
    return found


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
