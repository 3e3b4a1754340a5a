"""Damaged files for every reader of files that others wrote: crashes, and inputs over a second.

The inputs are split so that slow readers get fewer; each reader's are drawn from SEED and its name.

Usage: python benchmarks/fuzz_readers.py [INPUTS] [SEED]
"""

from __future__ import annotations

import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "trust"))
from fuzzing import fuzz, readers, shares


def main(inputs: int, seed: int) -> int:
    every = readers()
    counts = shares(every, inputs)
    found = 0
    for reader, count in zip(every, counts, strict=True):
        rng = np.random.default_rng([seed, zlib.crc32(reader.name.encode())])
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            problems = list(fuzz(reader, count, Path(folder), rng))
        found += len(problems)
        seconds = time.perf_counter() - started
        print(
            f"{reader.name:25} {count:9,} inputs {seconds:7.1f} s {len(problems):4} problems",
            flush=True,
        )
        kinds = {problem.what[:60]: problem for problem in problems}
        for problem in list(kinds.values())[:5]:
            print(f"    {problem.what[:200]}\n    {problem.content[:300]!r}", flush=True)
    print(f"{sum(counts):,} inputs, {found} problems")
    return 1 if found else 0


if __name__ == "__main__":
    arguments = [int(value) for value in sys.argv[1:]]
    sys.exit(main(*(arguments + [1_000_000, 0][len(arguments) :])))
