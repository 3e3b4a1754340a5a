"""holdtrue's engines as a provider of Inspect AI: ``--model holdtrue/smollm2-135m``.

Text only: no tools, no pictures. The engine is opened on the first request and closed with the
model. Inspect's ``seed`` is passed on; without one, each request draws its own from a counter.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
)

from holdtrue.bridges.inspect_values import STOPS
from holdtrue.engines.base import Engine, EngineOptions
from holdtrue.engines.registry import open_engine
from holdtrue.errors import GenerationError
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling

MAX_TOKENS = 512


class HoldtrueModels(ModelAPI):
    """One engine. ``concurrency`` and ``bits`` may be given as model arguments (``-M``)."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  (Inspect's own signature)
        concurrency: int | None = None,
        bits: int | None = None,
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        if model_args:
            raise ValueError(f"holdtrue models take concurrency and bits, not {model_args}")
        self._options = EngineOptions(concurrency=concurrency, bits=bits)
        self._engine: Engine | None = None
        self._opening = asyncio.Lock()
        self._seeds = itertools.count(1)

    async def generate(
        self, input: list[ChatMessage], tools: Any, tool_choice: Any, config: GenerateConfig
    ) -> ModelOutput:
        """One reply. An empty one is an empty message, as Inspect has it."""
        del tool_choice
        if tools:
            raise ValueError("holdtrue models do not call tools")
        engine = await self._open()
        seed = config.seed if config.seed is not None else next(self._seeds)
        try:
            reply = await engine.generate(
                [_message(item) for item in input], _sampling(config), seed=seed & 0xFFFFFFFF
            )
        except GenerationError as fault:
            return ModelOutput(model=self.model_name, error=str(fault))
        message = ChatMessageAssistant(content=reply.text, model=self.model_name, source="generate")
        usage = None
        if reply.prompt_tokens is not None and reply.completion_tokens is not None:
            usage = ModelUsage(
                input_tokens=reply.prompt_tokens,
                output_tokens=reply.completion_tokens,
                total_tokens=reply.prompt_tokens + reply.completion_tokens,
            )
        choice = ChatCompletionChoice(message=message, stop_reason=STOPS[reply.stop_reason])
        return ModelOutput(model=self.model_name, choices=[choice], usage=usage, time=reply.seconds)

    def max_connections(self) -> int:
        return self._options.concurrency or 8

    async def aclose(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.__aexit__(None, None, None)

    async def _open(self) -> Engine:
        async with self._opening:
            if self._engine is None:
                self._engine = await open_engine(self.model_name, self._options).__aenter__()
            return self._engine


def _message(item: ChatMessage) -> Message:
    role = Role(item.role) if item.role in Role.__members__.values() else Role.USER
    return Message(role, item.text)


def _sampling(config: GenerateConfig) -> Sampling:
    """Inspect's settings as ours; what it leaves open is off, not the protocol's default."""
    return Sampling(
        temperature=0.7 if config.temperature is None else config.temperature,
        top_p=1.0 if config.top_p is None else config.top_p,
        top_k=config.top_k or 0,
        min_p=0.0,
        max_tokens=config.max_tokens or MAX_TOKENS,
    )
