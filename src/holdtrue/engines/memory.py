"""How much memory there is and how much a process and its accelerators hold.

Where a figure cannot be had it is None, never zero. It does not predict: see ``estimate.py``.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import platform
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from holdtrue.engines.base import LoadFigures


def resident() -> int:
    """Bytes of main memory that this process holds now."""
    return int(psutil.Process().memory_info().rss)


def peak_resident() -> int | None:
    """The most bytes of main memory that this process has held; None where nobody says."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def release() -> None:
    """Give freed memory back to the system, between two models.

    glibc keeps what was freed for the next request, in an arena for each thread that ever asked;
    over several models that adds up. Elsewhere this only collects garbage.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def available(control_groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of main memory that can still be had, the limit of a container included."""
    free = int(psutil.virtual_memory().available)
    room = _group_room(control_groups)
    return free if room is None else max(0, min(free, room))


def _group_room(root: Path) -> int | None:
    """What the process's control group still allows; None where there is no limit.

    Files kept in memory count as free, since the system gives them up first.
    """
    for limit, used, stat in (
        ("memory.max", "memory.current", "memory.stat"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
        ),
    ):
        try:
            room = int((root / limit).read_text()) - int((root / used).read_text())
            counts = dict(line.split() for line in (root / stat).read_text().splitlines())
            return room + int(counts.get("inactive_file", 0)) + int(counts.get("active_file", 0))
        except (OSError, ValueError):  # no such interface, or no limit ("max")
            continue
    return None


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One accelerator: ``total`` and ``used`` in bytes, None where its memory is the machine's.

    Machines of unified memory (Apple silicon, NVIDIA's Jetson and GB10) report no memory of
    their own; there the process's main memory is what counts.
    """

    name: str
    total: int | None
    used: int | None

    @property
    def is_unified(self) -> bool:
        return self.total is None


def accelerators() -> tuple[Accelerator, ...]:
    """The accelerators that NVML knows, or else those that an already imported torch sees."""
    return _from_nvml() or _from_torch()


def _from_nvml() -> tuple[Accelerator, ...]:
    try:
        import pynvml
    except ImportError:
        return ()
    found: list[Accelerator] = []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            name = pynvml.nvmlDeviceGetName(handle)
            name = name.decode() if isinstance(name, bytes) else str(name)
            try:
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                found.append(Accelerator(name, int(memory.total), int(memory.used)))
            except pynvml.NVMLError:
                found.append(Accelerator(name, None, None))
    except pynvml.NVMLError:
        return tuple(found)
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    return tuple(found)


def _from_torch() -> tuple[Accelerator, ...]:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return ()
    if torch.cuda.is_available():
        found = []
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            found.append(Accelerator(torch.cuda.get_device_name(index), total, total - free))
        return tuple(found)
    if torch.backends.mps.is_available():
        return (Accelerator("Apple GPU", None, None),)
    return ()


class LoadMeter:
    """Measures what a ``with`` block that loads a model takes; read ``figures`` afterwards."""

    figures: LoadFigures | None = None

    def __enter__(self) -> Self:
        self._before = resident()
        self._started = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            seconds = time.monotonic() - self._started
            self.figures = LoadFigures(seconds, self._before, resident())


class PeakMeter:
    """The most memory held during a ``with`` block, sampled every few milliseconds.

    ``resident`` counts this process, ``accelerator`` the sum over accelerators with memory of
    their own (None where there is none). A peak shorter than the interval may be missed.
    """

    def __init__(self, interval: float = 0.02) -> None:
        self.interval = interval
        self.resident = 0
        self.accelerator: int | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        self._look()

    def _sample(self) -> None:
        while not self._done.wait(self.interval):
            self.resident = max(self.resident, resident())

    def _look(self) -> None:
        self.resident = max(self.resident, resident())
        used = [card.used for card in accelerators() if card.used is not None]
        if used:
            self.accelerator = max(self.accelerator or 0, sum(used))
