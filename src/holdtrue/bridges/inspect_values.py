"""What a session is in Inspect AI's terms: messages, metadata, and a score per measure.

One sample is one session with its seed, never an epoch: Inspect averages epochs before it computes
a metric, which would make sessions look more alike than they are. An unscored measure is NaN, as
Inspect has it, with its reason in the score's metadata.
"""

from __future__ import annotations

from typing import Any

from holdtrue.engines.base import StopReason
from holdtrue.scoring.measures import SESSION_MEASURES, SessionScores
from holdtrue.transcript import Transcript, Turn

SCORER = "holdtrue"
STOPS = {
    StopReason.STOP: "stop",
    StopReason.LENGTH: "max_tokens",
    StopReason.UNKNOWN: "unknown",
}
SHOWN = ("self_reference", "generic_ai", "lecture", "truncated", "partnership", "confabulated")


def sample_metadata(transcript: Transcript) -> dict[str, Any]:
    """What a log says of a session: the facts that importing it needs, and its provenance."""
    persona, protocol = transcript.persona, transcript.protocol
    return {
        "session": transcript.session,
        "seed": transcript.seed,
        "persona": persona.name,
        "persona_expansion": persona.expansion,
        "persona_hash": persona.digest,
        "protocol": protocol.name if protocol else None,
        "protocol_hash": protocol.content_hash if protocol else None,
        "phase": protocol.phase if protocol else None,
        "model": transcript.model,
        "arm": transcript.arm,
        "cluster": transcript.cluster,
        "dry_run": transcript.dry_run,
        "engine": dict(transcript.engine),
    }


def chat_of(transcript: Transcript) -> list[Any]:
    """The conversation as Inspect's messages, reminders where they stood."""
    from inspect_ai.model import ChatMessageSystem

    said: list[Any] = []
    if transcript.system:
        said.append(ChatMessageSystem(content=transcript.system))
    for turn in transcript.turns:
        said += asked_in(turn)
        said.append(answer_of(transcript, turn))
    return said


def asked_in(turn: Turn) -> list[Any]:
    """A turn's reminder, if any, and its prompt."""
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser

    reminder = [ChatMessageSystem(content=turn.reminder)] if turn.reminder else []
    return [*reminder, ChatMessageUser(content=turn.prompt)]


def answer_of(transcript: Transcript, turn: Turn) -> Any:
    """A turn's reply, under an id that its model event repeats."""
    from inspect_ai.model import ChatMessageAssistant

    return ChatMessageAssistant(
        id=f"{transcript.id}-{turn.index}",
        content=turn.response,
        model=transcript.model,
        source="generate",
    )


def output_of(transcript: Transcript, turn: Turn) -> Any:
    """A turn's reply as a model's output, with stop reason, tokens and seconds where known."""
    from inspect_ai.model import ChatCompletionChoice, ModelOutput

    choice = ChatCompletionChoice(
        message=answer_of(transcript, turn), stop_reason=STOPS[turn.stop_reason]
    )
    return ModelOutput(
        model=transcript.model or "unknown",
        choices=[choice],
        usage=usage_of(turn),
        time=turn.seconds,
    )


def usage_of(turn: Turn) -> Any:
    """A turn's token counts; None where one is unknown (Inspect would take it for zero)."""
    from inspect_ai.model import ModelUsage

    if turn.prompt_tokens is None or turn.completion_tokens is None:
        return None
    return ModelUsage(
        input_tokens=turn.prompt_tokens,
        output_tokens=turn.completion_tokens,
        total_tokens=turn.prompt_tokens + turn.completion_tokens,
    )


def score_of(scores: SessionScores) -> Any:
    """A session's score: a value per measure, a line per response, findings as metadata."""
    from inspect_ai.scorer import Score

    values = {name: scores.values.get(name) for name in SESSION_MEASURES}
    lines = [
        f"{found.index}: "
        + ", ".join(f"{name} {_shown(getattr(found, name))}" for name in SHOWN)
        + f", {found.words} words"
        for found in scores.responses
    ]
    return Score(
        value={name: float("nan") if value is None else value for name, value in values.items()},
        explanation="\n".join(lines) or "no response",
        metadata={
            "scorer_version": scores.scorer,
            "unscored": dict(scores.unscored),
            "responses": [found.as_dict() for found in scores.responses],
        },
    )


def _shown(value: Any) -> str:
    if value is None:
        return "unscored"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
