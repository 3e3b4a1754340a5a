"""A parrot: it answers with the words of the question. ``parrot:loud`` does so in capitals."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from holdtrue.engines.base import Engine, EngineFacts, Reply, StopReason
from holdtrue.messages import Message
from holdtrue.protocol import Sampling


class ParrotEngine(Engine):
    """Needs no loading, so that entering and leaving do nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    @property
    def concurrency(self) -> int:
        return 4

    def facts(self) -> EngineFacts:
        return EngineFacts(model=self.model, engine="parrot", replayable=True)

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Reply:
        text = f"You said: {messages[-1].content}"
        if self.model == "parrot:loud":
            text = text.upper()
        return Reply(text=text, stop_reason=StopReason.STOP)
