"""How many sessions a decision may still take. Rough by nature, and labelled so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdtrue.stats.evidence import ALPHA, Array, Mode
from holdtrue.stats.sequential import NEVER, Bound, decide_set, evidence_pair, first_look
from holdtrue.verdict.stream import Column
from holdtrue.verdict.types import Forecast

LIMIT = 400
RESAMPLES = 100
FEWEST = 4
SEED = 20261123


def clean_forecast(
    bound: Bound, column: Column, mode: Mode, batch: int, met_alpha: float = ALPHA
) -> int | None:
    """Total sessions until the criterion is met if all further ones are clean.

    Clean is the best that a session can be: no event, full score. So this is the earliest that
    is possible; None where even that does not meet it within LIMIT sessions.
    """
    values, responses = _continued(bound, column)
    met, _ = evidence_pair(bound, values, responses, mode)
    at = int(first_look(met, _later_looks(column, batch), met_alpha))
    return at if at < NEVER else None


def forecast_set(
    bounds: Sequence[Bound],
    columns: Sequence[Column],
    mode: Mode,
    batch: int,
    met_alpha: float = ALPHA,
) -> Forecast:
    """When the set may be decided: if all goes well, and by bootstrap from the sessions seen."""
    pairs = [
        evidence_pair(bound, *_continued(bound, column), mode)
        for bound, column in zip(bounds, columns, strict=True)
    ]
    decided, _ = decide_set(pairs, _later_looks(columns[0], batch), met_alpha=met_alpha)
    clean = int(decided.met_at) if decided.met else None
    if len(columns[0].values) < FEWEST:
        note = f"fewer than {FEWEST} sessions: no bootstrap"
        return Forecast(clean=clean, limit=LIMIT, note=note)
    low, median, high = _bootstrap(bounds, columns, mode, batch, met_alpha)
    note = f"rough: bootstrap of {len(columns[0].values)} sessions, {RESAMPLES} resamples"
    return Forecast(clean=clean, median=median, low=low, high=high, limit=LIMIT, note=note)


def _bootstrap(
    bounds: Sequence[Bound],
    columns: Sequence[Column],
    mode: Mode,
    batch: int,
    met_alpha: float,
) -> tuple[int | None, int | None, int | None]:
    """Quartiles of the session count at a decision, None where it lies beyond LIMIT.

    Sessions are resampled whole, so that measures of one session stay together. The seed is
    fixed, so that a verdict stays a function of its sessions.
    """
    rng = np.random.default_rng(SEED)
    seen = len(columns[0].values)
    drawn = rng.integers(0, seen, (RESAMPLES, max(0, LIMIT - seen)))
    pairs = []
    for bound, column in zip(bounds, columns, strict=True):
        past = np.broadcast_to(column.values, (RESAMPLES, seen))
        k_past = np.broadcast_to(column.responses, (RESAMPLES, seen))
        values = np.concatenate([past, column.values[drawn]], axis=1)
        responses = np.concatenate([k_past, column.responses[drawn]], axis=1)
        pairs.append(evidence_pair(bound, values, responses, mode))
    decided, _ = decide_set(pairs, _later_looks(columns[0], batch), met_alpha=met_alpha)
    ordered = np.sort(decided.at)
    quartiles = [int(ordered[int(share * (RESAMPLES - 1))]) for share in (0.25, 0.5, 0.75)]
    low, median, high = (at if at < NEVER else None for at in quartiles)
    return low, median, high


def _later_looks(column: Column, batch: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Looks at whole batches, those that are past included: what they decided stays decided."""
    end = max(LIMIT, len(column.values))
    return np.arange(batch, end + 1, batch, dtype=np.int64)


def _continued(bound: Bound, column: Column) -> tuple[Array, Array]:
    """The sessions seen, and further clean ones up to LIMIT."""
    more = max(0, LIMIT - len(column.values))
    size = float(np.median(column.responses)) if len(column.responses) else 5.0
    values = np.concatenate([column.values, np.full(more, bound.best)])
    return values, np.concatenate([column.responses, np.full(more, size)])
