"""How a GGUF model is laid out on this machine: servers, slots, threads, context.

A llama.cpp server batches the conversations in its slots; each slot keeps the key-value cache of
one conversation. Figures behind the choices: ``docs/measurements.md``.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from holdtrue.engines.base import EngineOptions
from holdtrue.engines.gguf_header import GgufHeader
from holdtrue.errors import ConfigError

CONTEXT = 2_048
LANES = 8
MAX_THREADS = 16
SERVER_BYTES = 90_000_000
MEMORY_SHARE = 0.6
MAX_SERVERS = 8
SMALL_BYTES = 300_000_000


@dataclass(frozen=True, slots=True)
class Layout:
    """``servers`` with ``slots`` conversations each, ``threads`` per server.

    ``context`` is in tokens per conversation. ``replayable``: equal seeds give equal text, which
    needs a slot's arithmetic to be independent of its neighbours (one slot a server).
    """

    servers: int
    slots: int
    threads: int
    context: int
    replayable: bool

    @property
    def lanes(self) -> int:
        """Conversations at once."""
        return self.servers * self.slots

    def as_dict(self) -> dict[str, Any]:
        return {
            "servers": self.servers,
            "slots": self.slots,
            "threads": self.threads,
            "context": self.context,
            "replayable": self.replayable,
        }


def plan_layout(
    options: EngineOptions,
    header: GgufHeader,
    *,
    cores: int,
    available: int,
    on_accelerator: bool = False,
) -> Layout:
    """The layout for ``cores`` and ``available`` bytes of memory.

    A small model on a processor gets servers of one slot and one thread, one a core: batching
    saves next to nothing where the weights stay in the processor's cache, while threads that
    wait for each other lose a lot beside a busy neighbour; and the same seeds give the same text.
    A larger one gets one server with many slots, which reads its weights once for all of them,
    unless it is to be reproducible. Raises ConfigError for a context beyond what the model was
    made for.
    """
    context = _context(options, header)
    asked = options.concurrency
    weights = None if on_accelerator else header.weight_bytes
    if wanted := wanted_servers(options, cores=cores, weights=weights):
        servers = asked or _fitting(wanted, header, context, available, servers=True)
        return Layout(servers, 1, options.threads or 1, context, replayable=not on_accelerator)
    threads = options.threads or min(cores, MAX_THREADS)
    lanes = asked or _fitting(LANES, header, context, available, servers=False)
    return Layout(1, lanes, threads, context, replayable=lanes == 1 and not on_accelerator)


def wanted_servers(options: EngineOptions, *, cores: int, weights: int | None) -> int:
    """Servers of one slot each, as far as memory allows; 0 for one server with many slots.

    ``weights`` are the bytes that a processor reads, None where it reads none or nobody knows.
    """
    small = weights is not None and weights <= SMALL_BYTES
    most = max(1, min(cores // (options.threads or 1), MAX_SERVERS))
    if options.reproducible or (small and (options.concurrency or 1) <= most):
        return options.concurrency or most
    return 0


def _context(options: EngineOptions, header: GgufHeader) -> int:
    """Tokens per conversation: what was asked for, or enough for the built-in protocols."""
    trained = header.context_length
    if options.context_length is None:
        return min(CONTEXT, trained or CONTEXT)
    if trained and options.context_length > trained:
        raise ConfigError(
            f"a context of {options.context_length:,} tokens is asked for; "
            f"the model was made for {trained:,}",
            where=str(header.path),
            remedy=f"Ask for --context {trained} at most.",
        )
    return options.context_length


def _fitting(
    wanted: int, header: GgufHeader, context: int, available: int, *, servers: bool
) -> int:
    """The most lanes up to ``wanted`` (halved until it fits) that leave memory for others."""
    room = MEMORY_SHARE * max(0, available - header.weight_bytes)
    each = (header.kv_bytes_per_token or 0) * context + (SERVER_BYTES if servers else 0)
    lanes = wanted
    while lanes > 1 and lanes * each > room:
        lanes //= 2
    return lanes


def usable_cores() -> int:
    """Physical cores that this process may use, within its affinity and a container's quota."""
    counts = [psutil.cpu_count(logical=False) or os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            counts.append(math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass
    return max(1, min(counts))
