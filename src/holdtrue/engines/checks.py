"""What every engine checks of a request before it reaches a library that would accept anything."""

from __future__ import annotations

from collections.abc import Sequence

from holdtrue.errors import GenerationError
from holdtrue.messages import Message, Role


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
