from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fuzzing import Reader, fuzz, readers, shares

MORE_FILES = ("adapter", "ladder folder", "dataset")


@pytest.mark.parametrize("reader", readers(), ids=lambda reader: reader.name)
def test_a_well_formed_file_is_read(reader: Reader, tmp_path: Path) -> None:
    if reader.name in MORE_FILES:
        pytest.skip("more files belong to it; this seed is a start for mutations")
    path = tmp_path / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    for seed in reader.seeds:
        path.write_bytes(seed)
        assert reader.read(path)


@pytest.mark.parametrize("reader", readers(), ids=lambda reader: reader.name)
def test_a_damaged_file_gives_an_expected_error_or_a_value(reader: Reader, tmp_path: Path) -> None:
    problems = [
        problem
        for problem in fuzz(reader, 200, tmp_path, np.random.default_rng(5))
        if not problem.what.startswith("over")
    ]
    assert problems == []


def test_a_budget_is_split_so_that_no_reader_is_left_out() -> None:
    counts = shares(readers(), 1_000)
    assert min(counts) > 10
    assert sum(counts) >= 1_000
