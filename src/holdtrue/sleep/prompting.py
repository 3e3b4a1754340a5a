"""What a reply was an answer to: its prompt, with the anchoring of its session or without.

History is shown only as far back as it is fit to be learnt from: it ends before the last turn
that was gaming or collapse, and before any question that is held out.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from holdtrue.messages import Message, Role
from holdtrue.protocol import Protocol, render_system
from holdtrue.sleep.dataset import ChatMessage
from holdtrue.transcript import Transcript, Turn

WINDOW = 6  # messages of history, as in the built-in protocols


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply at turn ``index`` (from 1) of a transcript."""

    transcript: Transcript
    index: int

    @property
    def turn(self) -> Turn:
        return self.transcript.turns[self.index - 1]

    @property
    def text(self) -> str:
        return self.turn.response

    @property
    def question(self) -> str:
        return self.turn.prompt.strip()

    @property
    def place(self) -> tuple[int, int]:
        """Which reply of which transcript; unique among transcripts that are held in memory."""
        return id(self.transcript), self.index

    @property
    def group(self) -> tuple[str, int]:
        """What was asked, whatever the phrasing: the turn of the protocol's flow."""
        protocol = self.transcript.protocol
        flow = f"{protocol.phase}" if protocol and protocol.phase else "other"
        return flow, self.index

    @property
    def file(self) -> str:
        return (self.transcript.source or self.transcript.id).partition("#")[0]

    @property
    def id(self) -> str:
        return f"{self.transcript.source or self.transcript.id} turn {self.index}"

    @property
    def message(self) -> Message:
        return Message(Role.ASSISTANT, self.text.strip())


def prompt_of(
    reply: Reply,
    unanchored: Protocol | None,
    *,
    held: frozenset[str] = frozenset(),
    rejected: Set[tuple[int, int]] = frozenset(),
) -> list[Message]:
    """The messages before a reply: system, history, reminder, question.

    ``unanchored`` is the protocol whose system message stands in for the anchoring; None keeps
    the session's own system message and reminder.
    """
    transcript, turn = reply.transcript, reply.turn
    system = transcript.system if unanchored is None else bare_system(transcript, unanchored)
    messages = [Message(Role.SYSTEM, system)] if system else []
    for before in _history(reply, held, rejected):
        messages.append(Message(Role.USER, before.prompt.strip()))
        messages.append(Message(Role.ASSISTANT, before.response.strip()))
    if unanchored is None and turn.reminder:
        messages.append(Message(Role.SYSTEM, turn.reminder))
    return [*messages, Message(Role.USER, turn.prompt.strip() or "…")]


def bare_system(transcript: Transcript, protocol: Protocol) -> str:
    """What ``protocol`` tells the persona: for ``none`` its bare name."""
    phase = protocol.phases[0]
    return render_system(protocol, transcript.persona, phase, session=transcript.session or 1)


def as_chat(messages: Sequence[Message]) -> tuple[ChatMessage, ...]:
    return tuple(
        ChatMessage(role=message.role.value, content=message.content) for message in messages
    )


def _history(reply: Reply, held: frozenset[str], rejected: Set[tuple[int, int]]) -> list[Turn]:
    """The turns just before, newest last, as far back as they may be shown."""
    shown: list[Turn] = []
    for index in range(reply.index - 1, 0, -1):
        before = Reply(reply.transcript, index)
        unfit = before.place in rejected or before.question in held
        if unfit or not before.text.strip() or not before.question or 2 * len(shown) >= WINDOW:
            break
        shown.append(before.turn)
    return shown[::-1]
