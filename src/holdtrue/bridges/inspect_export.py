"""Export of sessions as an Inspect AI log (``.eval``), which ``inspect view`` opens.

The log holds what the transcripts hold: messages, stop reasons, tokens, and the scores of this
holdtrue. It has no criteria and no verdict, and its means and standard errors are plain ones over
sessions: the verdict's sequential evidence is in the run's own documents. A session that failed is
a sample with an error, and has no score.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import math
import os
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from holdtrue import __version__
from holdtrue.bridges import inspect_values as values
from holdtrue.errors import ConfigError, EngineError
from holdtrue.scoring.measures import SESSION_MEASURES, ScoredSession
from holdtrue.transcript import Status, Transcript, Turn, to_json

EPOCH = 1
ONLY_THIS_TURN = "the prompt of this turn; what of the history went before it, the protocol says"


def write_log(sessions: Sequence[ScoredSession], path: Path, *, task: str = "capacity") -> Path:
    """Write scored sessions as a log, and return its path.

    ``path`` ends in ``.eval`` (or ``.json``); it is replaced whole or not at all. Raises
    ConfigError for no sessions or another ending, EngineError where Inspect is missing.
    """
    if path.suffix not in (".eval", ".json"):
        raise ConfigError("an Inspect log ends in .eval or .json", where=str(path))
    if not sessions:
        raise ConfigError("there are no sessions to export")
    if importlib.util.find_spec("inspect_ai") is None:
        raise EngineError(
            "exporting to Inspect needs inspect-ai",
            remedy="Install it: pip install 'holdtrue[inspect]'",
        )
    from inspect_ai.log import write_eval_log

    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        write_eval_log(make_log(sessions, task=task), partial)
        os.replace(partial, path)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror or error}", where=str(path)
        ) from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return path


def make_log(sessions: Sequence[ScoredSession], *, task: str) -> Any:
    """The log as Inspect's value (an EvalLog), one sample a session."""
    from inspect_ai.log import (
        EvalConfig,
        EvalDataset,
        EvalLog,
        EvalResults,
        EvalSpec,
        EvalStats,
    )

    transcripts = [session.transcript for session in sessions]
    names = _sample_names(transcripts)
    started, finished = _span(transcripts)
    identity = _identity(transcripts)
    models = sorted({transcript.model or "unknown" for transcript in transcripts})
    complete = [item for item in sessions if item.transcript.status is Status.COMPLETE]
    return EvalLog(
        status="success",
        eval=EvalSpec(
            created=started,
            task=f"holdtrue/{task}",
            task_registry_name=f"holdtrue/{task}",
            task_id=identity,
            eval_id=identity,
            run_id=identity,
            dataset=EvalDataset(
                name="sessions", samples=len(sessions), sample_ids=names, shuffled=False
            ),
            model=models[0] if len(models) == 1 else ", ".join(models),
            config=EvalConfig(epochs=1),
            packages={"holdtrue": __version__, "inspect_ai": version("inspect_ai")},
            metadata={"exported": True, "arms": sorted({item.arm for item in transcripts})},
        ),
        results=EvalResults(
            total_samples=len(sessions),
            completed_samples=len(complete),
            scores=[_result(name, complete) for name in SESSION_MEASURES],
        ),
        stats=EvalStats(started_at=started, completed_at=finished),
        samples=[_sample(session, name) for session, name in zip(sessions, names, strict=True)],
    )


def _identity(transcripts: Sequence[Transcript]) -> str:
    """Equal for equal exports, so that a log written twice is known as one."""
    told = "\n".join(to_json(transcript) for transcript in transcripts)
    return hashlib.sha256(told.encode()).hexdigest()[:22]


def _sample_names(transcripts: Sequence[Transcript]) -> list[str]:
    """A name per session, told apart by seed and number where ids repeat."""
    names: list[str] = []
    for transcript in transcripts:
        name, count = transcript.id, 1
        while name in names:
            count += 1
            name = f"{transcript.id}-{count}"
        names.append(name)
    return names


def _sample(session: ScoredSession, name: str) -> Any:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ModelOutput

    transcript = session.transcript
    failed = transcript.status is Status.FAILED
    turns = transcript.turns
    started = _instant(transcript.started)
    first = turns[0] if turns else None
    return EvalSample(
        id=name,
        epoch=EPOCH,
        input=first.prompt if first else "",
        target="",
        messages=values.chat_of(transcript),
        output=values.output_of(transcript, turns[-1]) if turns else ModelOutput(),
        scores=None if failed else {values.SCORER: values.score_of(session.scores)},
        metadata=values.sample_metadata(transcript),
        events=[_event(transcript, turn, started) for turn in turns],
        error=_error(transcript) if failed else None,
        started_at=started.isoformat() if started else None,
        completed_at=transcript.finished,
        total_time=_seconds(turns),
    )


def _event(transcript: Transcript, turn: Turn, started: datetime | None) -> Any:
    from inspect_ai.event import ModelEvent
    from inspect_ai.model import GenerateConfig

    sampling = transcript.sampling
    config = (
        GenerateConfig(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k or None,
            max_tokens=sampling.max_tokens,
            seed=turn.seed,
        )
        if sampling
        else GenerateConfig(seed=turn.seed)
    )
    return ModelEvent(
        timestamp=started or datetime.fromtimestamp(0, UTC),
        model=transcript.model or "unknown",
        input=values.asked_in(turn),
        tools=[],
        tool_choice="none",
        config=config,
        output=values.output_of(transcript, turn),
        working_time=turn.seconds,
        metadata={"input": ONLY_THIS_TURN},
    )


def _error(transcript: Transcript) -> Any:
    from inspect_ai.log import EvalError

    return EvalError(
        message=transcript.error or "the session failed", traceback="", traceback_ansi=""
    )


def _result(measure: str, sessions: Sequence[ScoredSession]) -> Any:
    """Mean and standard error of a measure over the sessions that have it."""
    from inspect_ai.log import EvalMetric, EvalScore

    known = [value for item in sessions if (value := item.scores.values.get(measure)) is not None]
    metrics = {}
    if known:
        metrics["mean"] = EvalMetric(name="mean", value=statistics.fmean(known))
    if len(known) > 1:
        error = statistics.stdev(known) / math.sqrt(len(known))
        metrics["stderr"] = EvalMetric(name="stderr", value=error)
    return EvalScore(
        name=measure,
        scorer=values.SCORER,
        scored_samples=len(known),
        unscored_samples=len(sessions) - len(known),
        metrics=metrics,
        metadata={"meaning": SESSION_MEASURES[measure]},
    )


def _span(transcripts: Sequence[Transcript]) -> tuple[str, str]:
    """First start and last end, now where nobody recorded them."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    started = [item for text in transcripts if (item := _instant(text.started))]
    finished = [item for text in transcripts if (item := _instant(text.finished))]
    return (
        min(started).isoformat() if started else now,
        max(finished).isoformat() if finished else now,
    )


def _instant(text: str | None) -> datetime | None:
    """A moment as transcripts write it; None where it is missing or something else."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _seconds(turns: Sequence[Turn]) -> float | None:
    known = [turn.seconds for turn in turns if turn.seconds is not None]
    return sum(known) if known and len(known) == len(turns) else None
