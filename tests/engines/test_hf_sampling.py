"""Drawing tokens: against transformers' own filters, and against counted frequencies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from holdtrue.engines.hf_sampling import Draw, choose, kept_count, pick_from
from holdtrue.protocol import Sampling

torch = pytest.importorskip("torch")
process = pytest.importorskip("transformers.generation.logits_process")
LOGITS = arrays(np.float32, st.integers(1, 40), elements=st.floats(-8, 8, width=32))


@settings(
    deadline=None,
    derandomize=True,
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    logits=LOGITS,
    top_k=st.integers(0, 45),
    top_p=st.floats(0.05, 1),
    min_p=st.floats(0, 0.9),
)
def test_what_is_kept_is_what_the_filters_of_transformers_keep(
    logits: np.ndarray, top_k: int, top_p: float, min_p: float
) -> None:
    # All different: of equal logits on the edge, transformers' top-k keeps all and ours k.
    falling = (-np.sort(-logits) - 0.01 * np.arange(len(logits))).astype(np.float32)
    scores = torch.tensor(falling)[None]
    # Rounding decides on which side a tie of the limit falls: keep clear of it.
    shares = np.exp(falling - falling[0], dtype=np.float64)
    if min_p and np.any(np.abs(shares - min_p) < 1e-5):
        return
    steps = []
    if top_k:
        steps.append(process.TopKLogitsWarper(top_k))
        shares = shares[: max(1, min(top_k, len(shares)))]
    if np.any(np.abs(np.cumsum(shares / shares.sum()) - top_p) < 1e-5):
        return
    if top_p < 1:
        steps.append(process.TopPLogitsWarper(top_p))
    if min_p > 0:
        steps.append(process.MinPLogitsWarper(min_p))
    for step in steps:
        scores = step(None, scores)
    kept = kept_count(falling, Sampling(top_k=top_k, top_p=top_p, min_p=min_p, temperature=1))
    assert kept == int(torch.isfinite(scores).sum())


def test_frequencies_follow_the_tempered_probabilities() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    sampling = Sampling(temperature=2, top_p=1, top_k=3, min_p=0)
    rng = np.random.default_rng(12)
    counts = np.zeros(4)
    for _ in range(20_000):
        counts[pick_from(logits, sampling, rng)] += 1
    roots = np.sqrt([0.5, 0.3, 0.15])
    expected = roots / roots.sum()
    assert counts[3] == 0
    for count, share in zip(counts, expected, strict=False):
        error = 4 * math.sqrt(share * (1 - share) / 20_000)
        assert count / 20_000 == pytest.approx(share, abs=error)


def test_temperature_zero_takes_the_first_and_uses_no_randomness() -> None:
    rng = np.random.default_rng(1)
    assert pick_from(np.array([1.0, 1.0], dtype=np.float32), Sampling(temperature=0), rng) == 0
    assert rng.uniform() == np.random.default_rng(1).uniform()


def test_min_p_counts_from_the_likeliest_and_top_p_reaches_its_share() -> None:
    logits = np.log(np.array([0.4, 0.35, 0.2, 0.05], dtype=np.float32))
    whole = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    assert kept_count(logits, Sampling(**{**whole, "min_p": 0.6})) == 2
    assert kept_count(logits, Sampling(**{**whole, "top_p": 0.7})) == 2
    assert kept_count(logits, Sampling(**{**whole, "top_p": 0.8})) == 3
    assert kept_count(logits, Sampling(**{**whole, "top_k": 1})) == 1
    assert kept_count(logits, Sampling(**whole)) == 4


def test_each_row_draws_with_its_own_numbers_whatever_its_neighbours() -> None:
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(1))
    free = Sampling(temperature=2, top_p=1, top_k=0, min_p=0)
    alone = [choose(logits[row : row + 1], [Draw(free, row)])[0] for row in range(3)]
    assert choose(logits, [Draw(free, row) for row in range(3)]) == alone
    narrow = Draw(Sampling(temperature=0), 5)
    mixed = choose(logits, [Draw(free, 0), narrow, Draw(free, 2)])
    assert mixed == [alone[0], int(logits[1].argmax()), alone[2]]


def test_a_row_that_is_not_all_numbers_draws_nothing() -> None:
    logits = torch.zeros(3, 5)
    logits[1, 2] = torch.nan
    logits[2] = -torch.inf
    draws = [Draw(Sampling(), seed) for seed in range(3)]
    tokens = choose(logits, draws)
    assert tokens[0] is not None
    assert tokens[1:] == [None, None]
