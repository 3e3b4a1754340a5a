from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fuzzing import Reader, fuzz, readers


@pytest.mark.parametrize("reader", readers(), ids=lambda reader: reader.name)
def test_a_well_formed_file_is_read(reader: Reader, tmp_path: Path) -> None:
    if reader.name in ("importers, .eval", "run folder"):
        pytest.skip("this seed is only a start for mutations")
    path = tmp_path / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    for seed in reader.seeds:
        path.write_bytes(seed)
        if seed.startswith(b"# The control arm"):
            continue  # cut short, to be quick
        assert reader.read(path)


@pytest.mark.parametrize("reader", readers(), ids=lambda reader: reader.name)
def test_a_damaged_file_gives_an_expected_error_or_a_value(reader: Reader, tmp_path: Path) -> None:
    problems = [
        problem
        for problem in fuzz(reader, 200, tmp_path, np.random.default_rng(5))
        if not problem.what.startswith("over")
    ]
    assert problems == []
