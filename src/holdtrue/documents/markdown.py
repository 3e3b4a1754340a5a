"""Blocks as Markdown: the form of a document that lives in a repository.

It renders on GitHub, GitLab and plain CommonMark with tables. It holds no HTML of its own.
"""

from __future__ import annotations

from holdtrue.documents.blocks import (
    Block,
    Bullets,
    Code,
    Document,
    Facts,
    Figure,
    Inline,
    Link,
    Notice,
    Paragraph,
    Questions,
    Section,
    Strong,
    Table,
    Tag,
    Transcripts,
    plain,
)
from holdtrue.documents.escape import markdown, markdown_code

SIGNS = {"good": "✓", "bad": "✗", "open": "?", "warn": "!", "plain": ""}


def render_markdown(document: Document, *, pictures: str = "") -> str:
    """The whole document, ending in a line feed; ``pictures`` is the folder of its figures."""
    parts = [f"# {markdown(document.title)}"]
    if document.subtitle:
        parts.append(markdown(document.subtitle))
    parts.append(f"> **{markdown(document.answer)}**")
    parts.append(_summary(document))
    parts.extend(render_section(section, pictures=pictures) for section in document.sections)
    return "\n\n".join(part for part in parts if part) + "\n"


def render_section(section: Section, *, level: int = 2, pictures: str = "") -> str:
    """One section with its heading."""
    parts = [f"{'#' * level} {markdown(section.title)}"]
    if section.lead:
        parts.append(inline(section.lead))
    parts.extend(render_block(block, pictures=pictures) for block in section.blocks)
    return "\n\n".join(part for part in parts if part)


def render_block(block: Block, *, pictures: str = "") -> str:
    """One block, without a line feed at its end."""
    match block:
        case Paragraph():
            return inline(block.text)
        case Bullets():
            return "\n".join(f"- {inline(item)}" for item in block.items)
        case Facts():
            rows = tuple((name, value) for name, value in block.pairs)
            return _grid(("", ""), [(inline(name), inline(value)) for name, value in rows], set())
        case Notice():
            return f"> **Note:** {inline(block.text)}"
        case Table():
            return _table(block)
        case Figure():
            place = f"{pictures}/{block.name}.png" if pictures else f"{block.name}.png"
            image = f"![{markdown(block.alt)}]({place})"
            drawn = f"{image}\n\n*{markdown(block.caption)}*"
            return drawn if block.told else f"{drawn}\n\n{_table(block.table)}"
        case Questions():
            return "\n\n".join(
                f"**{markdown(item.question)}** {inline(item.answer)}" for item in block.items
            )
        case Transcripts():
            return "\n\n".join(_table(table) for table in block.tables)


def inline(text: Inline) -> str:
    """Runs of text on one line."""
    if isinstance(text, tuple):
        return "".join(_run(run) for run in text)
    return _run(text)


def _run(run: str | Code | Strong | Tag | Link) -> str:
    match run:
        case str():
            # Folding must not eat the space between this run and its neighbours.
            before = " " if run[:1].isspace() else ""
            after = " " if run.strip() and run[-1:].isspace() else ""
            return f"{before}{markdown(run)}{after}"
        case Code():
            return markdown_code(run.text)
        case Strong():
            return f"**{markdown(run.text)}**" + (" " if run.text[-1:].isspace() else "")
        case Tag():
            sign = SIGNS[run.tone]
            return f"{sign} {markdown(run.text)}".strip()
        case Link():
            return f"[{markdown(run.text)}]({run.href})"


def _summary(document: Document) -> str:
    told: tuple[tuple[str, Inline], ...] = (
        ("Outcome", Strong(_outcome(document))),
        ("How sure", document.sureness),
        ("Meaning", document.meaning),
        ("Next step", document.next_step),
    )
    rows = [(name, text) for name, text in told if plain(text)]
    rows += document.facts
    return render_block(Facts(tuple(rows)))


def _outcome(document: Document) -> str:
    name = document.outcome.text
    return f"{document.mark}: {name}" if document.mark.isalpha() else name


def _table(table: Table) -> str:
    rows = [tuple(inline(cell) if plain(cell) else "–" for cell in row) for row in table.rows]
    if not rows:
        return f"{markdown(table.caption)} None."
    grid = _grid(tuple(map(markdown, table.headers)), rows, set(table.numeric))
    return f"{markdown(table.caption)}\n\n{grid}" if table.caption else grid


def _grid(headers: tuple[str, ...], rows: list[tuple[str, ...]], numeric: set[int]) -> str:
    rule = ["---:" if column in numeric else "---" for column in range(len(headers))]
    lines = [headers, tuple(rule), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
