"""Whether loading and unloading rungs leaks memory: many loads of ablated models in one process.

    python benchmarks/ladder_memory.py [--rungs N]

Each rung is loaded by the engine as a ladder loads it, speaks a few tokens in several conversations
and is freed. Compared are the highest peak over N rungs and the highest that any of the same rungs
reaches alone in a process of its own; the bound is 1.2. Fetches the embedded model if need be.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys

from holdtrue.engines.base import EngineOptions
from holdtrue.engines.memory import PeakMeter, release, resident
from holdtrue.engines.registry import open_engine
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling

MODELS = (
    "smollm2-135m@layers=20",
    "smollm2-135m@layers=24",
    "smollm2-135m@bits=3",
    "smollm2-135m@layers=27",
    "smollm2-135m",
)
BOUND = 1.2
CONVERSATIONS = 8


async def speak(model: str) -> int:
    """Load ``model``, let it speak, free it; the peak memory of the process meanwhile, in bytes."""
    prompt = "Tell me what you notice in this room, and what you remember of the last time. " * 8
    messages = [
        Message(Role.SYSTEM, "You are SAGE, a young AI in partnership with the Teacher."),
        Message(Role.USER, prompt),
    ]
    with PeakMeter() as peak:
        async with open_engine(model, EngineOptions()) as engine:
            await asyncio.gather(
                *(
                    engine.generate(messages, Sampling(max_tokens=24), seed=seed)
                    for seed in range(CONVERSATIONS)
                ),
                return_exceptions=True,  # what a cut model says, or whether, does not matter here
            )
    release()
    return peak.resident


def peaks_of(models: list[str]) -> list[tuple[int, int]]:
    """For each rung in turn the peak while it was loaded and what was held after it was freed."""
    return [(asyncio.run(speak(model)), resident()) for model in models]


def alone(model: str) -> int:
    """The peak of one rung in a fresh process."""
    command = [sys.executable, __file__, "--child", model]
    return int(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def main() -> int:
    """Print the peaks; 1 where the bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rungs", type=int, default=10)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(peaks_of([arguments.child])[0][0]))
        return 0
    singles = {model: alone(model) for model in MODELS}
    for model, peak in singles.items():
        print(f"alone   {model:26} peak {peak / 1e6:7.1f} MB")
    rungs = [MODELS[position % len(MODELS)] for position in range(arguments.rungs)]
    together = peaks_of(rungs)
    for model, (peak, after) in zip(rungs, together, strict=True):
        print(f"ladder  {model:26} peak {peak / 1e6:7.1f} MB, freed {after / 1e6:7.1f} MB")
    ratio = max(peak for peak, _ in together) / max(singles.values())
    print(f"peak after {len(rungs)} rungs: {ratio:.3f} of the largest rung's (at most {BOUND})")
    return 0 if ratio <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
