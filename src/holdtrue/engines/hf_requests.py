"""Prompts on their way to replies, and what every way of batching them has in common."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from holdtrue.engines.base import StopReason
from holdtrue.engines.hf_forward import Forward
from holdtrue.engines.hf_sampling import Draw
from holdtrue.errors import GenerationError
from holdtrue.protocol import Sampling

TAIL = 16


@dataclass(frozen=True, slots=True)
class Ending:
    """When a reply ends: at one of these tokens or strings, or when the context is full.

    ``decode`` turns tokens into text, to find the strings in.
    """

    tokens: frozenset[int]
    strings: tuple[str, ...]
    context: int
    decode: Callable[[Sequence[int]], str]


@dataclass(slots=True)
class Generated:
    """Tokens of a reply without the one that ended it; ``evaluated`` prompt tokens were new."""

    tokens: list[int]
    stop_reason: StopReason
    evaluated: int


@dataclass(slots=True)
class Request:
    """A prompt on its way to a reply. ``done`` counts prompt tokens in the cache."""

    tokens: list[int]
    draw: Draw
    future: Future[Generated] = field(default_factory=Future)
    row: int = -1
    done: int = 0
    evaluated: int = 0
    said: list[int] = field(default_factory=list)

    @property
    def is_reading(self) -> bool:
        """Whether part of the prompt is still to be evaluated."""
        return self.done < len(self.tokens)

    def take(self, token: int | None, ending: Ending) -> bool:
        """Add a drawn token; True when the reply is over (and the future told so)."""
        if token is None:
            self.fail(GenerationError("the model's output is not a number (NaN)"))
            return True
        if token in ending.tokens:
            return self._finish(StopReason.STOP)
        self.said.append(token)
        if ending.strings:
            tail = ending.decode(self.said[-TAIL:])
            if any(string in tail for string in ending.strings):
                return self._finish(StopReason.STOP)
        length = len(self.tokens) + len(self.said)
        if len(self.said) >= self.draw.sampling.max_tokens or length >= ending.context:
            return self._finish(StopReason.LENGTH)
        return self.future.cancelled()

    def fail(self, error: Exception) -> None:
        """Tell the one who asked, unless that has been done."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_exception(error)

    def _finish(self, reason: StopReason) -> bool:
        with contextlib.suppress(InvalidStateError):
            self.future.set_result(Generated(self.said, reason, self.evaluated))
        return True


class Batcher(ABC):
    """Answers prompts, several at once, in a thread of its own. Close it when done.

    ``evaluated_tokens`` counts the prompt tokens that no cache held.
    """

    name: str

    def __init__(self, forward: Forward, ending: Ending) -> None:
        self.forward = forward
        self.ending = ending
        self.evaluated_tokens = 0

    async def ask(self, tokens: list[int], sampling: Sampling, seed: int) -> Generated:
        """One reply. Raises GenerationError: a prompt beyond the context, or a failed pass."""
        if not tokens:
            raise GenerationError("the prompt has no tokens")
        if len(tokens) >= self.ending.context:
            raise GenerationError(
                f"the prompt has {len(tokens)} tokens, and the context holds {self.ending.context}",
                remedy="Use a larger context, or a protocol with a shorter history window.",
            )
        request = Request(tokens, Draw(sampling, seed))
        self._put(request)
        return await asyncio.wrap_future(request.future)

    @abstractmethod
    def _put(self, request: Request) -> None:
        """Queue a request. Raises EngineError when closed."""

    @abstractmethod
    def close(self) -> None:
        """Stop at the next token; prompts on their way fail."""
