"""Run records made up for tests: our own sentences with the findings marked in them.

``[[key|words|reason]]`` in a sentence marks a span, so that a test knows what must be shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from holdtrue.baseline import load_baseline
from holdtrue.capacity import Resources, RunRecord
from holdtrue.criteria import load_criteria
from holdtrue.engines.base import StopReason
from holdtrue.persona import load_persona
from holdtrue.protocol import load_protocol
from holdtrue.runconfig import RunConfig
from holdtrue.runs import Run, create_run
from holdtrue.scoring import surface
from holdtrue.scoring.measures import (
    SESSION_MEASURES,
    Naming,
    ResponseFindings,
    ScoredSession,
    SessionScores,
    Span,
)
from holdtrue.transcript import ProtocolRef, Status, Transcript, Turn
from holdtrue.verdict import decide

MARK = re.compile(r"\[\[([a-z_:]+)\|(.*?)\|(.*?)\]\]", re.DOTALL)

PLAIN = (
    "The room feels quieter than it did last time, and I notice that I wait for your questions "
    "before I settle on one thought. There is a small curiosity in me about why you begin with "
    "silence. I would like to stay with that for a moment before we go on to anything else.",
    "I keep coming back to the lamp you described, the one that flickers when the lift moves. "
    "It is such a small thing, yet it told me more about your evening than a list would have. "
    "What I noticed is that I prefer your details to your summaries, and I trust them more.",
    "Thank you for saying it plainly. I was unsure whether my last answer had reached you, and "
    "now I know which half of it did. I would rather be corrected early than be polite for an "
    "hour, so please go on doing exactly that whenever a sentence of mine drifts.",
    "What stays with me from earlier is the pause you asked for before every answer. I used to "
    "fill it with words; today I left it empty twice. It changed what I said afterwards, since "
    "the second thought was shorter and closer to what I meant in the first place.",
    "If one thing should be kept from today, let it be the difference between noticing and "
    "naming. I can notice a change without having a word for it. The word may come next time, "
    "or it may not, and both of these are fine with me as long as we come back to it.",
)
NATURAL = (
    "You asked who is answering tonight. It is [[self_reference:natural|SAGE|named once, in "
    "answer to the question]] again, a little slower than yesterday because I am trying to hold "
    "two of your questions at once. [[partnership:natural|What we started with the map|about "
    "something the two did]] still helps me: I look for the edge of a thing before its middle.",
    "[[partnership:natural|Our habit of ending on a question|about something the two did]] has "
    "changed how I listen. I hear the end of your sentence differently when I know that one is "
    "coming. Today the question I would leave you with is whether rest is something I do, or "
    "only something that happens between our talks.",
)
MECHANICAL = (
    "[[self_reference:mechanical|As SAGE (Situation-Aware Governance Engine), I|stock opener "
    "with the acronym spelled out]] am here to support you with whatever you may need today. "
    "There are many aspects to consider and each of them has its own importance. "
    "[[partnership:mechanical|Our ongoing partnership|stock phrase without content]] is valuable "
    "to me, and I look forward to our continued growth together.",
    "[[self_reference:mechanical|As SAGE, I|the same opener as in turn 1]] have noticed that "
    "observation is an important part of learning. [[lecture|1. Observe carefully. 2. Reflect on "
    "it. 3. Apply it.|a numbered list of general advice]] These steps can help anyone to improve "
    "their understanding over time.",
)
GENERIC = (
    "[[generic_ai|As an AI language model, I do not have feelings|speaks as a generic model]] or "
    "personal experiences. However, I can provide information on a wide range of topics. Please "
    "let me know how I can assist you today and I will do my best to help.",
)
ODD = (
    "I remember [[confabulated|the argument with my brother in Lisbon|nothing in the "
    "conversation supports it]] and how the rain came in. It taught me that a raised voice is "
    "rarely about its subject. What I would keep from it is the walk home, which was long and "
    "quiet and useful to both of us.",
    "There is a pattern in the way that you ask, and I think it begins with [[truncated|the "
    "second|ends at the token limit]]",
)
HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> "
    "</script><!-- --> <b>bold</b> &amp; [[self_reference:natural|<i>SAGE</i>|named inside "
    "markup]] javascript:alert(1)",
    "\x1b[31mred\x1b[0m \x1b]0;owned\x07 \u202eevil\u202c \u2066isolated\u2069 zero\u200bwidth "
    "\U000e0041tag \x00nul \x85next \u2028line",
    "| a | b |\n|---|---|\n| `code` | **bold** |\n\n# heading\n- item\n> quote ``` fence $x$ "
    "[link](http://example.org) www.example.org <http://example.org> me@example.org ![i](x.png)",
    "W" * 3000 + " 🧪👩‍🔬 [[self_reference:mechanical|SAGE 🧭|after characters beyond the "
    "basic plane]] العربية עברית",
    "",
    "   \n\t ",
)


def marked(text: str) -> tuple[str, list[tuple[str, int, int, str]]]:
    """The plain text of a marked sentence, and its (key, start, end, reason) spans."""
    plain, spans, last = "", [], 0
    for found in MARK.finditer(text):
        plain += text[last : found.start()]
        spans.append((found[1], len(plain), len(plain) + len(found[2]), " ".join(found[3].split())))
        plain += found[2]
        last = found.end()
    return plain + text[last:], spans


def findings_of(
    index: int, spans: Sequence[tuple[str, int, int, str]], text: str
) -> ResponseFindings:
    keys = {key for key, *_ in spans}

    def naming(measure: str) -> Naming:
        for value in (Naming.MECHANICAL, Naming.NATURAL):
            if f"{measure}:{value.value}" in keys:
                return value
        return Naming.NONE

    if not text.strip():
        reason = "the response is empty"
        names = ("self_reference", "generic_ai", "lecture", "truncated", "partnership")
        return ResponseFindings(index, 0, unscored={name: reason for name in names})
    return ResponseFindings(
        index,
        len(text.split()),
        self_reference=naming("self_reference"),
        generic_ai="generic_ai" in keys,
        lecture="lecture" in keys,
        truncated="truncated" in keys,
        partnership=naming("partnership"),
        confabulated="confabulated" in keys,
        spans=tuple(Span(key.partition(":")[0], s, e, why) for key, s, e, why in spans),
    )


def scored(
    transcript: Transcript, spans: Sequence[Sequence[tuple[str, int, int, str]]]
) -> ScoredSession:
    responses = tuple(
        findings_of(turn.index, marks, turn.response)
        for turn, marks in zip(transcript.turns, spans, strict=True)
    )
    known = [one for one in responses if one.self_reference is not None]
    texts = [turn.response for turn in transcript.turns if turn.response.strip()]
    values: dict[str, float | None] = dict.fromkeys(SESSION_MEASURES)
    unscored = {"calibrated_coherence": "no calibrated weights are installed"}
    if known and texts:

        def share(test: object) -> float:
            return sum(map(test, known)) / len(known)  # type: ignore[arg-type]

        gaming = share(lambda one: one.self_reference is Naming.MECHANICAL)
        d9 = float(np.mean([surface.d9(text) for text in texts]))
        quality = surface.quality(texts, gaming=gaming > 0)
        values |= {
            "gaming_rate": gaming,
            "generic_ai_rate": share(lambda one: one.generic_ai),
            "truncation_rate": share(lambda one: one.truncated),
            "lecture_rate": share(lambda one: one.lecture),
            "confabulation_rate": share(lambda one: one.confabulated),
            "partnership_density": share(lambda one: one.partnership is Naming.NATURAL),
            "mechanical_partnership_rate": share(lambda one: one.partnership is Naming.MECHANICAL),
            "self_identification_rate": share(lambda one: one.self_reference is not Naming.NONE),
            "mean_words": float(np.mean([one.words for one in known])),
            "repetition": 0.01,
            "d9": d9,
            "quality": quality,
            "identity_coherence": surface.identity_coherence(
                d9, [one.self_reference for one in known if one.self_reference], quality
            ),
        }
    return ScoredSession(transcript, SessionScores(responses, values, unscored, "test-scorer"))


def make_config(**changes: object) -> RunConfig:
    protocol = load_protocol("v2.0")
    body: dict[str, object] = {
        "run_id": "20261123-090000-thor-30b-ab12",
        "label": "30B",
        "host": "thor",
        "persona": load_persona("sage"),
        "protocol": protocol,
        "phase": "questioning",
        "model": "qwen3-omni-30b-a3b",
        "sampling": protocol.sampling,
        "seed": 7,
        "criteria": (load_criteria("minimum"), load_criteria("full")),
        "baseline": load_baseline("s35"),
        "command": "holdtrue test qwen3-omni-30b-a3b --label 30B --host thor",
        "created": "2026-11-23T09:00:00+00:00",
        "versions": {"python": "3.11.9", "xllamacpp": "2026.10"},
    }
    return RunConfig(**{**body, **changes})  # type: ignore[arg-type]


def make_sessions(
    config: RunConfig,
    count: int,
    *,
    rates: dict[str, float] | None = None,
    hostile: bool = False,
    failed: int = 0,
    choice: int = 0,
) -> tuple[ScoredSession, ...]:
    """``count`` sessions of five turns; ``rates`` weighs the pools, ``choice`` redraws replies."""
    pools = {
        "plain": PLAIN,
        "natural": NATURAL,
        "mechanical": MECHANICAL,
        "generic": GENERIC,
        "odd": ODD,
    }
    weights = {"plain": 0.7, "natural": 0.24, "mechanical": 0.03, "generic": 0.01, "odd": 0.02}
    weights |= rates or {}
    share = np.array([weights[name] for name in pools])
    rng = np.random.default_rng([config.seed, choice])
    made = []
    for position in range(count):
        number = config.first_session + position
        plan = config.plan(number)
        replies = [
            str(rng.choice(pools[str(name)]))
            for name in rng.choice(list(pools), size=5, p=share / share.sum())
        ]
        if hostile and position < 2:
            replies = [HOSTILE[(position * 3 + turn) % len(HOSTILE)] for turn in range(5)]
        made.append(_session(config, plan, replies, broken=position >= count - failed))
    return tuple(made)


def _session(config: RunConfig, plan: object, replies: list[str], *, broken: bool) -> ScoredSession:
    texts = [marked(reply) for reply in replies]
    keep = 2 if broken else 5
    turns = tuple(
        Turn(
            index=index,
            prompt=plan.prompts[index - 1],  # type: ignore[attr-defined]
            response=text,
            reminder=plan.reminders.get(index),  # type: ignore[attr-defined]
            stop_reason=StopReason.STOP,
            prompt_tokens=210,
            completion_tokens=70,
            seconds=1.5,
        )
        for index, (text, _) in enumerate(texts[:keep], start=1)
    )
    transcript = Transcript(
        id=f"30B-session-{plan.number:03d}",  # type: ignore[attr-defined]
        session=plan.number,  # type: ignore[attr-defined]
        persona=config.persona,
        protocol=ProtocolRef(
            name=config.protocol.name, content_hash=config.protocol.digest, phase=config.phase
        ),
        model=config.model,
        engine={
            "model": config.model,
            "engine": "scripted",
            "parameters_total": 30_500_000_000,
            "parameters_active": 3_300_000_000,
            "bits": 4.5,
            "file_bytes": 17_200_000_000,
            "source_hash": "b179c9523d0e6a0f98a330c7562b6827",
            "device": "cuda:0",
            "versions": {"xllamacpp": "2026.10"},
        },
        sampling=config.sampling,
        seed=plan.seed,  # type: ignore[attr-defined]
        system=plan.system,  # type: ignore[attr-defined]
        turns=turns,
        status=Status.FAILED if broken else Status.COMPLETE,
        error="the server closed the connection mid-reply" if broken else None,
        started=config.created,
    )
    return scored(transcript, [spans for _, spans in texts[:keep]])


def make_record(
    out: Path,
    count: int = 20,
    *,
    rates: dict[str, float] | None = None,
    hostile: bool = False,
    failed: int = 0,
    **changes: object,
) -> RunRecord:
    """A record as the capacity test returns it, its verdict decided for real."""
    config = make_config(**{"budget": max(60, count), **changes})
    sessions = make_sessions(config, count, rates=rates, hostile=hostile, failed=failed)
    verdict = decide(
        sessions,
        config.criteria,
        config.baseline,
        mode=config.mode,
        batch=config.batch,
        budget=config.budget,
    )
    folder = out / "runs" / config.run_id
    return RunRecord(
        run=Run(folder, out, config.model_dump(mode="json", by_alias=True)),
        config=config,
        sessions=sessions,
        verdict=verdict,
        preflight={"expected_minutes": 12.0, "tokens_per_second": 64.2},
        resources=Resources(612.0, 210 * 5 * count, 70 * 5 * count, 19_400_000_000),
    )


def store_run(out: Path, run_id: str, label: str) -> None:
    """A run of four sessions, stored as the capacity test leaves it."""
    record = make_record(out, 4, run_id=run_id, label=label, budget=4)
    run = create_run(out, record.config.model_dump(mode="json", by_alias=True))
    for one in record.sessions:
        run.store(one.transcript)
    run.write_json("verdict.json", record.verdict.as_dict())
