"""Error rates and costs of the verdict, by simulation: the reference figures, row by row.

    python benchmarks/error_rates.py [--tests 2000] [--seed 20261123]

Every figure is printed beside its bound; the exit code is 1 when a row does not hold. Rows without
a bound are information: outside what bounded mode assumes, or at settings that the reference does
not name. The tests run the same rows with fewer simulated tests. What is simulated: sessions of
five responses, rates beta-binomial, scores beta; the costs take scores with a deviation of 0.08
between sessions, the middle of the deviations that the error rates are checked at.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from holdtrue.criteria import load_criteria, resolve_criteria
from holdtrue.stats.compare import compare_means, holm
from holdtrue.stats.evidence import (
    ALPHA,
    MAX_CORRELATION,
    MAX_SD,
    Direction,
    Kind,
    Mode,
    Side,
    bets,
    log_evidence,
    rate_variance,
    threshold,
)
from holdtrue.stats.planning import Truth, draw_rates, draw_scores, simulate_tests
from holdtrue.stats.sequential import NEVER, Bound, evidence_pair, first_look, look_points

TESTS = 2_000
SEED = 20261123
RESPONSES = 5
BUDGET = 60
COST_SD = 0.08
CEILINGS = (0.02, 0.03, 0.05, 0.08, 0.10, 0.15, 0.20)
CLEAN = {
    Mode.BOUNDED: (97, 64, 39, 24, 19, 13, 10),
    Mode.FREE: (157, 104, 62, 38, 30, 20, 15),
}
CORRELATIONS = (0.0, 0.2, 0.4, 0.5)
DEVIATIONS = (0.05, 0.08, 0.12)
FLOORS = (0.539, 0.700, 0.750, 0.760)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure and what it must be; no bound is information only."""

    what: str
    value: float
    bound: float | None
    at_least: bool = False

    @property
    def holds(self) -> bool:
        if self.bound is None:
            return True
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def bounds_of(name: str) -> list[Bound]:
    """The bounds of a built-in criteria set."""
    return [one.bound for one in resolve_criteria(load_criteria(name), {})]


def clean_sessions(ceiling: float, mode: Mode) -> int:
    """Sessions without an event until a rate is met, looking after each."""
    logs = log_evidence(
        np.zeros(400),
        ceiling,
        kind=Kind.RATE,
        direction=Direction.AT_MOST,
        side=Side.MET,
        mode=mode,
        responses=RESPONSES,
    )
    return int(np.argmax(logs >= threshold())) + 1


def false_met(
    rng: np.random.Generator, bound: Bound, truth: Truth, mode: Mode, tests: int
) -> float:
    """Share of tests that come out met with the truth on the bound, looking after every session."""
    shape = (tests, BUDGET)
    if bound.kind is Kind.RATE:
        values = draw_rates(rng, truth.mean, truth.correlation, shape, RESPONSES)
    else:
        values = draw_scores(rng, truth, shape)
    met, _ = evidence_pair(bound, values, RESPONSES, mode)
    return float((first_look(met, look_points(BUDGET, 1)) < NEVER).mean())


def false_met_rows(rng: np.random.Generator, tests: int) -> Iterator[Row]:
    for mode in Mode:
        for ceiling in (0.05, 0.10):
            bound = Bound(Kind.RATE, Direction.AT_MOST, ceiling)
            for correlation in CORRELATIONS:
                truth = Truth(ceiling, correlation=correlation)
                yield Row(
                    f"false met, {mode}, rate = {ceiling:.0%}, correlation {correlation:g}",
                    false_met(rng, bound, truth, mode, tests),
                    0.05,
                )
        for floor in FLOORS:
            bound = Bound(Kind.SCORE, Direction.AT_LEAST, floor)
            for truth in score_truths(floor):
                rate = false_met(rng, bound, truth, mode, tests)
                inside = mode is Mode.FREE or truth.total_sd <= MAX_SD
                tail = ""
                if truth.collapsed:
                    tail = f", 5 % collapsed to {truth.collapsed_score:g}"
                outside = "" if inside else " (outside the assumption)"
                what = f"score = {floor:g}, deviation {truth.total_sd:.3f}{tail}{outside}"
                yield Row(f"false met, {mode}, {what}", rate, 0.05 if inside else None)


def score_truths(floor: float) -> Iterator[Truth]:
    """Scores with their mean on the floor: as they are, and with a tail of collapsed sessions."""
    for sd in DEVIATIONS:
        yield Truth(floor, sd=sd)
        for score in (0.4, 0.2):
            yield Truth(floor, sd=sd, collapsed=0.05, collapsed_score=score)


def false_not_met_rows(rng: np.random.Generator, tests: int) -> Iterator[Row]:
    bounds = bounds_of("full")
    for mode in Mode:
        for correlation, sd in ((0.0, 0.05), (0.2, 0.08), (0.5, 0.12)):
            truths = [Truth(one.bound, correlation=correlation, sd=sd) for one in bounds]
            outcome = simulate_tests(
                rng, bounds, truths, tests=tests, batch=1, budget=BUDGET, mode=mode
            )
            yield Row(
                f"false overall not met, {mode}, all five on their bounds, correlation "
                f"{correlation:g}, deviation {sd:g}",
                outcome.shares[1],
                0.05,
            )


def mean_sessions(
    rng: np.random.Generator, name: str, gaming: float, d9: float, tests: int, sd: float = COST_SD
) -> float:
    """Mean sessions to a verdict: gaming as given, no collapse, other scores as far off as D9."""
    bounds = bounds_of(name)
    floor = 0.750 if name == "full" else 0.700
    margin = d9 - floor
    rates = [Truth(gaming, correlation=0.2), Truth(0.0, correlation=0.2)]
    scores = [Truth(one.bound + margin, sd=sd) for one in bounds[2:]]
    outcome = simulate_tests(rng, bounds, [*rates, *scores], tests=tests, budget=BUDGET)
    return float(outcome.sessions.mean())


def cost_rows(rng: np.random.Generator, tests: int, sd: float = COST_SD) -> Iterator[Row]:
    for name, gaming, d9, bound in (
        ("full", 0.0, 0.85, 42),
        ("full", 0.0, 0.81, 48),
        ("full", 0.20, 0.72, 20),
        ("full", 0.40, 0.60, 7),
        ("minimum", 0.0, 0.81, 22),
    ):
        yield Row(
            f"mean sessions, {name}, gaming {gaming:.0%}, D9 {d9:g}, deviation {sd:g}",
            mean_sessions(rng, name, gaming, d9, tests, sd),
            bound if sd == COST_SD else None,
        )


def peeking_wilson(rng: np.random.Generator, tests: int, correlation: float) -> float:
    """Share of tests that decide about 5 %, where 5 % is true: the contrast.

    After every session a Wilson interval over all responses, taken as independent, decides as
    soon as it leaves out 5 %, from the first session to the budget.
    """
    z = 1.959963984540054
    rates = draw_rates(rng, 0.05, correlation, (tests, BUDGET), RESPONSES)
    n = RESPONSES * np.arange(1, BUDGET + 1)
    p = np.cumsum(rates * RESPONSES, axis=1) / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    decided = (centre - half > 0.05) | (centre + half < 0.05)
    return float(decided.any(axis=1).mean())


def largest_expectation(
    bound: Bound, side: Side, mode: Mode, mean: float | None = None, points: int = 400
) -> float:
    """The largest E[e] of any one bet, over all distributions of x that the null allows.

    A linear programme over distributions on a grid of [0, 1] which holds a session's rates too:
    the ``mean`` given (default: on the bound), and for the quadratic bets a variance of at most
    what bounded mode assumes there. A rate may take any value here, which is more than it can.
    """
    at = bound.bound if mean is None else mean
    x = np.unique(np.concatenate([np.linspace(0, 1, points + 1), np.arange(6) / 5, [at]]))
    _, factors = bets(
        x[:, np.newaxis],
        np.full(x.size, bound.bound),
        kind=bound.kind,
        direction=bound.direction,
        side=side,
        mode=mode,
        responses=RESPONSES,
    )
    limits: dict[str, object] = {}
    if mode is Mode.BOUNDED and (side is Side.MET or bound.kind is Kind.SCORE):
        variance = rate_variance(at, RESPONSES) if bound.kind is Kind.RATE else MAX_SD**2
        limits = {"A_ub": ((x - at) ** 2)[np.newaxis], "b_ub": [float(variance)]}
    worst = 0.0
    for factor in factors:
        solved = linprog(
            -factor[:, 0],
            A_eq=np.vstack([np.ones_like(x), x]),
            b_eq=[1.0, at],
            bounds=(0, 1),
            method="highs",
            **limits,
        )
        assert solved.success, solved.message
        worst = max(worst, float(-solved.fun))
    return worst


def expectation_rows() -> Iterator[Row]:
    bounds = [Bound(Kind.RATE, Direction.AT_MOST, c) for c in CEILINGS]
    bounds += [Bound(Kind.SCORE, Direction.AT_LEAST, c) for c in FLOORS]
    for mode in Mode:
        for side in Side:
            worst = max(largest_expectation(one, side, mode) for one in bounds)
            yield Row(f"largest E[e] at the bound, {mode}, {side}", worst, 1 + 1e-9)
            beyond = max(
                largest_expectation(one, side, mode, mean)
                for one in bounds
                for mean in beyond_bound(one, side)
            )
            yield Row(f"largest E[e] beyond the bound, {mode}, {side}", beyond, 1 + 1e-9)


def beyond_bound(bound: Bound, side: Side) -> Iterator[float]:
    """Means inside the null, away from the bound."""
    upward = (bound.kind is Kind.RATE) is (side is Side.MET)
    for share in (0.02, 0.1, 0.3, 0.6, 0.9):
        yield bound.bound + share * (1 - bound.bound) if upward else bound.bound * (1 - share)


def same_arm_row(rng: np.random.Generator, tests: int) -> Row:
    """Share of A/A comparisons (20 sessions against 20, five measures, Holm) that differ."""
    different = 0
    for _ in range(tests):
        p_values = []
        for _rate in range(2):
            x = draw_rates(rng, 0.10, 0.2, (40,), RESPONSES)
            compared = compare_means(x[:20], x[20:], rng, rate=True, resamples=399)
            p_values.append(compared.p_value or 1.0)
        for _score in range(3):
            x = draw_scores(rng, Truth(0.75, sd=COST_SD), (40,))
            compared = compare_means(x[:20], x[20:], rng, resamples=399)
            p_values.append(compared.p_value or 1.0)
        different += min(holm(p_values)) <= ALPHA
    return Row("A/A comparison comes out different", different / tests, 0.05)


def print_clean_table() -> bool:
    print("Clean sessions until a rate is met (K = 5)\n")
    print("ceiling    " + "".join(f"{c:>7.0%}" for c in CEILINGS))
    good = True
    for mode, wanted in CLEAN.items():
        found = tuple(clean_sessions(c, mode) for c in CEILINGS)
        good = good and found == wanted
        print(f"{mode:<11}" + "".join(f"{n:>7}" for n in found))
        print(f"{'reference':<11}" + "".join(f"{n:>7}" for n in wanted))
    return good


def print_rows(title: str, rows: Sequence[Row]) -> bool:
    print(f"\n{title}\n")
    for row in rows:
        must = (
            "                "
            if row.bound is None
            else f"{'>=' if row.at_least else '<='} {row.bound:<12g}"
        )
        mark = "-   " if row.bound is None else "ok  " if row.holds else "FAIL"
        print(f"{mark} {row.value:9.4f} {must} {row.what}")
    return all(row.holds for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=TESTS)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    started = time.monotonic()
    good = print_clean_table()
    good &= print_rows(
        "False met (looks after every session)", list(false_met_rows(rng, options.tests))
    )
    good &= print_rows("False overall not met", list(false_not_met_rows(rng, options.tests)))
    good &= print_rows("Cost", list(cost_rows(rng, options.tests)))
    contrast = [
        Row(
            f"contrast: peeking with Wilson at a true 5 %, correlation {one:g}",
            peeking_wilson(rng, options.tests, one),
            0.60 if one == MAX_CORRELATION else None,
            at_least=True,
        )
        for one in (0.2, 0.4, MAX_CORRELATION)
    ]
    good &= print_rows("Contrast", contrast)
    good &= print_rows("Every bet, by linear programming", list(expectation_rows()))
    good &= print_rows("Comparing arms", [same_arm_row(rng, options.tests)])
    print("\nFor information: cost at other deviations of scores, without a bound")
    for sd in (0.05, 0.10, 0.12):
        print_rows(f"deviation {sd:g}", list(cost_rows(rng, options.tests, sd)))
    print(f"\n{time.monotonic() - started:.0f} s; {options.tests} simulated tests a row")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
