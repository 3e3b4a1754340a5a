"""200 kills at random moments of a scripted run, by the command line, and as many resumes.

Each run is killed up to five times, then goes on to its end and is compared with one that nothing
interrupted: turns repeated, turns lost, replies, verdicts, what `holdtrue verify` finds, and the
entries of the status file and the work log.

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


def main(kills: int) -> int:
    rng = np.random.default_rng(20_261_123)
    found: dict[str, int] = dict.fromkeys(
        ("repeated", "lost", "said otherwise", "verdicts unequal", "differences", "announced"), 0
    )
    with tempfile.TemporaryDirectory() as folder:
        whole = kill_and_resume(Path(folder) / "whole", 0, rng, 0.0)
        hit = runs = 0
        while hit < kills:
            runs += 1
            cut = kill_and_resume(
                Path(folder) / f"run{runs}", min(KILLS_A_RUN, kills - hit), rng, 0.1
            )
            hit += cut.kills
            found["repeated"] += cut.repeated
            found["lost"] += cut.lost
            found["said otherwise"] += cut.said != whole.said
            found["verdicts unequal"] += cut.verdict != whole.verdict
            found["differences"] += cut.differences
            found["announced"] += cut.announced != whole.announced
            print(f"{hit} kills in {runs} runs: {found}", flush=True)
    print(
        f"{hit} kills in {runs} runs, each gone on with to its end: {found['repeated']} turns "
        f"repeated, {found['lost']} lost, {found['said otherwise']} runs that say otherwise, "
        f"{found['verdicts unequal']} verdicts unequal, {found['differences']} differences found "
        f"by verify, {found['announced']} runs announced more or less than once"
    )
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
