"""Damaged files for every reader of files that others wrote: crashes, and inputs over a second.

Usage: python benchmarks/fuzz_readers.py [INPUTS] [SEED]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "trust"))
from fuzzing import fuzz, readers


def main(inputs: int, seed: int) -> int:
    every = readers()
    rng = np.random.default_rng(seed)
    count = -(-inputs // len(every))
    found = 0
    for reader in every:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            problems = list(fuzz(reader, count, Path(folder), rng))
        found += len(problems)
        seconds = time.perf_counter() - started
        print(
            f"{reader.name:20} {count:9,} inputs {seconds:7.1f} s {len(problems):4} problems",
            flush=True,
        )
        for problem in problems[:3]:
            print(f"    {problem.what[:200]}\n    {problem.content[:300]!r}", flush=True)
    print(f"{count * len(every):,} inputs, {found} problems")
    return 1 if found else 0


if __name__ == "__main__":
    arguments = [int(value) for value in sys.argv[1:]]
    sys.exit(main(*(arguments + [1_000_000, 0][len(arguments) :])))
