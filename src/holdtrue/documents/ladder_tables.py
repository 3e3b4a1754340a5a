"""A ladder's tables and its curve over scale."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from holdtrue.documents import figures, words
from holdtrue.documents.blocks import Code, Figure, Inline, Strong, Table, Tag, Tone
from holdtrue.ladder import answers
from holdtrue.ladder.plan import Rung
from holdtrue.ladder.results import LadderResult, Measured, RungResult
from holdtrue.ladder.search import Standing
from holdtrue.stats.evidence import Direction

TONES: dict[Standing, Tone] = {
    Standing.MET: "good",
    Standing.NOT_MET: "bad",
    Standing.UNDETERMINED: "open",
    Standing.FAILED: "warn",
    Standing.UNTESTED: "plain",
}
STYLES_OF = {
    Standing.MET: "green",
    Standing.NOT_MET: "red",
    Standing.UNDETERMINED: "cyan",
    Standing.FAILED: "yellow",
    Standing.UNTESTED: "none",
}
ORDERS = {
    "weights": "weights that a token reads",
    "seconds": "seconds a session, at most",
    "memory": "memory",
    "listed": "place in the list",
}
CURVES = ("gaming_rate", "generic_ai_rate", "d9", "quality", "identity_coherence")


def rung_table(result: LadderResult) -> Table:
    """Every rung, cheapest first: what it is, what was decided."""
    rows: list[tuple[Inline, ...]] = []
    several = len({rung.track for rung in result.ladder.rungs}) > 1
    for rung in result.ranked:
        known = result.results.get(rung.name)
        standing = known.standing if known else Standing.UNTESTED
        cells: list[Inline] = [
            Strong(rung.name),
            _kind(rung),
            words.count(parameters_of(rung, known)),
            _bits(rung),
            cost_of(result, rung),
            Tag(standing.value, TONES[standing]),
            str(known.sessions) if known and known.sessions else words.DASH,
        ]
        if several:
            cells.insert(1, rung.track)
        rows.append(tuple(cells))
    headers = ["Rung", "Model", "Parameters", "Bits", "Cost", "Verdict", "Sessions"]
    if several:
        headers.insert(1, "Track")
    shift = 1 if several else 0
    numeric = frozenset({2 + shift, 3 + shift, 4 + shift, 6 + shift})
    caption = f"Rungs by cost ({ORDERS[result.ladder.cost]}), cheapest first."
    return Table(tuple(headers), tuple(rows), caption, numeric)


def curve_table(result: LadderResult) -> Table:
    """Every measure with its interval, rung by rung."""
    shown = _shown_measures(result)
    rows: list[tuple[Inline, ...]] = []
    for rung in result.ranked:
        known = result.results.get(rung.name)
        if known is None or not known.measures:
            continue
        cells: list[Inline] = [Strong(rung.name)]
        cells += [_cell(known.measure(measure), measure) for measure in shown]
        rows.append(tuple(cells))
    bounds: list[Inline] = ["Wanted"]
    baseline = result.ladder.baseline
    base: list[Inline] = [f"Baseline {baseline.name}" if baseline else ""]
    for measure in shown:
        one = _bound(result, measure)
        bounds.append(
            words.bound(measure, one.direction.value, one.bound)
            if one and one.direction and one.bound is not None
            else words.DASH
        )
        base.append(words.value(measure, baseline_values(result).get(measure)))
    rows.append(tuple(bounds))
    if baseline:
        rows.append(tuple(base))
    headers = ("Rung", *(words.name_of(measure) for measure in shown))
    caption = "Estimates with anytime-valid intervals, cheapest rung first."
    return Table(headers, tuple(rows), caption, frozenset(range(1, len(headers))))


def scale_figure(result: LadderResult) -> Figure | None:
    """The measures over scale, a line a track; None without two rungs to draw."""
    tested = [
        rung
        for rung in result.ranked
        if rung.name in result.results
        and result.results[rung.name].measures
        and math.isfinite(result.cost(rung))
    ]
    if len(tested) < 2:
        return None
    panels = [
        panel
        for measure in _shown_measures(result)
        if measure in CURVES and (panel := _panel(result, measure, tested))
    ]
    costs = [result.cost(rung) for rung in tested]
    log = min(costs) > 0 and max(costs) / min(costs) > 3
    names = [panel.name for panel in panels]
    alt = (
        f"Panels of {words.listed(names)} over {ORDERS[result.ladder.cost]} for "
        f"{len(tested)} rungs, {tested[0].name} to {tested[-1].name}, with intervals, bounds and "
        "baseline."
    )
    draw = partial(
        figures.draw_scale,
        panels,
        x_label=axis_of(result)[0],
        log=log,
        name="scale",
        alt=alt,
    )
    caption = (
        "Estimate and anytime-valid interval of each rung. Shaded: within the bound; dashed: the "
        "baseline. Circles hold the criterion, crosses do not, squares are undetermined."
    )
    return Figure("scale", draw, caption, alt, curve_table(result), told=True)


def _kind(rung: Rung) -> Inline:
    notes = []
    if answers.is_ablation(rung):
        notes.append("ablation")
    if rung.bits:
        notes.append(f"loaded in {rung.bits} bits")
    if rung.adapter:
        notes.append(f"adapter {Path(rung.adapter).name}")
    return (Code(rung.model), f" ({', '.join(notes)})") if notes else Code(rung.model)


def parameters_of(rung: Rung, known: RungResult | None) -> float | None:
    told = known.facts.get("parameters_total") if known else None
    return float(told) if isinstance(told, int) else rung.size.parameters


def _bits(rung: Rung) -> str:
    return f"{rung.size.bits:.2f}" if rung.size.bits else words.DASH


def cost_of(result: LadderResult, rung: Rung) -> str:
    """A rung's cost for people."""
    cost = result.cost(rung)
    if not math.isfinite(cost):
        return "unknown"
    kind = result.ladder.cost
    if kind in ("weights", "memory"):
        return words.size(cost * (1e9 if kind == "weights" else 1))
    return f"{cost:.0f}" if kind == "listed" else f"{cost:.3g} s"


def axis_of(result: LadderResult) -> tuple[str, float]:
    """The label of the axis of costs, and what a cost is multiplied by to be drawn on it."""
    kind = result.ladder.cost
    if kind not in ("weights", "memory"):
        return ORDERS[kind], 1.0
    costs = [result.cost(rung) for rung in result.ladder.rungs]
    scale = 1e9 if kind == "weights" else 1.0
    largest = max((cost * scale for cost in costs if math.isfinite(cost)), default=0.0)
    unit, size = ("GB", 1e9) if largest >= 1e9 else ("MB", 1e6)
    return f"{ORDERS[kind]}, {unit}", scale / size


def _shown_measures(result: LadderResult) -> list[str]:
    """The curve's measures that any rung has, then further bounded ones."""
    there: dict[str, Measured] = {}
    for known in result.results.values():
        for one in known.measures:
            there.setdefault(one.measure, one)
    bounded = [name for name, one in there.items() if one.bound is not None and name not in CURVES]
    return [name for name in (*CURVES, *bounded) if name in there]


def _bound(result: LadderResult, measure: str) -> Measured | None:
    for known in result.results.values():
        one = known.measure(measure)
        if one is not None and one.bound is not None:
            return one
    return None


def baseline_values(result: LadderResult) -> dict[str, float]:
    return result.ladder.baseline.values if result.ladder.baseline else {}


def _cell(one: Measured | None, measure: str) -> str:
    if one is None or one.estimate is None:
        return words.DASH
    interval = words.interval(measure, one.low, one.high)
    return f"{words.value(measure, one.estimate)} ({interval})"


def _panel(result: LadderResult, measure: str, tested: list[Rung]) -> figures.Panel | None:
    families: dict[str, list[figures.Point]] = {}
    for rung in tested:
        one = result.results[rung.name].measure(measure)
        if one is None or one.estimate is None:
            continue
        point = figures.Point(
            name=rung.name,
            scale=result.cost(rung) * axis_of(result)[1],
            estimate=one.estimate,
            low=one.low,
            high=one.high,
            decision=one.decision.value if one.decision else "undetermined",
        )
        families.setdefault(rung.track, []).append(point)
    if not families:
        return None
    bound = _bound(result, measure)
    return figures.Panel(
        name=words.name_of(measure),
        families={name: tuple(points) for name, points in families.items()},
        bound=bound.bound if bound else None,
        upper=bound is None or bound.direction is not Direction.AT_LEAST,
        baseline=baseline_values(result).get(measure),
    )
