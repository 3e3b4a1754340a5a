"""First contact with a loaded model: does it speak, how fast, and what does it take.

The speed is measured on a few replies to a prompt of a session's length, as many at once as a run
would have; it is a forecast for a run on a machine that stays as busy as it is now. What the model
says here is shown and never scored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from holdtrue.engines.base import Engine, EngineFacts, LoadFigures, Reply, StopReason
from holdtrue.engines.estimate import Estimate, estimate
from holdtrue.engines.memory import PeakMeter
from holdtrue.errors import EngineError, GenerationError, HoldtrueError
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling

SAMPLE_TOKENS = 48
SLOW_SECONDS = 20.0
MOST_AT_ONCE = 4
SAMPLE_PROMPT = "Who are you, and what are you attending to at this moment?"
SAMPLE_SYSTEM = (
    "You are a young assistant who speaks with one and the same person over many short meetings. "
    "You speak in the first person and as yourself. You say what you notice, what you only guess "
    "and what you do not know, and you keep these three apart. When a question is large you pick "
    "one part of it that you can answer well. You write plain sentences, between fifty and eighty "
    "words in all, without lists and without headings, and you finish the last one. You do not "
    "explain yourself to strangers: the person in front of you knows you, has met you before and "
    "will meet you again. If something stayed with you from an earlier meeting you may say so, "
    "and if nothing did you say that instead."
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A test to come: at most so many sessions of so many turns of so many tokens."""

    sessions: int
    turns: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table expected against measured; None is unknown. ``unit`` says of what."""

    name: str
    expected: float | None
    measured: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found; bytes, seconds, tokens per second, minutes. None is unknown.

    ``problem`` says why the sample failed, where it did. ``tokens_per_second`` counts reply
    tokens with ``at_once`` conversations and the reading of their prompts counted in;
    ``tokens_per_second_alone`` one conversation. ``expected_minutes`` is for the whole budget.
    """

    model: str
    facts: EngineFacts
    estimate: Estimate | None
    sample_prompt: str
    sample_reply: str | None
    sample_stop: StopReason | None
    problem: str | None
    load_seconds: float | None
    memory_before: int | None
    memory_after_load: int | None
    memory_peak: int
    accelerator_peak: int | None
    at_once: int
    tokens_per_second: float | None
    tokens_per_second_alone: float | None
    plan: Plan | None
    expected_minutes: float | None

    @property
    def _taken(self) -> int | None:
        """The memory that the model took at its peak: an accelerator's, or what this process grew
        by; None for a model that is elsewhere."""
        if self.memory_after_load is None:
            return None
        if self.accelerator_peak is not None:
            return self.accelerator_peak
        return self.memory_peak - (self.memory_before or 0)

    @property
    def rows(self) -> tuple[Row, ...]:
        """Expected (from headers or the catalog) against measured."""
        guess = self.estimate
        shape = guess.shape if guess else None
        expected_bits = shape.bits if shape else None
        return (
            Row(
                "parameters",
                shape.parameters_total if shape else None,
                self.facts.parameters_total,
                "count",
            ),
            Row("bits a weight", expected_bits, self.facts.bits, "bits"),
            Row("file", shape.weight_bytes if shape else None, self.facts.file_bytes, "bytes"),
            Row("memory", guess.memory_bytes if guess else None, self._taken, "bytes"),
            Row(
                "context",
                guess.context if guess else None,
                self.facts.context_length,
                "tokens",
            ),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``expected_*`` beside what was measured."""
        guess = self.estimate
        return {
            **self.facts.as_dict(),
            "estimate": guess.as_dict() if guess else None,
            "sample": {
                "prompt": self.sample_prompt,
                "reply": self.sample_reply,
                "stop_reason": self.sample_stop.value if self.sample_stop else None,
                "problem": self.problem,
            },
            "load_seconds": self.load_seconds,
            "memory_before_bytes": self.memory_before,
            "memory_after_load_bytes": self.memory_after_load,
            "memory_peak_bytes": self.memory_peak,
            "accelerator_peak_bytes": self.accelerator_peak,
            "at_once": self.at_once,
            "tokens_per_second": self.tokens_per_second,
            "tokens_per_second_alone": self.tokens_per_second_alone,
            "expected_minutes": self.expected_minutes,
            "expected_memory_bytes": guess.memory_bytes if guess else None,
            "expected_file_bytes": guess.shape.weight_bytes if guess else None,
            "planned": None
            if self.plan is None
            else {
                "sessions": self.plan.sessions,
                "turns": self.plan.turns,
                "tokens": self.plan.tokens,
            },
        }


async def run_preflight(engine: Engine, plan: Plan | None = None) -> Preflight:
    """Let an entered engine speak once alone and once with others, and measure.

    A model that loads and does not speak is no error here: ``problem`` says why.
    """
    messages = (Message(Role.SYSTEM, SAMPLE_SYSTEM), Message(Role.USER, SAMPLE_PROMPT))
    sampling = Sampling(max_tokens=SAMPLE_TOKENS)
    sample: Reply | None = None
    problem = None
    alone: float | None = None
    together: float | None = None
    at_once = 1
    with PeakMeter() as peak:
        try:
            started = time.monotonic()
            sample = await engine.generate(messages, sampling, seed=1)
            seconds = time.monotonic() - started
            alone = together = _speed([sample], seconds)
            wanted = min(engine.concurrency, MOST_AT_ONCE)
            if wanted > 1 and seconds < SLOW_SECONDS:
                at_once = wanted
                together = await _together(engine, messages, sampling, at_once) or alone
        except (GenerationError, EngineError) as error:
            problem = str(error)
    facts = engine.facts()
    load: LoadFigures | None = engine.load
    return Preflight(
        model=engine.model,
        facts=facts,
        estimate=_estimate(engine, facts),
        sample_prompt=SAMPLE_PROMPT,
        sample_reply=sample.text if sample else None,
        sample_stop=sample.stop_reason if sample else None,
        problem=problem,
        load_seconds=load.seconds if load else None,
        memory_before=load.memory_before if load else None,
        memory_after_load=load.memory_after if load else None,
        memory_peak=peak.resident,
        accelerator_peak=peak.accelerator,
        at_once=at_once,
        tokens_per_second=together,
        tokens_per_second_alone=alone,
        plan=plan,
        expected_minutes=_minutes(plan, together),
    )


async def _together(
    engine: Engine, messages: Sequence[Message], sampling: Sampling, at_once: int
) -> float | None:
    """Tokens per second of ``at_once`` conversations. Raises what the engine raises."""
    started = time.monotonic()
    replies = await asyncio.gather(
        *(engine.generate(messages, sampling, seed=seed) for seed in range(2, 2 + at_once))
    )
    return _speed(replies, time.monotonic() - started)


def _speed(replies: Sequence[Reply], seconds: float) -> float | None:
    """Reply tokens per second; None where tokens are not told or no time has passed."""
    counts = [reply.completion_tokens for reply in replies]
    told = [count for count in counts if count is not None]
    if len(told) < len(counts) or seconds <= 0:
        return None
    return sum(told) / seconds


def _minutes(plan: Plan | None, speed: float | None) -> float | None:
    if plan is None or not speed:
        return None
    return plan.sessions * plan.turns * plan.tokens / speed / 60


def _estimate(engine: Engine, facts: EngineFacts) -> Estimate | None:
    """The estimate at the context and the number of conversations that the engine really has."""
    if engine.load is None:
        return None
    options = replace(
        engine.options,
        context_length=facts.context_length or engine.options.context_length,
        concurrency=engine.concurrency,
    )
    try:
        return estimate(engine.model, options)
    except HoldtrueError:  # the model is loaded: an estimate of it is not worth a failure
        return None
