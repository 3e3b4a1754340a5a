"""The short forms of a result: the moment file, the status entry and the work-log line."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import DictLoader, Environment, StrictUndefined, Template

from holdtrue.documents import results, words
from holdtrue.documents.blocks import Table, with_code
from holdtrue.documents.escape import markdown, markdown_code, one_line
from holdtrue.documents.markdown import inline, render_block
from holdtrue.documents.setup import engine_facts

if TYPE_CHECKING:
    from holdtrue.capacity import RunRecord


def moment(record: RunRecord, *, analysis: str) -> str:
    """The moment file: the answer, the criteria and what comes next, on one screen."""
    config, verdict = record.config, record.verdict
    return _moment_template().render(
        title=markdown(f"{_day(record)}: {config.label} on {config.host}"),
        answer=markdown(results.answer(record)),
        outcome=markdown(outcome(record)),
        sureness=markdown(results.sureness(record)),
        criteria=render_block(_short_table(record)),
        meaning=_said(verdict.meaning),
        next_step=_said(verdict.next_step),
        warnings=[_said(warning) for warning in verdict.warnings],
        analysis=analysis,
        transcripts=record.run.transcripts_folder.name,
        command=markdown_code(config.command),
        provenance=_provenance(record),
    )


def _provenance(record: RunRecord) -> str:
    """What the run was made with, by content hash, in one line."""
    config, verdict = record.config, record.verdict
    parts = [
        ("Run", record.run.id),
        (f"persona {config.persona.name}", config.persona.digest),
        (f"protocol {config.protocol.name}", config.protocol.digest),
        ("model", str(engine_facts(record).get("source_hash") or "no hash known")),
        ("scorer", verdict.scorer or "none"),
        *((f"criteria {one.name}", one.digest) for one in config.criteria),
        ("seed", str(config.seed)),
        ("holdtrue", config.versions.get("holdtrue", "version not recorded")),
    ]
    return ", ".join(f"{markdown(name)} {markdown_code(value)}" for name, value in parts) + "."


def status_entry(record: RunRecord, *, analysis: str) -> str:
    """An entry of LATEST_STATUS.md, which stands at the end of that file."""
    config = record.config
    sets = ", ".join(f"{one.name} {one.decision.value}" for one in record.verdict.sets)
    return (
        f"\n## {_stamp(record)} {markdown(config.label)} on {markdown(config.host)}\n\n"
        f"**{markdown(results.answer(record))}** Outcome {markdown(outcome(record))}; "
        f"{markdown(sets)}; {words.plural(record.verdict.sessions, 'session')}. "
        f"Next: {_said(record.verdict.next_step)} See [{analysis}]({analysis}), "
        f"run {markdown_code(record.run.id)}.\n"
    )


def worklog_line(record: RunRecord, *, analysis: str) -> str:
    """One line of plain text, whatever the names in it hold."""
    config, verdict = record.config, record.verdict
    fields = (
        _stamp(record),
        "test",
        config.label,
        words.model_name(config.model),
        f"{config.persona.name}/{config.protocol.name}",
        f"outcome {outcome(record)}",
        ", ".join(f"{one.name} {one.decision.value}" for one in verdict.sets),
        words.plural(verdict.sessions, "session"),
        words.duration(record.resources.seconds or None),
        analysis,
        record.run.id,
    )
    return " | ".join(one_line(field).replace("|", "/") for field in fields) + "\n"


def outcome(record: RunRecord) -> str:
    """The outcome as letter and name: *B (gaming persists)*, *inconclusive*."""
    mark, tag = results.outcome(record.verdict)
    return f"{mark} ({tag.text})" if mark.isalpha() else tag.text


def _said(text: str) -> str:
    """A sentence of the verdict as Markdown."""
    return inline(with_code(words.prose(text)))


def _short_table(record: RunRecord) -> Table:
    whole = results.criteria_table(record, results.main_set(record.verdict))
    return Table(
        whole.headers[:6],
        tuple(row[:6] for row in whole.rows),
        whole.caption,
        frozenset(column for column in whole.numeric if column < 6),
    )


def _day(record: RunRecord) -> str:
    return record.config.created[:10]


def _stamp(record: RunRecord) -> str:
    return record.config.created[:16].replace("T", " ")


@cache
def _moment_template() -> Template:
    text = (resources.files("holdtrue") / "data/templates/moment.md.j2").read_text("utf-8")
    environment = Environment(
        loader=DictLoader({"moment": text}),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # every value is escaped for Markdown before it comes here
    )
    return environment.get_template("moment")
