"""200 kills at random moments of a scripted run: turns repeated, turns lost, verdicts equal.

Usage: python benchmarks/kill_resume.py [KILLS]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "trust"))
from killing import kill_and_resume

KILLS_A_RUN = 5


def main(kills: int) -> None:
    rng = np.random.default_rng(20_261_123)
    with tempfile.TemporaryDirectory() as folder:
        whole = kill_and_resume(Path(folder) / "whole", 0, rng, 0.0).verdict
        hit = repeated = missing = unequal = runs = 0
        while hit < kills:
            runs += 1
            cut = kill_and_resume(Path(folder) / f"run{runs}", KILLS_A_RUN, rng, 0.1)
            hit += cut.kills
            repeated += cut.repeated
            missing += cut.missing
            unequal += cut.verdict != whole
    print(
        f"{hit} kills in {runs} runs: {repeated} turns repeated, {missing} lost, "
        f"{unequal} verdicts unequal"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
