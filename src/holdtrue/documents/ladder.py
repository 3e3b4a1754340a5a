"""The document of a ladder: the smallest rung that holds, and every measure over scale.

Presentation only: what was found and what may be said stand in ``holdtrue.ladder``.
"""

from __future__ import annotations

from pathlib import Path

from holdtrue.documents import words
from holdtrue.documents.blocks import (
    Block,
    Bullets,
    Code,
    Document,
    Facts,
    Inline,
    Notice,
    Paragraph,
    QuestionAnswer,
    Questions,
    Section,
    Strong,
    Table,
    Tag,
)
from holdtrue.documents.ladder_csv import ladder_csv
from holdtrue.documents.ladder_tables import ORDERS, TONES, curve_table, rung_table, scale_figure
from holdtrue.documents.provenance import Pairs, made_by, model_origin
from holdtrue.documents.write import write_document
from holdtrue.files import write_atomic
from holdtrue.ladder import answers
from holdtrue.ladder.plan import Ladder
from holdtrue.ladder.results import LadderResult, RungResult
from holdtrue.ladder.search import Standing
from holdtrue.ladder.state import LadderFolder
from holdtrue.runconfig import installed_versions
from holdtrue.scoring.score import scorer_version

NAME = "LADDER"
CSV = "ladder.csv"


def write_ladder(result: LadderResult, folder: LadderFolder) -> list[Path]:
    """Write ``LADDER.md``, ``report.html``, figures and ``ladder.csv`` into the ladder's folder.

    Raises WorkspaceError when a file cannot be written.
    """
    document = ladder_document(result, created=folder.created, command=folder.command)
    table = write_atomic(folder.path / CSV, ladder_csv(result))
    return [*write_document(document, folder.path, NAME), table]


def ladder_document(result: LadderResult, *, created: str = "", command: str = "") -> Document:
    """The whole document of a ladder."""
    ladder, best = result.ladder, result.smallest
    tested = [one for one in result.results.values() if one.sessions]
    outcome = Tag(best.name, "good") if best else Tag("none confirmed", "open")
    return Document(
        kind="Ladder",
        title=f"The smallest that holds {ladder.persona.name}: {ladder.name}",
        subtitle=f"{ladder.persona.name} on {words.plural(len(ladder.rungs), 'rung')}, criteria "
        f"“{ladder.criteria.name}”",
        answer=answers.headline(result),
        outcome=outcome,
        sureness=answers.sureness(result),
        facts=(
            ("Rungs", f"{len(result.results)} of {len(ladder.rungs)} tested"),
            ("Sessions", str(sum(one.sessions for one in tested))),
            ("Tokens", f"{sum(one.tokens for one in tested):,}"),
            ("Took", words.duration(sum(one.seconds for one in tested) or None)),
            ("Memory", words.size(max((one.peak_bytes or 0 for one in tested), default=0) or None)),
            ("Begun", created[:16].replace("T", " ") or words.DASH),
        ),
        sections=(
            _rungs(result),
            _curves(result),
            _questions(result),
            _resources(result),
            _method(result, command),
        ),
    )


def _rungs(result: LadderResult) -> Section:
    blocks: list[Block] = [rung_table(result)]
    if len(result.found) > 1:
        rows = tuple((Strong(track), text) for track, text in answers.track_lines(result))
        blocks.append(Table(("Track", "Smallest that holds"), rows, "What each track comes to."))
    if lines := answers.reversal_lines(result):
        blocks.append(Notice("Larger is not always better here:"))
        blocks.append(Bullets(tuple(words.prose(line) for line in lines)))
    elif len(result.results) > 1:
        blocks.append(Paragraph("No reversal was seen among the rungs that were tested."))
    return Section(
        "Rungs", "rungs", tuple(blocks), lead="Bottom-up; larger is not taken to be better."
    )


def _curves(result: LadderResult) -> Section:
    blocks: list[Block] = []
    if figure := scale_figure(result):
        blocks.append(figure)
    blocks.append(curve_table(result))
    sets = [one.name for one in (result.ladder.criteria, *result.ladder.also)]
    rows = [
        (
            Strong(rung.name),
            *(_decision(result.results.get(rung.name), name) for name in sets),
            known.outcome.value if (known := result.results[rung.name]).outcome else words.DASH,
        )
        for rung in result.ranked
        if rung.name in result.results
    ]
    headers = ("Rung", *(f"“{name}”" for name in sets), "Outcome so far")
    blocks.append(Table(headers, tuple(rows), "Criteria sets and outcome of each rung."))
    return Section("Measures over scale", "curves", tuple(blocks))


def _questions(result: LadderResult) -> Section:
    items = tuple(
        QuestionAnswer(one.question, words.prose(one.answer), "open" if one.open else "plain")
        for one in answers.answer_questions(result)
    )
    return Section("The four questions", "questions", (Questions(items),))


def _resources(result: LadderResult) -> Section:
    rows: list[tuple[Inline, ...]] = []
    for rung in result.ranked:
        known = result.results.get(rung.name)
        if known is None:
            continue
        rows.append(
            (
                Strong(rung.name),
                f"{known.prompt_tokens:,}" if known.prompt_tokens else words.DASH,
                f"{known.completion_tokens:,}" if known.completion_tokens else words.DASH,
                words.duration(known.seconds or None),
                words.size(known.peak_bytes),
                words.size(known.accelerator_bytes),
                words.size(known.facts.get("file_bytes")),
            )
        )
    headers = (
        "Rung",
        "Prompt tokens",
        "Reply tokens",
        "Time",
        "Peak memory",
        "Accelerator",
        "File",
    )
    caption = "What each rung took. Peak memory is that of the whole process while it ran."
    return Section(
        "Resources",
        "resources",
        (Table(headers, tuple(rows), caption, frozenset(range(1, 7))),),
    )


def _method(result: LadderResult, command: str) -> Section:
    ladder = result.ladder
    pairs: list[tuple[str, Inline]] = [
        ("Persona", f"{ladder.persona.name} ({ladder.persona.digest})"),
        ("Protocols", words.listed(sorted({rung.protocol.name for rung in ladder.rungs}))),
        ("Phase", ladder.phase),
        ("Criteria", f"{ladder.criteria.name} ({ladder.criteria.digest})"),
        ("Baseline", ladder.baseline.name if ladder.baseline else "none"),
        ("Sessions", f"at most {ladder.budget} a rung, looked at every {ladder.batch}"),
        ("Evidence", f"{ladder.mode} mode{_strict(ladder)}"),
        ("Seed", str(ladder.seed)),
        ("Order", ORDERS[ladder.cost]),
        ("Search", "every rung" if ladder.exhaustive else "up to the first rung that holds"),
    ]
    blocks: list[Block] = [Facts((*pairs, *_origin(result, command)))]
    if lines := answers.limits(result):
        blocks.append(Paragraph("What this ladder cannot claim:"))
        blocks.append(Bullets(tuple(words.prose(line) for line in lines)))
    if warned := _warnings(result):
        blocks.append(Bullets(tuple(words.prose(line) for line in warned)))
    return Section("Method and limits", "method", tuple(blocks))


def _origin(result: LadderResult, command: str) -> Pairs:
    """What the rungs were tested with, by content hash."""
    ladder = result.ladder
    protocols = {rung.protocol.name: rung.protocol.digest for rung in ladder.rungs}
    versions: dict[str, str] = {}
    pairs: Pairs = [(f"Protocol {name}", Code(digest)) for name, digest in protocols.items()]
    for rung in ladder.rungs:
        found = result.results.get(rung.name)
        if found is not None:
            versions |= found.facts.get("versions") or {}
            origin = model_origin(rung.model, found.facts.get("source_hash"))
            pairs.append((f"Rung {rung.name}", origin))
    if ladder.baseline:
        pairs.append((f"Baseline {ladder.baseline.name}", Code(ladder.baseline.digest)))
    pairs.append(("Scorer", Code(scorer_version())))
    return [*pairs, *made_by(command, {**versions, **installed_versions("numpy", "scipy")})]


def _warnings(result: LadderResult) -> list[str]:
    """The warnings of the rungs' verdicts, each once, with the rungs that it concerns."""
    found: dict[str, list[str]] = {}
    for name, one in result.results.items():
        for text in one.warnings:
            found.setdefault(text, []).append(name)
    every = len(result.results)
    return [
        text if len(names) == every else f"{words.listed(names)}: {text}"
        for text, names in found.items()
    ]


def _strict(ladder: Ladder) -> str:
    if not ladder.strict:
        return ""
    return f"; strict: met asks for an error rate of {100 * ladder.met_alpha:.2g} % a rung"


def _decision(known: RungResult | None, name: str) -> Inline:
    found = known.decisions.get(name) if known else None
    if found is None:
        return words.DASH
    return Tag(found.value, TONES[Standing(found.value)])
