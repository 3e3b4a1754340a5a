"""The capacity test: sessions in batches, a look at the evidence after each, stop when decided.

It joins engine, runner, scoring and verdict. It writes no
document and prints nothing; an observer is told what happens.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from holdtrue.baseline import Baseline
from holdtrue.engines.base import Engine, EngineOptions
from holdtrue.engines.memory import peak_resident
from holdtrue.engines.preflight import Plan, Preflight, run_preflight
from holdtrue.engines.registry import open_engine
from holdtrue.errors import WorkspaceError
from holdtrue.files import inside
from holdtrue.runconfig import RunConfig, read_config
from holdtrue.runner import run_sessions
from holdtrue.runs import MANIFEST, Journal, Run
from holdtrue.scoring.measures import ScoredSession
from holdtrue.scoring.score import score_transcript, scorer_version
from holdtrue.session import SessionPlan
from holdtrue.transcript import Status, Transcript, Turn
from holdtrue.verdict import Verdict, decide
from holdtrue.verdict.glance import Glance, glance

FAILED_SHARE = 0.10
PREFLIGHT = "preflight.json"
RESOURCES = "resources.json"
VERDICT = "verdict.json"


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run took: wall seconds of generation, tokens, and the process's peak memory."""

    seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    peak_bytes: int | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """Completion tokens per wall second, all conversations together; None without either."""
        if not self.seconds or not self.completion_tokens:
            return None
        return self.completion_tokens / self.seconds


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run with everything computed of it: what documents are written from.

    ``stopped`` says why a run ended before a verdict or its budget, None otherwise.
    """

    run: Run
    config: RunConfig
    sessions: tuple[ScoredSession, ...]
    verdict: Verdict
    preflight: dict[str, Any] | None = None
    resources: Resources = field(default_factory=Resources)
    stopped: str | None = None

    @property
    def baseline(self) -> Baseline | None:
        return self.config.baseline


class Observer:
    """Is told what happens in a run. This one keeps silent; the command line's shows progress."""

    def preflight(self, facts: Preflight) -> None:
        """The model is loaded and has spoken."""

    def turn(self, plan: SessionPlan, turn: Turn) -> None:
        """A reply has come and is on disk."""

    def session(self, transcript: Transcript) -> None:
        """A session has ended and is on disk."""

    def look(self, glance: Glance) -> None:
        """The evidence was looked at after a batch."""


Source = Callable[[RunConfig, Run, int, Observer], AsyncGenerator[Transcript, None]]
"""Gives the transcripts of a run from session ``done`` (a count) on, in order, until closed."""


async def run_capacity(
    config: RunConfig,
    run: Run,
    options: EngineOptions,
    observer: Observer | None = None,
    *,
    source: Source | None = None,
) -> RunRecord:
    """Run the sessions that are still missing, until the verdict is decided or the budget spent.

    Sessions and turns that ``run`` already holds are not asked for again, so this is also how a
    run is resumed. ``source`` gives sessions that were held elsewhere; without one the model is
    loaded here. Raises EngineError when the model cannot be loaded, WorkspaceError when the run
    folder cannot be written.
    """
    watcher = observer or Observer()
    scored = [scored_session(transcript) for transcript in _prefix(run, config)]
    clock = _Clock(run)
    stopped = None
    if not _is_over(scored, _glance(scored, config).decided, config):
        give = source or partial(_here, options=options, clock=clock)
        if source is not None:
            clock.start()
        async with aclosing(give(config, run, len(scored), watcher)) as stream:
            async for transcript in stream:
                run.store(transcript)
                scored.append(scored_session(transcript))
                watcher.session(transcript)
                if len(scored) % config.batch and len(scored) < config.budget:
                    continue
                seen = _glance(scored, config)
                clock.store(scored)
                watcher.look(seen)
                stopped = _too_many_failures(scored, config)
                if stopped or _is_over(scored, seen.decided, config):
                    break
    verdict = judge_sessions(scored, config)
    clock.store(scored)
    run.write_json(VERDICT, verdict.as_dict())
    run.write_json(MANIFEST, manifest_of(run, scored))
    return RunRecord(
        run=run,
        config=config,
        sessions=tuple(scored),
        verdict=verdict,
        preflight=run.read_json(PREFLIGHT),
        resources=_stored_resources(run),
        stopped=stopped,
    )


async def _here(
    config: RunConfig,
    run: Run,
    done: int,
    watcher: Observer,
    *,
    options: EngineOptions,
    clock: _Clock,
) -> AsyncGenerator[Transcript, None]:
    """The missing sessions, held on a model that is loaded in this process."""
    async with open_engine(config.model, options) as engine:
        facts = await run_preflight(engine, _expected(config))
        run.write_json(PREFLIGHT, facts.as_dict())
        watcher.preflight(facts)
        clock.start()
        with Journal(run.journal_path) as journal:
            async with aclosing(_sessions(config, run, engine, done, journal, watcher)) as stream:
                async for transcript in stream:
                    yield transcript


def manifest_of(run: Run, scored: Sequence[ScoredSession]) -> dict[str, Any]:
    """The scorer, and hashes (sha256) of the transcripts and measurements of a run."""
    paths = [run.transcript_path(one.transcript.session or 0) for one in scored]
    kept = [run.folder / name for name in (PREFLIGHT, RESOURCES)]
    return {
        "scorer": scorer_version(),
        "transcripts": {path.name: _sha256(run, path) for path in paths},
        "measurements": {path.name: _sha256(run, path) for path in kept if path.is_file()},
    }


def _sha256(run: Run, path: Path) -> str:
    return hashlib.sha256(inside(run.out, path).read_bytes()).hexdigest()


def load_record(run: Run) -> RunRecord:
    """A stored run, scored and judged anew from its transcripts. Generates nothing."""
    config = read_config(run)
    scored = [scored_session(transcript) for transcript in _prefix(run, config)]
    return RunRecord(
        run=run,
        config=config,
        sessions=tuple(scored),
        verdict=judge_sessions(scored, config),
        preflight=run.read_json(PREFLIGHT),
        resources=_stored_resources(run),
        stopped=_too_many_failures(scored, config),
    )


def scored_session(transcript: Transcript) -> ScoredSession:
    """A transcript with its scores."""
    return ScoredSession(transcript, score_transcript(transcript))


def judge_sessions(scored: Sequence[ScoredSession], config: RunConfig) -> Verdict:
    """The verdict on these sessions by the run's criteria, baseline and mode."""
    return decide(
        scored,
        config.criteria,
        config.baseline,
        mode=config.mode,
        batch=config.batch,
        budget=config.budget,
        met_alpha=config.met_alpha,
    )


def _prefix(run: Run, config: RunConfig) -> Iterator[Transcript]:
    """Stored sessions up to the first gap: a verdict rests on a prefix, never on a selection."""
    stored = {transcript.session: transcript for transcript in run.transcripts()}
    for number in config.numbers:
        if number not in stored:
            return
        yield stored[number]


async def _sessions(
    config: RunConfig, run: Run, engine: Engine, done: int, journal: Journal, watcher: Observer
) -> AsyncGenerator[Transcript, None]:
    """The missing sessions in order.

    Where sessions share a processor, a batch is finished before the next begins, since work ahead
    of a decision would only slow it. An accelerator, a server, or cores of which each holds a
    session of its own are kept busy, and what runs ahead of a decision is dropped.
    """
    facts = engine.facts()
    ahead = not (facts.device or "").startswith("cpu") or facts.settings.get("slots") == 1
    groups = [config.numbers[done:]] if ahead else config.batches(done)
    finished = run.finished_turns()

    def on_turn(plan: SessionPlan, turn: Turn) -> None:
        journal.turn(plan, turn)
        watcher.turn(plan, turn)

    for numbers in groups:
        plans = map(config.plan, numbers)  # drawn one by one: a budget may be large
        async with aclosing(
            run_sessions(plans, engine, finished=finished, on_turn=on_turn)
        ) as stream:
            async for transcript in stream:
                yield transcript


def _glance(scored: Sequence[ScoredSession], config: RunConfig) -> Glance:
    """What is decided so far; the verdict itself is made once, at the end."""
    return glance(
        scored,
        config.criteria,
        config.baseline,
        mode=config.mode,
        batch=config.batch,
        met_alpha=config.met_alpha,
    )


def _is_over(scored: Sequence[ScoredSession], decided: bool, config: RunConfig) -> bool:
    return len(scored) >= config.budget or (bool(scored) and decided)


def _too_many_failures(scored: Sequence[ScoredSession], config: RunConfig) -> str | None:
    """Why the run should stop, once its failures make any verdict impossible."""
    failed = [s.transcript for s in scored if s.transcript.status is Status.FAILED]
    hopeless = len(failed) > FAILED_SHARE * config.budget and len(failed) >= config.batch
    if not hopeless:
        return None
    return f"{len(failed)} of {len(scored)} sessions failed; the last: {failed[-1].error}"


def _expected(config: RunConfig) -> Plan:
    phase = config.protocol.phase_named(config.phase)
    return Plan(sessions=config.budget, turns=len(phase.flow), tokens=config.sampling.max_tokens)


class _Clock:
    """What the sessions took, stored at each look, so that a resumed run goes on adding.

    Time and memory are added up while the clock runs; tokens are those of the transcripts.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.before = _stored_resources(run)
        self.started: float | None = None

    def start(self) -> None:
        """Count from now on: what went before was loading."""
        self.started = time.monotonic()

    def store(self, scored: Sequence[ScoredSession]) -> None:
        """Write down what was taken for ``scored``."""
        turns = [turn for one in scored for turn in one.transcript.turns]
        seconds, peak = self.before.seconds, self.before.peak_bytes
        if self.started is not None:
            seconds += time.monotonic() - self.started
            peak = max(peak or 0, peak_resident() or 0) or None
        self.run.write_json(
            RESOURCES,
            {
                "seconds": seconds,
                "prompt_tokens": sum(turn.prompt_tokens or 0 for turn in turns),
                "completion_tokens": sum(turn.completion_tokens or 0 for turn in turns),
                "peak_bytes": peak,
            },
        )


def _stored_resources(run: Run) -> Resources:
    stored = run.read_json(RESOURCES)
    try:
        found = Resources(**stored) if stored else Resources()
        numbers = (found.seconds, found.prompt_tokens, found.completion_tokens, found.peak_bytes)
        if all(type(number) in (int, float, type(None)) for number in numbers):
            return found
    except TypeError:
        pass
    raise WorkspaceError(
        "not the resources of a run",
        where=str(run.folder / RESOURCES),
        remedy="Restore the file, or remove it: then they are unknown.",
    )
