"""Models behind a server: OpenAI-compatible chat completions, and Ollama's own interface.

The server owns the model: what it says of itself is recorded as its word, and equal seeds need
not give equal text. Nothing is cached here, and no other server is ever asked in its place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from holdtrue.engines.addresses import parse_address
from holdtrue.engines.base import Engine, EngineFacts, EngineOptions, Reply
from holdtrue.engines.dialects import ChatCompletions, Dialect, same_model, served_model
from holdtrue.engines.discovery import ServerFacts, discover
from holdtrue.engines.secrets_env import find_key, redact, scrub
from holdtrue.engines.systems import fold_systems
from holdtrue.engines.transport import RefusedError, Retries, Transport
from holdtrue.errors import EngineError, GenerationError
from holdtrue.messages import Message
from holdtrue.protocol import Sampling

CONCESSIONS = 5
BASE_SECONDS = 120.0
SECONDS_PER_TOKEN = 2.0
MAX_CONCURRENCY = 1_000


class RemoteEngine(Engine):
    """``openai:MODEL@BASE_URL``, ``vllm:MODEL@BASE_URL`` or ``ollama:MODEL[@BASE_URL]``.

    ``rng`` draws the jitter of waits between tries and nothing that reaches the model, so fresh
    entropy is its default: clients that start together must not wait alike. One try may take
    ``seconds``, by default BASE_SECONDS and two for each token that may come.
    """

    def __init__(
        self,
        model: str,
        options: EngineOptions,
        *,
        rng: np.random.Generator | None = None,
        retries: Retries = Retries(),  # noqa: B008  (frozen)
        seconds: float | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(model, options)
        self.address = parse_address(model)
        self._secret = find_key(self.address)
        self._rng = rng or np.random.default_rng()
        self._retries = retries
        self._seconds = seconds
        self._sleep = sleep
        self._transport: Transport | None = None
        self._dialect: Dialect = ChatCompletions()
        self._facts: ServerFacts | None = None
        self._slots = asyncio.Semaphore(1)
        self._served: set[str] = set()
        self._fingerprints: set[str] = set()
        self._folds = False

    async def __aenter__(self) -> Self:
        if self.options.offline and not self.address.is_loopback:
            raise EngineError(
                f"{self.address.base} is another machine, and offline was asked for",
                remedy="Leave out --offline, or use a server on this machine.",
            )
        if self.options.adapter:
            raise EngineError(
                "an adapter cannot be put onto a remote model",
                remedy="Let the server load it, and name the model that it gives it.",
            )
        if self.options.bits:
            raise EngineError(
                "the bits of a remote model are the server's choice",
                remedy="Leave out --bits, or name a model that the server has quantized.",
            )
        self._transport = Transport(
            self.address.base,
            secret=self._secret,
            rng=self._rng,
            connections=min(self.options.concurrency or 64, MAX_CONCURRENCY),
            # A key over plain http stays within the private network, so it meets no proxy.
            direct=self.address.is_loopback or not (self.address.encrypted or self._secret is None),
            retries=self._retries,
            sleep=self._sleep,
        )
        try:
            self._dialect, self._facts = await discover(
                self._transport, self.address, self.options.context_length
            )
        except BaseException:
            await self._transport.close()
            raise
        self._slots = asyncio.Semaphore(self.concurrency)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._transport is not None:
            await self._transport.close()
            self._transport = None

    @property
    def concurrency(self) -> int:
        told = self._facts.slots if self._facts else None
        wanted = self.options.concurrency or told or self._dialect.concurrency
        return max(1, min(wanted, MAX_CONCURRENCY))

    def facts(self) -> EngineFacts:
        told = self._facts or ServerFacts(self.address.kind)
        versions = dict(told.versions)
        if self._served:
            versions["served model"] = ", ".join(sorted(self._served))
        if self._fingerprints:
            versions["fingerprint"] = ", ".join(sorted(self._fingerprints))
        return EngineFacts(
            model=self.model,
            engine=f"remote ({told.server})",
            architecture=told.architecture,
            parameters_total=told.parameters_total,
            bits=told.bits,
            file_bytes=told.file_bytes,
            context_length=told.context_length,
            source=self.address.base,
            source_hash=told.source_hash,
            device="remote",
            replayable=False,
            versions=versions,
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        """What could not be done as asked."""
        notes = [f"the server takes no {key}: not sent" for key in sorted(self._dialect.ignored)]
        if self._folds:
            notes.append("the template takes no such system messages: put into the user's")
        return tuple(notes)

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Reply:
        """One reply. Raises GenerationError when tries ran out or the server refuses."""
        if self._transport is None:
            raise EngineError("the engine is not open")
        async with self._slots:
            try:
                return await self._ask(self._transport, messages, sampling, seed)
            except GenerationError as fault:
                raise self._public(fault) from None

    def _public(self, fault: GenerationError) -> GenerationError:
        """The fault with nothing of the key in it."""
        return GenerationError(scrub(fault.message, self._secret), remedy=fault.remedy)

    async def _ask(
        self, transport: Transport, messages: Sequence[Message], sampling: Sampling, seed: int
    ) -> Reply:
        limit = self._seconds or BASE_SECONDS + SECONDS_PER_TOKEN * sampling.max_tokens
        for _ in range(CONCESSIONS + 1):
            folded = self._folds
            shown = fold_systems(messages) if folded else messages
            body = self._dialect.body(self.address.model, shown, sampling, seed)
            started = time.monotonic()
            try:
                answer = await transport.call("POST", self._dialect.path, body, seconds=limit)
            except RefusedError as fault:
                if not self._gives_way(fault, body, folded):
                    raise
                continue
            reply = self._dialect.read(answer, time.monotonic() - started)
            self._check_served(served_model(answer))
            if isinstance(fingerprint := answer.get("system_fingerprint"), str):
                self._fingerprints.add(redact(fingerprint[:80], self._secret))
            return replace(reply, text=redact(reply.text, self._secret))
        raise GenerationError("the server refuses one setting after another")

    def _gives_way(self, fault: RefusedError, body: Mapping[str, Any], folded: bool) -> bool:
        """Whether the request can be asked again with something given up."""
        if fault.status not in (400, 422, 500):
            return False
        if not folded and _refuses_systems(fault.detail):
            self._folds = True
            return True
        return fault.status != 500 and self._dialect.concede(fault.detail, body)

    def _check_served(self, served: str | None) -> None:
        if served is None:
            return
        if not same_model(self.address.model, served):
            raise GenerationError(
                f"asked for {self.address.model!r}, but {served[:80]!r} answered",
                remedy="Name the model as the server does.",
            )
        self._served.add(redact(served[:200], self._secret))


def _refuses_systems(detail: str) -> bool:
    """Whether a refusal is a chat template's, about where system messages may stand."""
    detail = detail.lower()
    return ("system" in detail and ("role" in detail or "message" in detail)) or (
        "roles must alternate" in detail
    )
