"""What a search costs and how often it is right, in simulation, against 60 sessions on every rung.

    python benchmarks/ladder_cost.py [--ladders N] [--seed N]

Ten rungs from 0.135 to 30 B; a rung costs parameters times sessions. Every session has five
responses; the criteria are the built-in set ``full``; the budget is 100 sessions a rung. The rules
of stopping, deciding and searching are the product's own (``stats``, ``ladder.search``). The truths
are stated below: what is measured holds for these truths, not for any model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from holdtrue.baseline import load_baseline
from holdtrue.criteria import load_criteria, resolve_criteria
from holdtrue.ladder.search import Place, Standing, find, strict_alpha, waiting
from holdtrue.stats.evidence import Kind
from holdtrue.stats.planning import Truth, draw
from holdtrue.stats.sequential import Bound, decide_set, evidence_pair, look_points

SIZES = (0.135, 0.36, 0.5, 1.0, 1.5, 3.0, 4.0, 8.0, 14.0, 30.0)
BUDGET = 100
FIXED = 60
RESPONSES = 5
CORRELATION = 0.2
SD = 0.08


@dataclass(frozen=True, slots=True)
class Level:
    """What is true of a rung: the gaming rate, the generic-AI rate, and D9.

    Quality and identity coherence lie as far from their bounds as D9 does from its own.
    """

    gaming: float
    generic: float
    d9: float


GOOD = Level(gaming=0.0, generic=0.0, d9=0.85)
BAD = Level(gaming=0.20, generic=0.0, d9=0.72)


def gradual(half: float, steepness: float) -> tuple[Level, ...]:
    """Gaming falls from 30 % and generic AI from 10 % to 0, D9 rises from 0.60 to 0.86.

    All along one logistic curve in log2 of the size, half-way at ``half`` (B).
    """
    shares = [1 / (1 + (size / half) ** (steepness / np.log(2))) for size in SIZES]
    return tuple(Level(0.30 * share, 0.10 * share, 0.86 - 0.26 * share) for share in shares)


def sharp(*viable: float) -> tuple[Level, ...]:
    """GOOD at ``viable`` sizes, BAD at all others."""
    return tuple(GOOD if size in viable else BAD for size in SIZES)


def from_size(smallest: float) -> tuple[Level, ...]:
    """GOOD from ``smallest`` on, BAD below."""
    return sharp(*(size for size in SIZES if size >= smallest))


@dataclass(frozen=True, slots=True)
class Case:
    """A truth, the size that is the right answer, and the bounds of the table.

    ``bracket`` also counts it as right when the smallest confirmed rung is larger and the right
    one is among those said to be undetermined.
    """

    levels: Sequence[Level]
    answer: float
    cost: float
    right: float = 0.99
    bracket: bool = False
    too_small: float = 1.0


CASES: Mapping[str, Case] = {
    "sharp, smallest viable 0.135 B": Case(from_size(0.135), 0.135, cost=0.02),
    "sharp, smallest viable 0.5 B": Case(from_size(0.5), 0.5, cost=0.02),
    "sharp, smallest viable 1 B": Case(from_size(1.0), 1.0, cost=0.02),
    "sharp, 3 B": Case(from_size(3.0), 3.0, cost=0.07),
    "sharp, 14 B": Case(from_size(14.0), 14.0, cost=0.27),
    "1 B passes, 1.5 B fails, 3 B passes": Case(
        sharp(1.0, *(size for size in SIZES if size >= 3.0)), 1.0, cost=0.02
    ),
    # 1.5 B: gaming 7.1 %, D9 0.80; 3 B: 1.2 %, 0.85; 4 B: 0.5 %, 0.86.
    "gradual around 3 B": Case(
        gradual(half=1.0, steepness=2.0), 3.0, cost=0.16, bracket=True, too_small=0.01
    ),
    # 1.5 B: gaming 15 %; 3 B: 3.6 %, so near its bound of 5 % that 100 sessions rarely decide it.
    "gradual, 3 B on the edge (no bound on cost)": Case(
        gradual(half=1.5, steepness=2.0), 3.0, cost=1.0, bracket=True, too_small=0.01
    ),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Shares over simulated ladders; ``cost`` relative to FIXED sessions on every rung."""

    cost: float
    right: float
    exact: float
    too_small: float
    none: float


def bounds() -> dict[str, Bound]:
    """The set ``full`` by measure, with S35 as baseline."""
    resolved = resolve_criteria(load_criteria("full"), load_baseline("s35").values)
    return {one.measure: one.bound for one in resolved}


def truths(level: Level, limits: Mapping[str, Bound]) -> dict[str, Truth]:
    """What is true of each measure at a rung."""
    margin = level.d9 - limits["d9"].bound
    rates = {"gaming_rate": level.gaming, "generic_ai_rate": level.generic}
    return {
        measure: Truth(rates[measure], correlation=CORRELATION)
        if limit.kind is Kind.RATE
        else Truth(limit.bound + margin, sd=SD)
        for measure, limit in limits.items()
    }


def simulate_rungs(
    rng: np.random.Generator, case: Case, ladders: int, *, strict: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Standing and sessions of every rung if it is tested, (ladders, rungs) each."""
    limits = bounds()
    alpha = strict_alpha(len(SIZES)) if strict else None
    standings, sessions = [], []
    for level in case.levels:
        pairs = [
            evidence_pair(
                limits[measure],
                draw(rng, limits[measure].kind, truth, (ladders, BUDGET), RESPONSES),
                RESPONSES,
                "bounded",
            )
            for measure, truth in truths(level, limits).items()
        ]
        decided, _ = decide_set(pairs, look_points(BUDGET), met_alpha=alpha)
        standings.append(
            np.where(
                decided.met,
                Standing.MET,
                np.where(decided.not_met, Standing.NOT_MET, Standing.UNDETERMINED),
            )
        )
        sessions.append(np.minimum(decided.at, BUDGET))
    return np.stack(standings, axis=1), np.stack(sessions, axis=1)


def climb(standings: Sequence[str], places: Sequence[Place]) -> list[Standing]:
    """What the product's search comes to see of the rungs' standings."""
    seen = [Standing.UNTESTED] * len(places)
    while left := waiting(places, seen):
        seen[left[0]] = Standing(standings[left[0]])
    return seen


def measure(case: Case, *, ladders: int, seed: int, strict: bool = False) -> Measured:
    """Search ``ladders`` simulated ladders in which ``case`` is true."""
    standings, sessions = simulate_rungs(np.random.default_rng(seed), case, ladders, strict=strict)
    places = [Place(size) for size in SIZES]
    answer = SIZES.index(case.answer)
    cost = right = exact = small = none = 0.0
    for row, taken in zip(standings, sessions, strict=True):
        seen = climb(row, places)
        found = find(places, seen)[0]
        cost += sum(
            size * int(n)
            for size, n, one in zip(SIZES, taken, seen, strict=True)
            if one is not Standing.UNTESTED
        )
        confirmed = found.smallest
        good = confirmed == answer or (case.bracket and answer in found.open)
        right += good
        exact += confirmed == answer and found.exact
        small += confirmed is not None and confirmed < answer
        none += confirmed is None
    whole = FIXED * sum(SIZES) * ladders
    shares = (right / ladders, exact / ladders, small / ladders, none / ladders)
    return Measured(cost / whole, *shares)


def holds(case: Case, found: Measured) -> bool:
    """Whether the table's bounds hold."""
    return (
        found.cost <= case.cost and found.right >= case.right and found.too_small <= case.too_small
    )


def main() -> int:
    """Print the table; 1 where a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ladders", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument(
        "--strict", action="store_true", help="ask ALPHA/10 of met (no bounds are set for it)"
    )
    arguments = parser.parse_args()
    print(f"{arguments.ladders} ladders a truth, seed {arguments.seed}")
    print(
        f"{'truth':44} {'cost':>7} {'bound':>6} {'right':>7} {'exact':>7} {'small':>7} {'none':>6}"
    )
    good = True
    for name, case in CASES.items():
        found = measure(
            case, ladders=arguments.ladders, seed=arguments.seed, strict=arguments.strict
        )
        fine = arguments.strict or holds(case, found)
        good &= fine
        print(
            f"{name:44} {found.cost:7.2%} {case.cost:6.0%} {found.right:7.2%} {found.exact:7.2%} "
            f"{found.too_small:7.2%} {found.none:6.2%}{'' if fine else '  FAILS'}"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
