"""Models through Inspect AI's model layer: ``inspect:PROVIDER/MODEL``.

Inspect reads its keys from the environment, retries and limits connections itself. What a provider
does with a seed or with top_k is its own affair; min_p has no place in Inspect's settings and is
not sent. Local providers (``inspect:hf/…``) reuse nothing between turns: ``hf:`` is faster.
"""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Sequence
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self

from holdtrue import __version__
from holdtrue.engines.base import Engine, EngineFacts, EngineOptions, Reply, StopReason
from holdtrue.engines.checks import check_messages
from holdtrue.engines.secrets_env import redact_environment, scrub_environment
from holdtrue.engines.thinking import spoken
from holdtrue.errors import ConfigError, EngineError, GenerationError
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling

CONCURRENCY = 10
MAX_RETRIES = 4
SECONDS = 600
STOPS = {
    "stop": StopReason.STOP,
    "max_tokens": StopReason.LENGTH,
    "model_length": StopReason.LENGTH,
}


class InspectEngine(Engine):
    """Any provider that Inspect knows, with as many connections as ``concurrency``."""

    def __init__(self, model: str, options: EngineOptions | None = None) -> None:
        super().__init__(model, options or EngineOptions())
        self.name = model.removeprefix("inspect:")
        if "/" not in self.name:
            raise ConfigError(
                f"{model!r} names no provider", remedy="Write inspect:PROVIDER/MODEL."
            )
        self._model: Any = None
        self._served: set[str] = set()
        self._slots = asyncio.Semaphore(self.concurrency)

    async def __aenter__(self) -> Self:
        if importlib.util.find_spec("inspect_ai") is None:
            raise EngineError(
                f"{self.model} needs Inspect AI",
                remedy="Install it: pip install 'holdtrue[inspect]'",
            )
        _refuse(self.options)
        self._model = await asyncio.to_thread(self._get)
        self._slots = asyncio.Semaphore(self.concurrency)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        model, self._model = self._model, None
        if model is not None and hasattr(model.api, "aclose"):
            await model.api.aclose()

    @property
    def concurrency(self) -> int:
        return self.options.concurrency or CONCURRENCY

    def facts(self) -> EngineFacts:
        versions = {"holdtrue": __version__}
        if importlib.util.find_spec("inspect_ai") is not None:
            versions["inspect_ai"] = version("inspect_ai")
        if self._served:
            versions["served model"] = ", ".join(sorted(self._served))
        return EngineFacts(
            model=self.model,
            engine="inspect",
            source=self.name,
            device="remote",
            versions=versions,
            notes=("Inspect has no setting for min_p: not sent",),
        )

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Reply:
        """One reply. Raises GenerationError for whatever the provider raises, without keys."""
        if self._model is None:
            raise EngineError("the engine is not open")
        check_messages(messages)
        async with self._slots:
            started = time.monotonic()
            fault: GenerationError
            try:
                output = await self._model.generate(
                    as_chat(messages), config=self._config(sampling, seed)
                )
            except Exception as error:
                said = " ".join(scrub_environment(str(error)).split())[:300]
                fault = GenerationError(f"{self.name}: {type(error).__name__}: {said}")
            else:
                return self._reply(output, time.monotonic() - started)
        raise fault

    def _get(self) -> Any:
        from inspect_ai.model import GenerateConfig, ModelInfo, get_model, set_model_info

        # Without an entry for the model, Inspect builds the provider a second time to look it up,
        # which loads local weights twice.
        set_model_info(self.name, ModelInfo())
        try:
            return get_model(
                self.name,
                memoize=False,
                config=GenerateConfig(max_connections=self.concurrency, max_retries=MAX_RETRIES),
            )
        except Exception as error:
            said = " ".join(scrub_environment(str(error)).split())[:300]
        raise EngineError(
            f"{self.name}: {said}",
            remedy="Check the provider, its package and its key in the environment.",
        )

    def _config(self, sampling: Sampling, seed: int) -> Any:
        from inspect_ai.model import GenerateConfig

        return GenerateConfig(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k or None,
            max_tokens=sampling.max_tokens,
            seed=seed,
            **self._limits(),
        )

    def _limits(self) -> dict[str, Any]:
        """How Inspect's model layer is to treat each request."""
        return {
            "max_connections": self.concurrency,
            "max_retries": MAX_RETRIES,
            "timeout": SECONDS,
            "cache": False,
        }

    def _reply(self, output: Any, seconds: float) -> Reply:
        if output.error:
            said = " ".join(scrub_environment(str(output.error)).split())[:300]
            raise GenerationError(f"{self.name}: {said}")
        reason = str(output.stop_reason)
        if reason in ("content_filter", "tool_calls"):
            raise GenerationError(f"{self.name} did not answer ({reason.replace('_', ' ')})")
        text = spoken(output.completion).strip()
        if not text:
            raise GenerationError(f"{self.name} returned an empty message")
        if output.model:
            self._served.add(str(output.model)[:200])
        usage = output.usage
        return Reply(
            text=redact_environment(text),
            stop_reason=STOPS.get(reason, StopReason.UNKNOWN),
            prompt_tokens=usage.input_tokens if usage else None,
            completion_tokens=usage.output_tokens if usage else None,
            seconds=seconds,
        )


def as_chat(messages: Sequence[Message]) -> list[Any]:
    """Messages in Inspect's form."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds: dict[Role, Any] = {
        Role.SYSTEM: ChatMessageSystem,
        Role.USER: ChatMessageUser,
        Role.ASSISTANT: ChatMessageAssistant,
    }
    return [kinds[message.role](content=message.content) for message in messages]


def _refuse(options: EngineOptions) -> None:
    """Raises EngineError for what Inspect's provider decides."""
    for name, given in (("an adapter", options.adapter), ("bits", options.bits)):
        if given:
            raise EngineError(
                f"{name} cannot be given to a model behind Inspect",
                remedy="Use hf: or gguf: for a local model.",
            )
    if options.offline:
        raise EngineError(
            "a provider of Inspect may use the network, and offline was asked for",
            remedy="Use hf: or gguf: for a local model.",
        )
