"""The capacity test's document: what each section holds, in the order of reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdtrue.documents import capacity_figures, results, setup, transcript_data, words
from holdtrue.documents.blocks import (
    Block,
    Bullets,
    Code,
    Document,
    Figure,
    Paragraph,
    Section,
    Transcripts,
    with_code,
)

if TYPE_CHECKING:
    from holdtrue.capacity import RunRecord


def capacity_document(record: RunRecord) -> Document:
    """The whole analysis of a run, to be rendered as Markdown or as a page."""
    verdict, config = record.verdict, record.config
    mark, tag = results.outcome(verdict)
    return Document(
        kind="Capacity test",
        title=f"Capacity test of {config.label} on {config.host}",
        subtitle=f"{config.persona.name} on {words.model_name(config.model)}, "
        f"protocol {config.protocol.name}",
        answer=results.answer(record),
        outcome=tag,
        mark=mark,
        sureness=results.sureness(record),
        meaning=with_code(words.prose(verdict.meaning)),
        next_step=with_code(words.prose(verdict.next_step)),
        tiles=results.tiles(record),
        facts=_strip(record),
        sections=(
            _criteria(record),
            _evidence(record),
            _measures(record),
            _spread(record),
            _questions(record),
            _resources(record),
            _transcripts(record),
            _failures(record),
            _method(record),
        ),
    )


def _strip(record: RunRecord) -> tuple[tuple[str, str], ...]:
    verdict, used = record.verdict, record.resources
    replies = words.plural(verdict.responses, "reply", "replies")
    return (
        ("Sessions", f"{verdict.sessions} ({replies})"),
        *((f"“{one.name.capitalize()}”", one.decision.value) for one in verdict.sets),
        ("Baseline", verdict.baseline or "none"),
        ("Took", words.duration(used.seconds or None)),
        ("Memory", words.size(used.peak_bytes)),
        ("Run", record.config.created[:16].replace("T", " ") or record.config.run_id),
    )


def _kept(*blocks: Block | None) -> tuple[Block, ...]:
    return tuple(block for block in blocks if block is not None)


def _criteria(record: RunRecord) -> Section:
    main = results.main_set(record.verdict)
    tables = [
        results.criteria_table(record, one)
        for one in sorted(record.verdict.sets, key=lambda one: one is not main)
    ]
    return Section(
        "Criteria",
        "criteria",
        _kept(
            capacity_figures.criteria_figure(record),
            results.set_table(record),
            *tables,
            Paragraph(results.criteria_key(record)),
            *results.criteria_notes(main),
        ),
        lead="A set is met when each of its criteria is; it is not met when the criteria's "
        "evidence says so together.",
    )


def _evidence(record: RunRecord) -> Section:
    figure: Figure | None = capacity_figures.evidence_figure(record)
    return Section(
        "Evidence over sessions",
        "evidence",
        _kept(figure or Paragraph("There has been no look at the evidence yet.")),
        lead="When was it decided? The evidence may be looked at after every batch, and sessions "
        "may be added at any time, without changing the error rates.",
        short="Evidence",
    )


def _measures(record: RunRecord) -> Section:
    baseline = record.verdict.baseline
    lead = (
        f"This run beside {baseline}. What is not a criterion is watched for new failures."
        if baseline
        else "No baseline was given, so nothing is compared."
    )
    notes = record.baseline.notes if record.baseline else ()
    return Section(
        "Measures against the baseline",
        "measures",
        _kept(
            results.measures_table(record),
            Bullets(tuple(words.prose(note) for note in notes)) if notes else None,
        ),
        lead=lead,
        short="Measures",
    )


def _spread(record: RunRecord) -> Section:
    drift = capacity_figures.drift_figure(record)
    return Section(
        "Sessions and turns",
        "sessions-and-turns",
        _kept(
            capacity_figures.distribution_figure(record)
            or Paragraph("No session has a score, so there is nothing to spread."),
            drift or Paragraph("Sessions of a single turn cannot drift."),
        ),
        lead="How sessions differ, and what changes from the first turn to the last.",
        short="Spread and drift",
    )


def _questions(record: RunRecord) -> Section:
    return Section(
        "The questions",
        "questions",
        (results.questions(record),)
        if record.verdict.questions
        else (Paragraph("The verdict holds no questions."),),
        lead="What this run answers, and what it leaves open.",
        short="Questions",
    )


def _resources(record: RunRecord) -> Section:
    return Section(
        "Set-up and resources",
        "resources",
        (setup.setup_facts(record), setup.resources_table(record)),
        short="Resources",
    )


def _transcripts(record: RunRecord) -> Section:
    arm = f"{words.model_name(record.config.model)}, {record.config.protocol.name}"
    return Section(
        "Transcripts",
        "transcripts",
        (
            Transcripts(
                transcript_data.transcript_data({arm: record.sessions}),
                (
                    transcript_data.session_table(record.sessions),
                    transcript_data.response_table(record.sessions),
                ),
            ),
        ),
        lead="Every reply, with what the detectors found and why.",
    )


def _failures(record: RunRecord) -> Section:
    return Section(
        "Failures, exclusions and warnings", "failures", setup.failures(record), short="Failures"
    )


def _method(record: RunRecord) -> Section:
    return Section(
        "Limits, method and provenance",
        "method",
        (setup.limits(record), setup.provenance(record)),
        lead=(
            "What this verdict does not say, and all that is needed to check it: ",
            Code("holdtrue verify"),
            " recomputes it from the transcripts.",
        ),
        short="Method",
    )
