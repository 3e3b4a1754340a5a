"""What a document is made of: sections of blocks, rendered to Markdown and to HTML alike.

A block holds values that are ready to be read; it knows nothing of models or statistics. Text in
a block is plain and hostile: each renderer escapes it for its own medium.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Tone = Literal["good", "bad", "open", "warn", "plain"]


@dataclass(frozen=True, slots=True)
class Code:
    """A value to be copied exactly: a name, hash, file or command."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Words that carry the point of a sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A decision in one or two words, such as *met*; ``tone`` colours it where there is colour."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Link:
    """A file beside the document, by its relative name."""

    text: str
    href: str


Run = str | Code | Strong | Tag | Link
Inline = Run | tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: Inline


@dataclass(frozen=True, slots=True)
class Bullets:
    items: tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with values, as in a set-up."""

    pairs: tuple[tuple[str, Inline], ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the reader must not miss."""

    text: Inline
    tone: Tone = "warn"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headers. ``numeric`` are the columns (from 0) that align to the right."""

    headers: tuple[str, ...]
    rows: tuple[tuple[Inline, ...], ...]
    caption: str
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn figure: one self-contained SVG element without scripts, and a PNG file."""

    svg: str
    png: bytes = field(repr=False)


@dataclass(frozen=True)
class Figure:
    """A drawing with what it shows in words and in numbers.

    ``name`` is its file name without ending; ``draw`` draws it, once, when it is first shown;
    ``alt`` says in a sentence what is to be seen; ``table`` holds the same numbers, and is left
    out of Markdown where another table of the document has them (``told``).
    """

    name: str
    draw: Callable[[], Drawing] = field(repr=False, compare=False)
    caption: str
    alt: str
    table: Table
    told: bool = False

    @cached_property
    def drawing(self) -> Drawing:
        return self.draw()


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """A question that a document answers, or says is open."""

    question: str
    answer: Inline
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Questions:
    items: tuple[QuestionAnswer, ...]


@dataclass(frozen=True, slots=True)
class Transcripts:
    """The transcripts of a document, drawn by the page's script from ``data``.

    ``data`` is the plain JSON value made by ``transcript_data``. Markdown shows ``tables``.
    """

    data: dict[str, Any]
    tables: tuple[Table, ...]


Block = Paragraph | Bullets | Facts | Notice | Table | Figure | Questions | Transcripts


@dataclass(frozen=True, slots=True)
class Gauge:
    """Where an estimate lies in [``lowest``, ``highest``], in the measure's unit.

    ``upper`` says that values up to ``bound`` are good, else those from it on.
    """

    bound: float
    upper: bool
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    lowest: float = 0.0
    highest: float = 1.0


@dataclass(frozen=True, slots=True)
class Tile:
    """A criterion at a glance; each of ``details`` stands on a line of its own."""

    name: str
    value: str
    details: tuple[str, ...]
    tag: Tag
    gauge: Gauge | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its blocks; ``anchor`` is unique in its document.

    ``short`` is the heading where there is little room, ``lead`` the sentence under it.
    """

    title: str
    anchor: str
    blocks: tuple[Block, ...]
    lead: Inline = ""
    short: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole document. ``answer`` is the one sentence that it opens with.

    ``kind`` says what was done, ``outcome`` names the result (``mark`` is its letter, if it has
    one), ``sureness`` says how sure it is, ``meaning`` and ``next_step`` what follows from it;
    ``tiles`` and ``facts`` stand at the top. Markdown leaves the tiles out: a table has them.
    """

    kind: str
    title: str
    subtitle: str
    answer: str
    outcome: Tag
    sureness: str
    sections: tuple[Section, ...]
    meaning: Inline = ""
    next_step: Inline = ""
    mark: str = ""
    tiles: tuple[Tile, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


def with_code(text: str) -> Inline:
    """A sentence in which what stands between backticks becomes Code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return text
    runs = (Code(part) if place % 2 else part for place, part in enumerate(parts))
    return tuple(run for run in runs if run != "")


def plain(text: Inline) -> str:
    """The words alone, for measuring, terminals and tests."""
    if isinstance(text, tuple):
        return "".join(plain(run) for run in text)
    return text if isinstance(text, str) else text.text


def figures_of(sections: Sequence[Section]) -> list[Figure]:
    """Every figure of a document, in the order of reading."""
    return [block for section in sections for block in section.blocks if isinstance(block, Figure)]
