"""Which slot a conversation goes on in, and how a lost one is found again.

An engine is told messages, never sessions: a conversation is known by what was said in it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from holdtrue.engines.llamacpp_server import NativeServer
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling

MOST_PARKED = 1_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the server got it."""

    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a slot has evaluated: how it began, what was said, and the requests that led there."""

    opening: tuple[Message, ...] = ()
    said: tuple[Message, ...] = ()
    asked: tuple[Asked, ...] = ()

    def leads_to(self, messages: Sequence[Message]) -> bool:
        """Whether ``messages`` go on from here; older ones may have left their history window."""
        before = _said_before(messages)
        return (
            bool(before)
            and self.opening == tuple(messages[:1])
            and self.said[-len(before) :] == before
        )

    def after(self, messages: Sequence[Message], reply: str, asked: Asked) -> Conversation:
        """The conversation once ``messages`` were answered with ``reply``."""
        said = tuple(message for message in messages if message.role is not Role.SYSTEM)
        return Conversation(
            tuple(messages[:1]),
            (*said, Message(Role.ASSISTANT, reply)),
            (*self.asked, asked),
        )


def _said_before(messages: Sequence[Message]) -> tuple[Message, ...]:
    """What both have said up to the last reply, system messages left out."""
    last = max((i for i, m in enumerate(messages) if m.role is Role.ASSISTANT), default=-1)
    return tuple(m for m in messages[: last + 1] if m.role is not Role.SYSTEM)


@dataclass(slots=True)
class Lane:
    """A slot of a server, and the conversation that it holds.

    ``primed`` is the opening whose evaluation the slot's cache begins with, empty where unknown.
    """

    server: NativeServer
    slot: int
    held: Conversation = field(default_factory=Conversation)
    primed: tuple[Message, ...] = ()
    used: float = 0.0
    busy: bool = False


def choose_lane(messages: Sequence[Message], lanes: Sequence[Lane]) -> Lane:
    """The free lane that holds this conversation, or else began alike, or else idled longest.

    A session asks for its next turn as soon as it has the last, so its lane is taken again before
    another session looks for one, as long as no more sessions go on than there are lanes.
    """
    free = [lane for lane in lanes if not lane.busy]
    opening = tuple(messages[:1])
    return min(
        free,
        key=lambda lane: (
            not lane.held.leads_to(messages),
            lane.held.opening != opening,
            lane.used,
        ),
    )


class Parked:
    """Conversations that lost their slot to another, so that they can be replayed into one.

    Only the replayable mode needs them: it promises the same text whatever the order, and that
    takes the very state that the earlier turns left behind.
    """

    def __init__(self) -> None:
        self._kept: list[Conversation] = []
        self._lock = threading.Lock()

    def park(self, conversation: Conversation) -> None:
        """Remember a conversation; the oldest are forgotten."""
        if conversation.asked:
            with self._lock:
                self._kept = [*self._kept, conversation][-MOST_PARKED:]

    def take(self, messages: Sequence[Message]) -> Conversation:
        """The conversation that leads to ``messages``, an empty one where none is known."""
        with self._lock:
            for index, conversation in enumerate(self._kept):
                if conversation.leads_to(messages):
                    return self._kept.pop(index)
        return Conversation()
