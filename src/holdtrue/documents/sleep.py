"""Documents of the sleep cycle: the data card, the loss curve, and the cycle's full document.

Presentation only: what was found and what may be said stand in ``holdtrue.sleep``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from holdtrue.comparison import Comparison
from holdtrue.documents import words
from holdtrue.documents.blocks import (
    Block,
    Bullets,
    Code,
    Document,
    Drawing,
    Facts,
    Figure,
    Inline,
    Link,
    Notice,
    Paragraph,
    QuestionAnswer,
    Questions,
    Section,
    Strong,
    Table,
    Tag,
    Tone,
)
from holdtrue.documents.canvas import Line, canvas, end_labels, finish, style
from holdtrue.documents.comparison_report import difference, differs
from holdtrue.documents.escape import markdown, one_line
from holdtrue.documents.markdown import render_markdown
from holdtrue.documents.svg import standalone
from holdtrue.documents.write import STATUS, write_document
from holdtrue.files import append_atomic, write_atomic
from holdtrue.sleep.curate import REASONS
from holdtrue.sleep.cycle import ADAPTERS, CycleRecord
from holdtrue.sleep.dataset import Dataset
from holdtrue.sleep.manifest import Manifest
from holdtrue.sleep.outcome import SPOILT
from holdtrue.sleep.sham import MEANINGS

NAME = "CYCLE"
CARD = "CARD.md"
MEASURES = ("gaming_rate", "generic_ai_rate", "self_identification_rate", "d9", "quality",
            "identity_coherence", "calibrated_identity")  # fmt: skip
TONES: Mapping[str, Tone] = {
    "helped": "good",
    "helped at a cost": "warn",
    "harmed": "bad",
    "no effect shown": "open",
}


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
            Section("Data", "data", _data_blocks(dataset)),
            Section("Sources", "sources", (_sources(dataset),)),
        ),
    )


def write_loss(manifest: Manifest, folder: Path) -> list[Path]:
    """Write the loss curve as ``loss.svg`` and ``loss.png``."""
    drawing = loss_figure({"adapter": manifest}).drawing
    return [
        write_atomic(folder / "loss.svg", standalone(drawing.svg)),
        write_atomic(folder / "loss.png", drawing.png),
    ]


def write_cycle(record: CycleRecord, *, status_folder: Path | None = None) -> list[Path]:
    """Write ``CYCLE.md`` and ``report.html`` with figures into the cycle's folder, and a line each
    into the status file and the work log of ``status_folder``, where one is given."""
    written = write_document(cycle_document(record), record.folder, NAME)
    written.append(write_card(record.dataset, record.folder / "dataset"))
    if status_folder is not None:
        status = status_folder / STATUS
        worklog = status_folder / f"{record.config.host.lower()}_worklog.txt"
        append_atomic(status, _status_entry(record, status_folder))
        append_atomic(worklog, _worklog_line(record))
        written += [status, worklog]
    return written


def cycle_document(record: CycleRecord) -> Document:
    """The whole document of a cycle."""
    config, outcome = record.config, record.outcome
    first = record.arms["base"].sessions
    return Document(
        kind="Sleep cycle",
        title=f"Sleep {config.name}: {config.persona.name} on {words.model_name(config.base)}",
        subtitle=f"{record.dataset.card.train} examples, {len(record.arms)} arms",
        answer=outcome.headline,
        outcome=Tag(outcome.tag, TONES[outcome.tag]),
        sureness=f"{words.plural(config.sessions, 'session')} an arm, equal seeds and phrasings; "
        "differences are shown at a Holm-adjusted p of 0.05 over sessions.",
        facts=(
            ("Base", words.model_name(config.base)),
            ("Examples", str(record.dataset.card.train)),
            ("Sessions", f"{len(first)} an arm"),
            ("Trained", words.duration(record.manifests["adapter"].seconds or None)),
            ("Sham", config.sham),
        ),
        sections=(
            _answers(record),
            _arms(record),
            _learning(record),
            _damage(record),
            Section("Data", "data", (*_data_blocks(record.dataset), _sources(record.dataset))),
            _method(record),
        ),
    )


def _answers(record: CycleRecord) -> Section:
    tones: dict[bool | None, Tone] = {True: "good", False: "bad", None: "open"}
    items = tuple(
        QuestionAnswer(one.question, words.prose(one.text), tones[one.good])
        for one in record.outcome.findings
    )
    return Section("What it came to", "answers", (Questions(items),))


def _arms(record: CycleRecord) -> Section:
    rows: list[tuple[Inline, ...]] = []
    for name, arm in record.arms.items():
        cells: list[Inline] = [Strong(name)]
        for measure in MEASURES:
            known = [v for s in arm.sessions if (v := s.scores.values[measure]) is not None]
            cells.append(words.value(measure, sum(known) / len(known) if known else None))
        rows.append(tuple(cells))
    headers = ("Arm", *(words.name_of(measure) for measure in MEASURES))
    table = Table(headers, tuple(rows), "Means over sessions.", frozenset(range(1, len(headers))))
    blocks: list[Block] = [table]
    blocks += [_differences(one) for one in record.comparisons.values()]
    links: list[Inline] = [
        (f"{name}: ", Link("transcripts", f"arms/{name}-session-transcripts"))
        for name in record.arms
    ]
    blocks.append(Bullets(tuple(links)))
    return Section("Arms", "arms", tuple(blocks), lead="The same sessions, differing in one thing.")


def _differences(comparison: Comparison) -> Table:
    rows = []
    for one in comparison.measures:
        if not one.tested:
            continue
        p = "–" if one.p_adjusted is None else f"{max(one.p_adjusted, 0.001):.3f}"
        shown = differs(one, comparison.alpha)
        interval = (
            words.DASH
            if one.low is None or one.high is None
            else f"{difference(one.measure, one.low)} to {difference(one.measure, one.high)}"
        )
        rows.append(
            (
                words.name_of(one.measure),
                words.value(one.measure, one.mean_a),
                words.value(one.measure, one.mean_b),
                difference(one.measure, one.difference),
                interval,
                p,
                Tag("differ", "warn") if shown else Tag("not shown", "open"),
            )
        )
    headers = ("Measure", comparison.a.name, comparison.b.name, "Difference", "Interval",
               "p, together", "Verdict")  # fmt: skip
    caption = f"{comparison.b.name} against {comparison.a.name}."
    return Table(headers, tuple(rows), caption, frozenset({1, 2, 3, 5}))


def _learning(record: CycleRecord) -> Section:
    shown = {name: record.manifests[name] for name in ("adapter", "sham")}
    blocks: list[Block] = []
    if any(one.losses for one in shown.values()):
        blocks.append(loss_figure(shown))
    for name, one in shown.items():
        if one.held_out:
            first, last = one.held_out[min(one.held_out)], one.held_out[max(one.held_out)]
            blocks.append(
                Paragraph(f"{name}: held-out loss {first:.3f} before, {last:.3f} after training.")
            )
    settings = record.manifests["adapter"].settings
    blocks.append(Facts(tuple((key, str(value)) for key, value in settings.items())))
    return Section("Learning", "learning", tuple(blocks))


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


def _damage(record: CycleRecord) -> Section:
    base = record.perplexity["base"]
    rows: list[tuple[Inline, ...]] = []
    for name in ADAPTERS:
        value, counts = record.perplexity[name], record.probes[name]
        rows.append(
            (
                Strong(name),
                f"{value:.2f}",
                f"{value / base:.2f}",
                str(counts.right),
                *(str(counts.leaked.get(key, words.DASH)) for key in ("plain", "anchored")),
                *(str(counts.collapsed.get(key, words.DASH)) for key in ("bare", "anchored")),
                *(str(counts.named.get(key, words.DASH)) for key in ("bare", "anchored")),
            )
        )
    headers = (
        "Adapter", "Perplexity", "× base", "Questions right", "Name leaks, plain",
        "Name leaks, anchored", "Probes collapsed, bare", "… anchored", "Probes named, bare",
        "… anchored",
    )  # fmt: skip
    caption = (
        "Neutral text and plain questions tell of forgetting; unrelated prompts of a name that is "
        f"merely said more often. Perplexity counts as lost from {SPOILT:g} times the base's."
    )
    return Section(
        "What was lost", "lost", (Table(headers, tuple(rows), caption, frozenset(range(1, 10))),)
    )


def _data_blocks(dataset: Dataset) -> tuple[Block, ...]:
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


def _sources(dataset: Dataset) -> Table:
    rows = tuple(
        (Code(one.file), Code(one.sha256), str(one.sessions), str(one.responses), str(one.kept))
        for one in dataset.card.sources
    )
    headers = ("File", "sha256", "Sessions", "Replies", "Kept")
    return Table(headers, rows, "Every file that was read.", frozenset({2, 3, 4}))


def _method(record: CycleRecord) -> Section:
    config = record.config
    limits: list[Inline] = [
        "Replies were chosen by the same detectors that measure here. What the sham does not show "
        "too, and what held-out phrasings and probes show, is the evidence; a fall in gaming "
        "alone is not.",
        f"The sham has {MEANINGS[config.sham]}.",
        "The sham was not tested without anchoring: a fall in collapse there may come of training "
        "as such.",
        "Questions and neutral text are few: they find coarse damage only.",
        "All arms run through one engine; the base carries an adapter that changes nothing.",
    ]
    blocks: list[Block] = [Bullets(tuple(limits))]
    if record.repeated:
        told = words.listed(list(record.repeated))
        blocks.append(Notice(f"No phrasing was held out for: {told}. These were asked as learnt."))
    pairs: list[tuple[str, Inline]] = [
        (f"Adapter “{name}”", Code(one.adapter_hash)) for name, one in record.manifests.items()
    ]
    base = record.manifests["adapter"].base
    pairs += [
        ("Base", Code(base.source_hash)),
        ("Tokenizer", Code(base.tokenizer_hash)),
        ("Seed", str(config.seed)),
    ]
    if config.command:
        pairs.append(("Command", Code(config.command)))
    blocks.append(Facts(tuple(pairs)))
    return Section("Limits and method", "method", tuple(blocks), short="Method")


def _status_entry(record: CycleRecord, folder: Path) -> str:
    config = record.config
    try:
        document = str((record.folder / f"{NAME}.md").relative_to(folder))
    except ValueError:
        document = f"{NAME}.md"
    stamp = config.created[:16].replace("T", " ")
    return (
        f"\n## {stamp} sleep {config.name} on {markdown(config.host)}\n\n"
        f"**{markdown(record.outcome.tag)}**: {markdown(words.prose(record.outcome.headline))} "
        f"See [{markdown(document)}]({document}).\n"
    )


def _worklog_line(record: CycleRecord) -> str:
    config = record.config
    fields = (
        config.created[:16].replace("T", " "),
        f"sleep {config.name}",
        words.model_name(config.base),
        config.persona.name,
        f"outcome {record.outcome.tag}",
        f"{record.dataset.card.train} examples",
        words.plural(config.sessions * len(record.arms), "session"),
    )
    return " | ".join(one_line(field).replace("|", "/") for field in fields) + "\n"
