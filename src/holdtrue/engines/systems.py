"""Conversations for templates that take no system messages, or only one at the beginning."""

from __future__ import annotations

from collections.abc import Sequence

from holdtrue.messages import Message, Role


def fold_systems(messages: Sequence[Message], *, keep_first: bool = False) -> list[Message]:
    """``messages`` with each system message put before the text of the next user message.

    ``keep_first`` leaves a system message at the very beginning where it stands. Neighbours of
    one role are joined, so that the roles alternate. Nothing that was said is lost.
    """
    folded: list[Message] = []
    waiting: list[str] = []
    for position, message in enumerate(messages):
        if message.role is Role.SYSTEM and not (keep_first and position == 0):
            if message.content:
                waiting.append(message.content)
            continue
        if message.role is Role.USER and waiting:
            message = Message(Role.USER, "\n\n".join([*waiting, message.content]))
            waiting = []
        if folded and folded[-1].role is message.role:
            joined = f"{folded[-1].content}\n\n{message.content}"
            folded[-1] = Message(message.role, joined)
        else:
            folded.append(message)
    if waiting:
        folded.append(Message(Role.USER, "\n\n".join(waiting)))
    return folded
