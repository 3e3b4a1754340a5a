"""What an engine is: something that turns messages into one reply, several at once.

An engine knows nothing of personas, protocols or sessions. It never retries on its own account
what the runner should count as a failure, except transient faults of a remote server.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from holdtrue.messages import Message
from holdtrue.protocol import Sampling


class StopReason(StrEnum):
    """Why a reply ended: the model stopped, the token limit or context did, or nobody says."""

    STOP = "stop"
    LENGTH = "length"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. Token counts and seconds are None where the engine does not tell them."""

    text: str
    stop_reason: StopReason
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What is known of the model that spoke; None is unknown.

    ``parameters_*`` are counts, ``bits`` the mean bits per weight, ``file_bytes`` the size on
    disk, ``source_hash`` a sha256 of the weights (or a repository revision), ``template_system``
    the system message that the chat template inserts when a conversation has none,
    ``replayable`` whether equal seeds give equal text under the present settings, and ``notes``
    what could not be done as asked (a sampling setting that a server does not take), ``settings``
    how the engine was run (slots, threads, context, which mode).
    """

    model: str
    engine: str
    architecture: str | None = None
    parameters_total: int | None = None
    parameters_active: int | None = None
    bits: float | None = None
    file_bytes: int | None = None
    context_length: int | None = None
    source: str | None = None
    source_hash: str | None = None
    device: str | None = None
    template_system: str | None = None
    replayable: bool = False
    ablation: str | None = None
    adapter: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, in field order."""
        return {**dataclasses.asdict(self), "notes": list(self.notes)}


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to open an engine. None leaves the choice to the engine.

    ``concurrency`` is the number of conversations at once (1 asks for replayable output),
    ``log_path`` where the library's own log lines go, ``offline`` forbids any network.
    ``reproducible`` asks for equal text for equal seeds whatever the order and concurrency, at a
    price in speed. ``plain_template`` lets a base model without a chat template continue a plain
    transcript ("User: … Assistant: …") instead of being refused.
    """

    concurrency: int | None = None
    context_length: int | None = None
    threads: int | None = None
    log_path: Path | None = None
    device: str | None = None
    bits: int | None = None
    adapter: Path | None = None
    trust_remote_code: bool = False
    offline: bool = False
    reproducible: bool = False
    plain_template: bool = False


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """What loading took: seconds, and the process's memory before and after in bytes."""

    seconds: float
    memory_before: int
    memory_after: int


class Engine(ABC):
    """A loaded model. Enter it to load, leave it to free what it took.

    Raises EngineError from ``__aenter__`` when the model cannot be loaded, GenerationError from
    ``generate`` when one reply failed. ``load`` is set once a local model is loaded, by engines
    that load one in this process (``memory.LoadMeter`` measures it).
    """

    load: LoadFigures | None = None

    def __init__(self, model: str, options: EngineOptions) -> None:
        self.model = model
        self.options = options

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    @property
    @abstractmethod
    def concurrency(self) -> int:
        """How many conversations it serves well at once (at least 1)."""

    @abstractmethod
    def facts(self) -> EngineFacts:
        """What is known of the model; complete once it is loaded."""

    @abstractmethod
    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Reply:
        """One reply to ``messages`` (at least one; the last from system or user).

        ``seed`` is a non-negative 32-bit integer, derived per turn by the session.
        """
