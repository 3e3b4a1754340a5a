"""Documents of a sleep dataset and a training: the data card, the loss curve.

Presentation only: what was found stands in ``holdtrue.sleep``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from holdtrue.documents.blocks import (
    Block,
    Code,
    Document,
    Drawing,
    Facts,
    Figure,
    Inline,
    Section,
    Table,
    Tag,
)
from holdtrue.documents.canvas import Line, canvas, end_labels, finish, style
from holdtrue.documents.markdown import render_markdown
from holdtrue.documents.svg import standalone
from holdtrue.files import write_atomic
from holdtrue.sleep.curate import REASONS
from holdtrue.sleep.dataset import Dataset
from holdtrue.sleep.manifest import Manifest
from holdtrue.sleep.sham import MEANINGS

CARD = "CARD.md"


def write_card(dataset: Dataset, folder: Path) -> Path:
    """Write the data card as Markdown beside the data. Raises WorkspaceError."""
    return write_atomic(folder / CARD, render_markdown(card_document(dataset), pictures=""))


def card_document(dataset: Dataset) -> Document:
    """The data card: where every example is from, what was dropped and why."""
    card = dataset.card
    return Document(
        kind="Data card",
        title=f"Sleep dataset of {card.persona}",
        subtitle=f"{card.train} examples to learn, {card.held_out} held out",
        answer=f"{card.train + card.held_out} of {card.responses} replies were kept.",
        outcome=Tag(card.kind, "open"),
        sureness="Chosen by this scorer's findings and ratings, which are not people's.",
        sections=(
            Section("Data", "data", data_blocks(dataset)),
            Section("Sources", "sources", (sources_table(dataset),)),
        ),
    )


def write_loss(manifest: Manifest, folder: Path) -> list[Path]:
    """Write the loss curve as ``loss.svg`` and ``loss.png``."""
    drawing = loss_figure({"adapter": manifest}).drawing
    return [
        write_atomic(folder / "loss.svg", standalone(drawing.svg)),
        write_atomic(folder / "loss.png", drawing.png),
    ]


def data_blocks(dataset: Dataset) -> tuple[Block, ...]:
    card = dataset.card
    rows = tuple((reason, REASONS[reason], str(n)) for reason, n in card.dropped.items())
    facts: list[tuple[str, Inline]] = [
        ("Persona", f"{card.persona} ({card.persona_hash})"),
        ("Sessions", f"{card.sessions}, of which {card.good_sessions} are good"),
        ("Replies", f"{card.responses}, of which {card.train + card.held_out} are kept"),
        ("To learn", f"{card.train}, of which {card.anchored} with anchoring"),
        ("Held out", f"{card.held_out}, to {len(card.held_out_questions)} questions"),
        ("Preference pairs", str(card.pairs)),
        ("Tokenizer", card.tokenizer or "any"),
        ("Scorer", Code(card.scorer)),
        ("Seed", str(card.seed)),
        ("Hash of the data", Code(dataset.sha256)),
    ]
    if card.sham:
        facts.append(("Sham", MEANINGS[card.sham]))
    facts += [(name.replace("_", " "), f"{value:g}") for name, value in card.settings.items()]
    table = Table(("Reason", "The reply", "Dropped"), rows, "What was dropped.", frozenset({2}))
    return (Facts(tuple(facts)), table) if rows else (Facts(tuple(facts)),)


def sources_table(dataset: Dataset) -> Table:
    rows = tuple(
        (Code(one.file), Code(one.sha256), str(one.sessions), str(one.responses), str(one.kept))
        for one in dataset.card.sources
    )
    headers = ("File", "sha256", "Sessions", "Replies", "Kept")
    return Table(headers, rows, "Every file that was read.", frozenset({2, 3, 4}))


def loss_figure(manifests: Mapping[str, Manifest]) -> Figure:
    """Training loss per step and held-out loss, of each adapter."""
    lines = []
    for name, one in manifests.items():
        steps = [float(step) for step in range(1, len(one.losses) + 1)]
        lines.append(Line(f"{name}, learnt", steps, one.losses))
        held = sorted(one.held_out.items())
        if held:
            lines.append(
                Line(f"{name}, held out", [float(s) for s, _ in held], [v for _, v in held])
            )
    rows = tuple(
        (line.name, f"{line.y[0]:.3f}", f"{line.y[-1]:.3f}") for line in lines if len(line.y)
    )
    table = Table(("Loss", "First", "Last"), rows, "First and last losses.", frozenset({1, 2}))
    alt = "Line chart of losses over training steps: " + "; ".join(
        f"{row[0]} from {row[1]} to {row[2]}" for row in rows
    )
    draw = partial(_draw_loss, lines, alt)
    return Figure("loss", draw, "Loss per token in nats, over steps.", alt, table)


def _draw_loss(lines: Sequence[Line], alt: str) -> Drawing:
    figure, axes = canvas(1, 1, height=2.8)
    axis, ends = axes[0], []
    for position, line in enumerate(lines):
        look = style(position)
        few = len(line.y) <= 12
        axis.plot(line.x, line.y, linewidth=1.4, markersize=4, color=look["color"],
                  linestyle=look["linestyle"], marker=look["marker"] if few else None)  # fmt: skip
        if line.y and line.y[-1] is not None:
            ends.append((line.name, line.y[-1], look["color"]))
    axis.set_xlabel("step")
    axis.set_ylabel("loss per token (nats)")
    if ends:
        end_labels(axis, ends)
    return finish(figure, "loss", alt)
