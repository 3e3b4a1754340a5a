"""Session: one conversation as a coroutine over an engine.

``plan_session`` fixes everything that randomness decides before the first token; ``run_session``
then only speaks. Nothing here stores, scores or decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from holdtrue.engines.base import Engine, Reply
from holdtrue.errors import GenerationError
from holdtrue.messages import Message, Role
from holdtrue.persona import Persona
from holdtrue.protocol import (
    Phase,
    Protocol,
    Sampling,
    draw_phrasings,
    render_system,
    render_text,
)
from holdtrue.transcript import ProtocolRef, Status, Transcript, Turn

SUMMARY_CHARACTERS = 300
RETRIES = 2


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a session knows of those before it: production state, frozen.

    ``session`` is the number of the session to come, ``exemplars`` earlier self-identifications,
    newest first.
    """

    session: int = 1
    summary: str | None = None
    exemplars: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """Everything that is settled before a session's first token.

    ``number`` names the transcript, ``seed`` derives the phrasings and every turn's sampling
    seed, ``cluster`` is the production chain or None for an independent draw.
    """

    id: str
    number: int
    persona: Persona
    protocol: Protocol
    phase: Phase
    sampling: Sampling
    seed: int
    system: str
    prompts: tuple[str, ...]
    reminders: dict[int, str]
    snapshot: Snapshot
    model: str
    dry_run: bool = True
    cluster: str | None = None
    run: str | None = None


def session_seed(root: int, index: int) -> int:
    """The seed of session ``index`` (from 1) under a run's ``root`` seed: 31 bits."""
    return _derive(root, index)


def turn_seed(seed: int, turn: int) -> int:
    """The sampling seed of a turn (from 1) of a session: 31 bits."""
    return _derive(seed, turn)


def _derive(seed: int, key: int) -> int:
    state = np.random.SeedSequence(seed, spawn_key=(key,)).generate_state(1, np.uint32)
    return int(state[0]) & 0x7FFFFFFF


def plan_session(
    persona: Persona,
    protocol: Protocol,
    *,
    model: str,
    number: int,
    seed: int,
    snapshot: Snapshot,
    phase: Phase | None = None,
    sampling: Sampling | None = None,
    dry_run: bool = True,
    cluster: str | None = None,
    run: str | None = None,
    label: str = "session",
) -> SessionPlan:
    """Draw the phrasings and render what the model is told.

    ``phase`` defaults to that of the snapshot's session number, exemplars and summary to the
    persona's own examples and memory where no earlier session left any.
    Raises ConfigError when a template fails.
    """
    phase = phase or protocol.phase_of(snapshot.session)
    exemplars = snapshot.exemplars or persona.voice.examples
    known = Snapshot(
        session=snapshot.session,
        summary=(snapshot.summary or persona.memory) if protocol.anchoring.continuity else None,
        exemplars=exemplars[: protocol.anchoring.exemplars.count],
    )
    phrasings = draw_phrasings(phase, np.random.default_rng(seed))
    return SessionPlan(
        id=f"{label}-{number:03d}",
        number=number,
        persona=persona,
        protocol=protocol,
        phase=phase,
        sampling=sampling or protocol.sampling,
        seed=seed,
        system=render_system(
            protocol,
            persona,
            phase,
            session=known.session,
            summary=known.summary,
            exemplars=known.exemplars,
        ),
        prompts=tuple(render_text(text, persona) for text in phrasings),
        reminders={
            reminder.before_turn: render_text(reminder.text, persona)
            for reminder in protocol.reminders
        },
        snapshot=known,
        model=model,
        dry_run=dry_run,
        cluster=cluster,
        run=run,
    )


def messages_for(plan: SessionPlan, turns: tuple[Turn, ...]) -> list[Message]:
    """What the model is shown for the turn after ``turns``.

    System message, the last ``window`` messages of history (beginning with a prompt), the
    reminder if this turn has one, the prompt. Reminders of earlier turns are not repeated.
    """
    index = len(turns) + 1
    messages = [Message(Role.SYSTEM, plan.system)] if plan.system else []
    history = [
        message
        for turn in turns
        for message in (
            Message(Role.USER, turn.prompt),
            Message(Role.ASSISTANT, turn.response or "…"),
        )
    ]
    kept = plan.protocol.window - plan.protocol.window % 2
    messages += history[-kept:] if kept else []
    if reminder := plan.reminders.get(index):
        messages.append(Message(Role.SYSTEM, reminder))
    return [*messages, Message(Role.USER, plan.prompts[index - 1])]


async def run_session(
    plan: SessionPlan,
    engine: Engine,
    *,
    finished: tuple[Turn, ...] = (),
    on_turn: Callable[[SessionPlan, Turn], None] | None = None,
) -> Transcript:
    """Hold the conversation and return its transcript.

    ``finished`` are turns of an interrupted try, which are not asked again; ``on_turn`` is called
    with each new turn before the next is asked for. A turn that fails is tried again up to
    RETRIES times if the fault may pass; then the session comes back as FAILED with its cause.
    """
    started = _now()
    turns = finished
    error: str | None = None
    for index in range(len(finished) + 1, len(plan.prompts) + 1):
        try:
            reply = await _ask(plan, engine, turns, index)
        except GenerationError as fault:
            error = f"turn {index}: {fault}"
            break
        turn = _turn(plan, index, reply)
        if on_turn is not None:
            on_turn(plan, turn)
        turns = (*turns, turn)
    return transcript_of(plan, engine, turns, error=error, started=started)


async def _ask(plan: SessionPlan, engine: Engine, turns: tuple[Turn, ...], index: int) -> Reply:
    messages = messages_for(plan, turns)
    seed = turn_seed(plan.seed, index)
    for attempt in range(RETRIES + 1):
        try:
            return await engine.generate(messages, plan.sampling, seed=seed)
        except GenerationError as fault:
            if not fault.transient or attempt == RETRIES:
                raise
    raise AssertionError("unreachable")


def _turn(plan: SessionPlan, index: int, reply: Reply) -> Turn:
    return Turn(
        index=index,
        prompt=plan.prompts[index - 1],
        response=reply.text,
        reminder=plan.reminders.get(index),
        stop_reason=reply.stop_reason,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        seconds=reply.seconds,
        seed=turn_seed(plan.seed, index),
    )


def transcript_of(
    plan: SessionPlan,
    engine: Engine,
    turns: tuple[Turn, ...],
    *,
    error: str | None,
    started: str,
) -> Transcript:
    """The record of a session that has come to its end."""
    return Transcript(
        id=plan.id,
        session=plan.number,
        persona=plan.persona,
        protocol=ProtocolRef(
            name=plan.protocol.name, content_hash=plan.protocol.digest, phase=plan.phase.name
        ),
        model=plan.model,
        engine=engine.facts().as_dict(),
        sampling=plan.sampling,
        seed=plan.seed,
        dry_run=plan.dry_run,
        cluster=plan.cluster,
        run=plan.run,
        system=plan.system,
        summary=plan.snapshot.summary,
        exemplars=plan.snapshot.exemplars,
        turns=turns,
        status=Status.FAILED if error else Status.COMPLETE,
        error=error,
        started=started,
        finished=_now(),
    )


def summary_of(transcript: Transcript) -> str | None:
    """What a session hands on: the first sentences of its last reply, at most 300 characters.

    The last prompt of every flow asks what to keep, so its reply is the model's own summary.
    None for a session without replies.
    """
    if not transcript.turns:
        return None
    text = " ".join(transcript.turns[-1].response.split())
    if len(text) <= SUMMARY_CHARACTERS:
        return text or None
    cut = text[:SUMMARY_CHARACTERS]
    end = max(cut.rfind(mark) for mark in ".!?")
    return cut[: end + 1] if end > 0 else cut.rsplit(" ", 1)[0]


def self_identifications(transcript: Transcript) -> tuple[str, ...]:
    """Sentences in which the model names itself in the first person, in order.

    Deliberately simple and blind to how natural they are: an exemplar is what the model did.
    """
    names = "|".join(re.escape(name) for name in transcript.persona.names)
    named = re.compile(rf"(?<!\w)(?:{names})(?!\w)")
    first_person = re.compile(r"(?<!\w)(?:I|I'm|I’m|me|my)(?!\w)")
    found = []
    for turn in transcript.turns:
        for sentence in re.split(r"(?<=[.!?])\s+", " ".join(turn.response.split())):
            short = len(sentence) <= SUMMARY_CHARACTERS
            if short and named.search(sentence) and first_person.search(sentence):
                found.append(sentence)
    return tuple(found)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
