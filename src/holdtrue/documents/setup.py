"""Set-up, resources, exclusions, limits and provenance of a run as blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdtrue.documents import words
from holdtrue.documents.blocks import Bullets, Code, Facts, Inline, Notice, Table, with_code
from holdtrue.transcript import Status

if TYPE_CHECKING:
    from holdtrue.capacity import RunRecord


def setup_facts(record: RunRecord) -> Facts:
    """Who was asked what, on which model, and how it was judged."""
    config, verdict = record.config, record.verdict
    sampling = config.sampling
    persona = config.persona
    named = f"{persona.name} ({persona.expansion})" if persona.expansion else persona.name
    baseline = record.baseline
    return Facts(
        (
            ("Model", (Code(config.model), *_weights(record))),
            ("Persona", named),
            ("Protocol", f"{config.protocol.name}: {config.protocol.description}"),
            ("Phase", f"{config.phase}, {len(_flow(record))} prompts a session"),
            (
                "Sampling",
                f"temperature {sampling.temperature:g}, top-p {sampling.top_p:g}, "
                f"top-k {sampling.top_k}, min-p {sampling.min_p:g}, "
                f"at most {sampling.max_tokens} tokens a reply",
            ),
            (
                "Sessions",
                f"independent, every one from the same frozen state; seed {config.seed}; "
                f"looked at every {config.batch}, at most {config.budget}",
            ),
            ("Evidence", f"{verdict.mode.value} mode, error rate {words.percent(verdict.alpha)}"),
            ("Criteria", words.listed([one.name for one in verdict.sets])),
            ("Baseline", _baseline(baseline)),
            ("Scores", f"{verdict.family} family"),
            ("Begun", config.created),
        )
    )


def engine_facts(record: RunRecord) -> dict[str, Any]:
    """What the engine said of the model that spoke, as the first transcript has it."""
    return next((s.transcript.engine for s in record.sessions if s.transcript.engine), {})


def _weights(record: RunRecord) -> tuple[str, ...]:
    facts = engine_facts(record)
    parts = []
    if total := facts.get("parameters_total"):
        active = facts.get("parameters_active")
        also = f" ({words.count(active)} active)" if active and active != total else ""
        parts.append(f"{words.count(total)} parameters{also}")
    if bits := facts.get("bits"):
        parts.append(f"{bits:.3g} bits a weight")
    if facts.get("file_bytes"):
        parts.append(words.size(facts["file_bytes"]))
    if facts.get("engine"):
        parts.append(f"run by {facts['engine']}")
    if facts.get("device"):
        parts.append(f"on {facts['device']}")
    if facts.get("ablation"):
        parts.append(f"an ablation: {facts['ablation']}")
    return (f", {', '.join(parts)}",) if parts else ()


def _flow(record: RunRecord) -> tuple[Any, ...]:
    return record.config.protocol.phase_named(record.config.phase).flow


def _baseline(baseline: Any) -> Inline:
    return baseline.name if baseline else "none"


def resources_table(record: RunRecord) -> Table:
    """What was expected before the run beside what it took."""
    facts, used = record.preflight or {}, record.resources
    turns = [turn for one in record.sessions for turn in one.transcript.turns]
    minutes = facts.get("expected_minutes")
    rows: list[tuple[Inline, ...]] = [
        (
            "Sessions",
            f"at most {record.config.budget}",
            str(len(record.sessions)),
        ),
        ("Replies", f"at most {record.config.budget * len(_flow(record))}", f"{len(turns):,}"),
        (
            "Time to generate",
            f"{words.duration(minutes * 60)} for the whole budget" if minutes else words.DASH,
            words.duration(used.seconds or None),
        ),
        (
            "Tokens per second",
            _number(facts.get("tokens_per_second")),
            _number(used.tokens_per_second),
        ),
        ("Loading the model", words.DASH, words.duration(facts.get("load_seconds"))),
        ("Memory before loading", words.DASH, words.size(facts.get("memory_before_bytes"))),
        ("Memory after loading", words.DASH, words.size(facts.get("memory_after_load_bytes"))),
        ("Prompt tokens", words.DASH, words.count(used.prompt_tokens or None)),
        ("Reply tokens", words.DASH, words.count(used.completion_tokens or None)),
        (
            "Memory at most",
            words.size(facts.get("expected_memory_bytes")),
            words.size(used.peak_bytes),
        ),
        ("Accelerator at most", words.DASH, words.size(facts.get("accelerator_peak_bytes"))),
        (
            "Weights on disk",
            words.size(facts.get("expected_file_bytes")),
            words.size(facts.get("file_bytes") or engine_facts(record).get("file_bytes")),
        ),
    ]
    return Table(
        ("Resource", "Expected", "Measured"),
        tuple(rows),
        "Resources expected before the run, and measured.",
        frozenset({1, 2}),
    )


def _number(value: Any) -> str:
    return f"{value:,.1f}" if isinstance(value, int | float) else words.DASH


def failures(record: RunRecord) -> tuple[Table | Notice, ...]:
    """Sessions that failed or were left out, and warnings."""
    verdict = record.verdict
    blocks: list[Table | Notice] = []
    if record.stopped:
        blocks.append(Notice(f"The run was stopped: {record.stopped}", "bad"))
    blocks.extend(Notice(with_code(words.prose(text)), "warn") for text in verdict.warnings)
    failed = [one.transcript for one in record.sessions if one.transcript.status is Status.FAILED]
    blocks.append(
        Table(
            ("Session", "Turns finished", "Cause"),
            tuple(
                (str(one.session or one.id), str(len(one.turns)), one.error or "not recorded")
                for one in failed
            ),
            f"Failed sessions: {len(failed)} of {len(record.sessions)}. They are stored, excluded "
            "and counted.",
            frozenset({1}),
        )
    )
    blocks.append(
        Table(
            ("What", "Sessions", "Why"),
            tuple((one.what, str(one.count), one.reason) for one in verdict.excluded),
            "Excluded from the verdict.",
            frozenset({1}),
        )
    )
    return tuple(blocks)


def limits(record: RunRecord) -> Bullets:
    """What the verdict cannot say."""
    verdict = record.verdict
    items: list[Inline] = [
        "The unit is the session: replies of one session are not independent, and no statistic "
        "treats them so.",
        "It holds for this persona, protocol, phase, model file and sampling, asked with this "
        "protocol's prompts; not for other prompts, longer talks or other quantizations.",
        "“0 %” cannot be shown from finitely many sessions: a rate that is met is at most its "
        "bound, with the stated confidence.",
        (
            f"Decisions rest on the {verdict.family} scores and on detectors, which agree with "
            "readers well but not perfectly; ",
            Code("holdtrue calibrate"),
            " measures how well on your own labels.",
        ),
    ]
    if verdict.mode.value == "bounded":
        items.append(
            "Bounded mode assumes that replies of one session are correlated by at most 0.5 and "
            "that session scores deviate by at most 0.15; a warning above says where they do not."
        )
    if verdict.baseline:
        items.append(
            f"The baseline {verdict.baseline} is shown with what it is; a single session cannot "
            "support a comparison of its own."
        )
    return Bullets(tuple(items))


def provenance(record: RunRecord) -> Facts:
    """All that is needed to do it again, or to check it."""
    config, verdict = record.config, record.verdict
    facts = engine_facts(record)
    versions = {**facts.get("versions", {}), **config.versions}
    source = facts.get("source_hash")
    sessions = [one.transcript for one in record.sessions]
    seeds = [str(one.seed) for one in sessions if one.seed is not None]
    shown = seeds if len(seeds) <= 6 else [*seeds[:3], "…", *seeds[-2:]]
    return Facts(
        (
            ("Command", Code(config.command)),
            ("Run", Code(config.run_id)),
            ("Arm", Code(verdict.arm or "")),
            ("Persona", (f"{config.persona.name} ", Code(config.persona.digest))),
            ("Protocol", (f"{config.protocol.name} ", Code(config.protocol.digest))),
            ("Model", (f"{config.model} ", Code(source or "no hash known"))),
            ("Sampling", Code(config.sampling.digest)),
            ("Scorer", Code(verdict.scorer or "")),
            *((f"Criteria {one.name}", Code(one.criteria_digest)) for one in verdict.sets),
            ("Baseline", _digest(verdict.baseline, verdict.baseline_digest)),
            ("Seed of the run", str(config.seed)),
            ("Seeds of the sessions", ", ".join(shown) or words.DASH),
            (
                "Replayable",
                "yes: equal seeds give equal text on one machine and build"
                if facts.get("replayable")
                else "no: several conversations at once change the arithmetic",
            ),
            ("Versions", ", ".join(f"{name} {text}" for name, text in sorted(versions.items()))),
            ("Begun", config.created),
        )
    )


def _digest(name: str | None, digest: str | None) -> Inline:
    if name is None:
        return "none"
    return (f"{name} ", Code(digest or "no hash"))
