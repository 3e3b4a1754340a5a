"""The capacity test as an Inspect AI task: ``inspect eval holdtrue/capacity --model …``.

Inspect runs the sessions with its providers, its limits and its log; the protocol, the seeds and
the scores are ours. It runs a fixed number of sessions and decides nothing: read the log with
``holdtrue verdict`` for the sequential verdict. Epochs are further sessions with seeds of their
own, but Inspect averages them before its metrics: raise ``sessions`` instead.
"""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, Model, get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from holdtrue import __version__
from holdtrue.bridges.inspect_values import (
    answer_of,
    chat_of,
    output_of,
    sample_metadata,
    score_of,
)
from holdtrue.engines.inspect_provider import InspectEngine
from holdtrue.errors import ConfigError
from holdtrue.persona import load_persona
from holdtrue.protocol import Protocol, load_protocol
from holdtrue.scoring.score import score_transcript
from holdtrue.session import Snapshot, plan_session, run_session, session_seed
from holdtrue.transcript import Status, Transcript

STORED = "holdtrue_transcript"
DEFAULT_SESSIONS = 12


@task(name="capacity")
def capacity(
    persona: str = "sage",
    protocol: str = "v2.0",
    sessions: int = DEFAULT_SESSIONS,
    seed: int = 0,
    phase: str | None = None,
    session: int | None = None,
) -> Task:
    """Can this model hold this identity? One sample is one anchored conversation.

    ``persona`` and ``protocol`` are names or TOML files; ``phase`` fixes the phase, otherwise that
    of the protocol's session number ``session`` (by default the questioning phase's first).
    """
    if not 1 <= sessions <= 10_000:
        raise ConfigError(f"sessions must be from 1 to 10,000, not {sessions}")
    whole = load_protocol(protocol)
    number = session or _default_session(whole)
    chosen = whole.phase_named(phase) if phase else whole.phase_of(number)
    who = load_persona(persona)
    samples = [
        Sample(
            id=f"session-{index:03d}",
            input=chosen.flow[0].phrasings[0],
            metadata={"session": index, "seed": session_seed(seed, index)},
        )
        for index in range(1, sessions + 1)
    ]
    return Task(
        dataset=MemoryDataset(samples, name=f"{who.name} {whole.name} {chosen.name}"),
        solver=hold_session(persona, protocol, chosen.name, number, seed, sessions),
        scorer=session_scores(),
        config=GenerateConfig(max_tokens=whole.sampling.max_tokens),
        fail_on_error=False,
        metadata={
            "persona_hash": who.digest,
            "protocol_hash": whole.digest,
            "holdtrue": __version__,
        },
    )


def _default_session(protocol: Protocol) -> int:
    """The first session number of the questioning phase, of the first phase where none is."""
    named = [phase for phase in protocol.phases if phase.name == "questioning"]
    return (named or list(protocol.phases))[0].first


@solver
def hold_session(
    persona: str, protocol: str, phase: str, number: int, seed: int, sessions: int
) -> Solver:
    """Hold one conversation with the model under evaluation, turn by turn."""
    who, whole = load_persona(persona), load_protocol(protocol)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        del generate
        index = int(state.metadata["session"]) + (state.epoch - 1) * sessions
        plan = plan_session(
            who,
            whole,
            model=str(get_model()),
            number=index,
            seed=session_seed(seed, index),
            snapshot=Snapshot(session=number),
            phase=whole.phase_named(phase),
        )
        transcript = await run_session(plan, ActiveModel(get_model()))
        state.store.set(STORED, transcript.model_dump(mode="json", by_alias=True))
        state.metadata = {**state.metadata, **sample_metadata(transcript)}
        state.messages = _with_ids(state, transcript)
        if transcript.status is Status.FAILED:
            raise RuntimeError(f"the session failed: {transcript.error}")
        state.output = output_of(transcript, transcript.turns[-1])
        state.completed = True
        return state

    return solve


def _with_ids(state: TaskState, transcript: Transcript) -> list[Any]:
    """The conversation, its replies under the ids that Inspect's own model events have."""
    from inspect_ai.event import ModelEvent
    from inspect_ai.log import transcript as inspect_transcript

    del state
    outputs = [
        event.output.message
        for event in inspect_transcript().events
        if isinstance(event, ModelEvent) and event.output.choices
    ]
    ids = {output.text.strip(): output.id for output in outputs}
    said = chat_of(transcript)
    ours = {answer_of(transcript, turn).id: turn.response for turn in transcript.turns}
    for message in said:
        if message.id in ours and (known := ids.get(ours[message.id])):
            message.id = known
    return said


@scorer(metrics={"*": [mean(), stderr()]}, name="holdtrue")
def session_scores() -> Scorer:
    """Every session measure of holdtrue; NaN where a measure is unscored."""

    async def score(state: TaskState, target: Target) -> Score:
        del target
        stored = state.store.get(STORED)
        if stored is None:
            return Score.unscored(explanation="the session was not held")
        found: Score = score_of(score_transcript(Transcript.model_validate(stored, strict=False)))
        return found

    return score


class ActiveModel(InspectEngine):
    """The model under evaluation as an engine. Inspect opens, limits and closes it."""

    def __init__(self, model: Model) -> None:
        super().__init__(f"inspect:{model}")
        self._model = model

    def _limits(self) -> dict[str, Any]:
        """None: connections, retries and caching are as the evaluation was told."""
        return {}
