"""The document of a sleep cycle, and its lines in the status file and the work log.

Presentation only: what was found and what may be said stand in ``holdtrue.sleep``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from holdtrue.comparison import Comparison
from holdtrue.documents import transcript_data, words
from holdtrue.documents.blocks import (
    Block,
    Bullets,
    Code,
    Document,
    Facts,
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
    Transcripts,
    with_code,
)
from holdtrue.documents.comparison_report import difference, difference_figure, differs
from holdtrue.documents.escape import markdown, one_line
from holdtrue.documents.provenance import arm_origin, engine_versions, made_by
from holdtrue.documents.sleep_data import data_blocks, loss_figure, sources_table, write_card
from holdtrue.documents.write import STATUS, append_once, write_document
from holdtrue.sleep.cycle import ADAPTERS, CycleRecord
from holdtrue.sleep.outcome import SPOILT
from holdtrue.sleep.sham import MEANINGS

NAME = "CYCLE"
FIGURES = "figures"
MEASURES = ("gaming_rate", "generic_ai_rate", "self_identification_rate", "d9", "quality",
            "identity_coherence", "calibrated_identity")  # fmt: skip
TONES: Mapping[str, Tone] = {
    "helped": "good",
    "helped at a cost": "warn",
    "harmed": "bad",
    "no effect shown": "open",
}


def write_cycle(record: CycleRecord, *, status_folder: Path | None = None) -> list[Path]:
    """Write ``CYCLE.md`` and ``report.html`` with figures into the cycle's folder, and a line each
    into the status file and the work log of ``status_folder``, where one is given.

    A cycle stands there once, however often its documents are written. Raises WorkspaceError.
    """
    folder = record.folder
    written = write_document(cycle_document(record), folder, NAME, pictures=FIGURES)
    written.append(write_card(record.dataset, folder / "dataset"))
    if status_folder is not None:
        worklog = f"{record.config.host.lower()}_worklog.txt"
        written.append(append_once(status_folder, STATUS, _status_entry(record, status_folder)))
        written.append(append_once(status_folder, worklog, _worklog_line(record)))
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
        next_step=with_code(outcome.next_step),
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
            Section("Data", "data", (*data_blocks(record.dataset), sources_table(record.dataset))),
            _transcripts(record),
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
    if figure := difference_figure(record.comparisons["anchored"]):
        blocks.append(figure)
    blocks += [_differences(one) for one in record.comparisons.values()]
    return Section("Arms", "arms", tuple(blocks), lead="The same sessions, differing in one thing.")


def _transcripts(record: CycleRecord) -> Section:
    arms = {name: arm.sessions for name, arm in record.arms.items()}
    tables = tuple(
        transcript_data.session_table(sessions, caption=f"Sessions of {name}.")
        for name, sessions in arms.items()
    )
    links: list[Inline] = [
        (f"{name}: ", Link("files", f"arms/{record.arms[name].run.transcripts_folder.name}"))
        for name in arms
    ]
    return Section(
        "Transcripts",
        "transcripts",
        (Transcripts(transcript_data.transcript_data(arms), tables), Bullets(tuple(links))),
        lead="Every reply of every arm. Side by side shows the same seed and prompts under two.",
    )


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
        ("Dataset", Code(record.dataset.sha256)),
        ("Seed", str(config.seed)),
        ("Unanchored protocol", (f"{config.unanchored.name} ", Code(config.unanchored.digest))),
    ]
    versions: dict[str, str] = {}
    for name, arm in record.arms.items():
        pairs += arm_origin(f"Arm {name}", arm.sessions)
        versions |= engine_versions(arm.sessions)
    pairs += [(f"Criteria {one.name}", Code(one.digest)) for one in config.criteria]
    pairs.append(("Scorer", Code(record.arms["base"].verdict.scorer or "not recorded")))
    blocks.append(Facts((*pairs, *made_by(config.command, {**versions, **config.versions}))))
    return Section("Limits and method", "method", tuple(blocks), short="Method")


def _status_entry(record: CycleRecord, folder: Path) -> str:
    config = record.config
    try:
        place = (record.folder / f"{NAME}.md").resolve().relative_to(folder.resolve())
        document = place.as_posix()
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
