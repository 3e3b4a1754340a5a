"""What engines check before it reaches a library that would accept anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdtrue.errors import EngineError, GenerationError
from holdtrue.messages import Message, Role


def check_adapted_base(told: object, base_hash: str | None, adapter: Path) -> None:
    """Raises EngineError where an adapter tells the hash of another base than the one it is put on.

    One that tells none is taken.
    """
    if isinstance(told, str) and base_hash and told != base_hash:
        raise EngineError(
            f"this adapter was trained for another base model ({told[:12]}…, and this one is "
            f"{base_hash[:12]}…)",
            where=str(adapter),
            remedy="Use the base model that it was made for.",
        )


def check_messages(messages: Sequence[Message]) -> None:
    """Raises GenerationError for what no model should be asked.

    That is: no messages, a role that is none of ours, an empty user or assistant message, or a
    last message that is the assistant's own.
    """
    if not messages:
        raise GenerationError("no messages to reply to")
    for number, message in enumerate(messages, start=1):
        if message.role not in Role.__members__.values():
            raise GenerationError(f"message {number} has an unknown role {message.role!r}")
        if message.role is not Role.SYSTEM and not message.content.strip():
            raise GenerationError(f"message {number} ({message.role.value}) is empty")
    if messages[-1].role is Role.ASSISTANT:
        raise GenerationError("the last message is the assistant's own; nothing to reply to")
