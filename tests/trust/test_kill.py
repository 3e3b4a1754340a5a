from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from killing import kill_and_resume


def test_a_killed_run_resumes_without_repeating_or_losing_a_turn(tmp_path: Path) -> None:
    whole = kill_and_resume(tmp_path / "whole", 0, np.random.default_rng(0), 0.0)
    cut = kill_and_resume(tmp_path / "cut", 3, np.random.default_rng(1), 0.1)
    assert cut.kills >= 2
    assert (cut.repeated, cut.lost, cut.differences) == (0, 0, 0)
    assert cut.verdict == whole.verdict
    assert cut.said == whole.said
    assert cut.announced == whole.announced == (1, 1)
