"""What may be said across rungs: what was found, how sure it is, and the four questions.

Every sentence rests on decisions and intervals of single rungs; none assumes that larger is better.
Ablated models are left out where a question is about models of a size, since they are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from holdtrue.engines.modelname import parse_model
from holdtrue.ladder.plan import WITH_ADAPTER, Rung
from holdtrue.ladder.results import LadderResult, RungResult
from holdtrue.ladder.search import Found, Standing
from holdtrue.stats.evidence import ALPHA, Direction
from holdtrue.verdict import Decision, Outcome, Question

LIMIT = "Is capacity the limit at the baseline's scale?"
GAMING = "Do larger models stop gaming?"
SMALLEST = "What is the smallest scale that holds?"
SLEEP = "Larger model or sleep cycle?"
SAME_SCALE = 1.25


def headline(result: LadderResult) -> str:
    """The one sentence that a ladder comes to."""
    rungs, found = result.ladder.rungs, result.found
    if not result.finished:
        done = len(result.results)
        return f"The ladder is not finished: {done} of {len(rungs)} rungs have a result."
    best = result.smallest
    if best is None:
        return _none_met(result)
    track = next(one for one in found if one.smallest == rungs.index(best))
    where = f" under {track.track}" if len(found) > 1 else ""
    if track.exact:
        return f"{best.name} is the smallest rung that holds{where}; every cheaper one does not."
    parts = _doubts(result, track)
    return f"Smallest confirmed: {best.name}{where}; {', '.join(parts)}."


def track_lines(result: LadderResult) -> list[tuple[str, str]]:
    """For each track its name and what was found in it."""
    lines = []
    for one in result.found:
        doubts = _doubts(result, one)
        if one.smallest is None:
            text = "none holds" if not doubts else f"none confirmed; {', '.join(doubts)}"
        else:
            name = result.ladder.rungs[one.smallest].name
            text = name if one.exact else f"{name} confirmed; {', '.join(doubts)}"
        lines.append((one.track, text))
    return lines


def sureness(result: LadderResult) -> str:
    """How often a search like this would go wrong."""
    ladder = result.ladder
    count = len(ladder.rungs)
    if ladder.strict:
        return (
            f"Over all {count} rungs together, a rung that does not hold is called met with "
            f"probability at most {_percent(ALPHA)} (strict)."
        )
    each = (
        f"A rung that does not hold is called met with probability at most {_percent(ALPHA)}, and "
        "one that holds is called not met as rarely."
    )
    if count == 1:
        return each
    return f"{each} That is for each rung; --strict keeps all {count} together to it."


def reversal_lines(result: LadderResult) -> list[str]:
    """Every reversal that was seen: of verdicts, and of measures whose intervals do not overlap."""
    lines = [
        f"{low.name} holds and {high.name}, which costs more, does not ({low.track})."
        for low, high in result.reversals
    ]
    for low, high in _neighbours(result):
        before, after = result.results[low.name], result.results[high.name]
        for one in before.measures:
            other = after.measure(one.measure)
            if one.direction is None or other is None or None in (one.low, one.high):
                continue
            if other.low is None or other.high is None or one.low is None or one.high is None:
                continue
            upper = one.direction is Direction.AT_MOST
            worse = other.low > one.high if upper else other.high < one.low
            if worse:
                lines.append(
                    f"{one.measure} is worse at {high.name} than at {low.name}, which costs less: "
                    f"{other.low:.3f} to {other.high:.3f} against {one.low:.3f} to {one.high:.3f}."
                )
    return lines


def limits(result: LadderResult) -> list[str]:
    """What this ladder cannot claim."""
    lines = []
    for rung in result.ranked:
        known = result.results.get(rung.name)
        if known is not None and known.standing is Standing.FAILED:
            reason = (known.reason or "it could not be run").splitlines()[0]
            lines.append(f"Nothing is known of {rung.name}: {reason}")
    if any(is_ablation(rung) for rung in result.ladder.rungs):
        lines.append(
            "Ablated rungs are cut from one checkpoint and not trained at their size: they show "
            "what the task leans on, not what a trained model of that size would do."
        )
    guessed = [rung.name for rung in result.ladder.rungs if rung.size.source == "name"]
    if guessed:
        lines.append(f"The size of {_listed(guessed)} was read from its name.")
    lines += _same_weights(result)
    if result.ladder.exhaustive:
        return lines
    skipped = [rung.name for rung in result.ranked if rung.name not in result.results]
    if result.finished and skipped:
        lines.append(
            f"{_listed(skipped)} cost more than a rung that holds and were not tested; whether "
            "they hold is not known (--exhaustive tests them)."
        )
    return lines


def is_ablation(rung: Rung) -> bool:
    """Whether a rung's weights were cut or rounded by us."""
    return bool(parse_model(rung.model).ablation)


def answer_questions(result: LadderResult) -> tuple[Question, ...]:
    """The report's four questions, across rungs."""
    return (_capacity(result), _gaming(result), _smallest(result), _sleep(result))


def _none_met(result: LadderResult) -> str:
    standings = set(result.standings)
    names = {s: [r.name for r in result.ranked if _standing(result, r) is s] for s in Standing}
    if standings == {Standing.NOT_MET}:
        return "No rung holds: each was shown not to."
    if standings == {Standing.UNDETERMINED}:
        return (
            f"Every rung is undetermined within {result.ladder.budget} sessions: "
            "the evidence does not say."
        )
    if standings == {Standing.FAILED}:
        return "No rung could be tested, so nothing is known."
    parts = []
    if names[Standing.UNDETERMINED]:
        parts.append(f"{_listed(names[Standing.UNDETERMINED])} undetermined")
    if names[Standing.FAILED]:
        parts.append(f"{_listed(names[Standing.FAILED])} could not be tested")
    if names[Standing.NOT_MET]:
        parts.append(f"{_listed(names[Standing.NOT_MET])} shown not to")
    return f"No rung is confirmed to hold: {'; '.join(parts)}."


def _doubts(result: LadderResult, found: Found) -> list[str]:
    """What keeps a track's smallest rung from being known to be the smallest."""
    rungs = result.ladder.rungs
    parts = []
    for indices, what in (
        (found.open, "undetermined"),
        (found.lost, "could not be tested"),
        (found.untested, "not tested yet"),
    ):
        if indices:
            parts.append(f"{_listed([rungs[i].name for i in indices])} {what}")
    return parts


def _capacity(result: LadderResult) -> Question:
    baseline = result.ladder.baseline
    if baseline is None or baseline.parameters is None:
        return Question(question=LIMIT, answer="Open: the baseline tells no size.", open=True)
    scale = baseline.parameters
    rungs = [
        rung
        for rung in _models(result)
        if rung.adapter is None
        and (baseline.protocol is None or rung.protocol.name == baseline.protocol)
    ]
    near = [r for r in rungs if _size(r) <= SAME_SCALE * scale]
    same = [r for r in near if _size(r) >= scale / SAME_SCALE]
    above = [r for r in rungs if _size(r) > SAME_SCALE * scale]
    holds = [r for r in near if _standing(result, r) is Standing.MET]
    larger = [r for r in above if _standing(result, r) is Standing.MET]
    failing = [r for r in same if _standing(result, r) is Standing.NOT_MET]
    if holds:
        text = f"No: {holds[0].name} is no larger than the baseline's model and holds."
        return Question(question=LIMIT, answer=text, open=False)
    if larger and failing:
        text = (
            f"Yes, under this protocol: {failing[0].name}, of the baseline's size, does not hold, "
            f"and {larger[0].name} does."
        )
        return Question(question=LIMIT, answer=text, open=False)
    if larger:
        text = f"Open: {larger[0].name} holds, but no rung of the baseline's size has a verdict."
    elif above and all(_standing(result, r) is Standing.NOT_MET for r in above):
        text = f"Not capacity alone: up to {above[-1].name} no larger rung holds either."
        return Question(question=LIMIT, answer=text, open=False)
    elif not above:
        text = "Open: no rung larger than the baseline's model is on this ladder."
        if not rungs:
            text = "Open: no model of known size, trained at it, is on this ladder."
    else:
        text = "Open: the larger rungs have no verdict."
    return Question(question=LIMIT, answer=text, open=True)


def _gaming(result: LadderResult) -> Question:
    rungs = [rung for rung in _models(result) if _measured(result, rung) is not None]
    if len({_size(rung) for rung in rungs}) < 2:
        told = " (ablations are none)" if any(map(is_ablation, result.ladder.rungs)) else ""
        text = f"Open: no two models of known and different size were tested{told}."
        return Question(question=GAMING, answer=text, open=True)
    decided = {rung.name: _decision(result, rung) for rung in rungs}
    met = [rung for rung in rungs if decided[rung.name] is Decision.MET]
    unmet = [rung for rung in rungs if decided[rung.name] is Decision.NOT_MET]
    turned = [(a, b) for a in met for b in unmet if _size(a) < _size(b) and a.track == b.track]
    largest = rungs[-1]
    if turned:
        low, high = turned[0]
        text = (
            f"Not steadily: {low.name} keeps within the bound and the larger {high.name} does not."
        )
    elif met and unmet and decided[largest.name] is Decision.MET:
        text = f"Yes, on this ladder: {unmet[-1].name} games, {met[0].name} keeps within the bound."
    elif decided[largest.name] is Decision.NOT_MET:
        text = f"No, not up to {largest.name}: {_rate(result.results[largest.name])}."
    elif len(met) == len(rungs):
        text = (
            "Gaming keeps within the bound at every size tested, so size makes no difference here."
        )
    else:
        text = (
            "Open: " + "; ".join(f"{r.name} {_rate(result.results[r.name])}" for r in rungs) + "."
        )
    return Question(question=GAMING, answer=text, open=text.startswith("Open"))


def _smallest(result: LadderResult) -> Question:
    best = result.smallest
    text = headline(result)
    if best is not None and best.size.parameters:
        text += f" That is {_count(best.size.parameters)} parameters"
        text += f", {_count(best.size.active)} active" if best.size.active else ""
        text += f", {best.size.bits:.1f} bits a weight." if best.size.bits else "."
    return Question(question=SMALLEST, answer=text, open=best is None)


def _sleep(result: LadderResult) -> Question:
    found = {one.track: one for one in result.found}
    rungs = result.ladder.rungs
    for track, one in found.items():
        other = found.get(f"{track}, {WITH_ADAPTER}")
        if other is None:
            continue
        before, after = one.smallest, other.smallest
        if after is not None and (
            before is None or result.places[after].cost < result.places[before].cost
        ):
            than = "no rung holds" if before is None else f"it takes {rungs[before].name}"
            text = (
                f"The sleep cycle: with it {rungs[after].name} holds; without it {than} ({track})."
            )
            return Question(question=SLEEP, answer=text, open=False)
        if before is not None:
            text = f"A larger model: {rungs[before].name} holds without a sleep cycle ({track}); "
            text += "with one no smaller rung was confirmed."
            return Question(question=SLEEP, answer=text, open=False)
    best = result.smallest
    if best is not None:
        text = (
            f"{best.name} holds as it is. Whether a sleep cycle lets a smaller one hold is open: "
            "add its adapter to the ladder."
        )
        return Question(question=SLEEP, answer=text, open=True)
    tried = [result.results[rung.name] for rung in result.ranked if rung.name in result.results]
    outcomes = [one.outcome for one in tried if one.outcome is not None]
    last = outcomes[-1] if outcomes else Outcome.INCONCLUSIVE
    advice = {
        Outcome.GAMING_PERSISTS: "gaming persists at the largest rung: try another protocol first",
        Outcome.SAME_FAILURE: "the largest rung fails as the baseline does: rethink the "
        "anchoring, or try a sleep cycle",
        Outcome.NEW_FAILURE: "the largest rung fails in a new way: adapt the prompts to it",
    }.get(last, "no rung is confirmed: more sessions, larger rungs or a sleep cycle would tell")
    if outcomes and last is Outcome.INCONCLUSIVE and _all_fail(result):
        advice = "no rung holds: add larger rungs, or try a sleep cycle on one of these"
    return Question(question=SLEEP, answer=f"Open: {advice}.", open=True)


def _all_fail(result: LadderResult) -> bool:
    return all(standing is Standing.NOT_MET for standing in result.standings)


def _neighbours(result: LadderResult) -> list[tuple[Rung, Rung]]:
    """Tested rungs of one track next to each other in cost, cheaper first."""
    found = []
    for one in result.found:
        tested = [
            rung
            for rung in result.ranked
            if rung.track == one.track
            and rung.name in result.results
            and result.results[rung.name].measures
        ]
        found += [(a, b) for a, b in pairwise(tested) if result.cost(a) < result.cost(b)]
    return found


def _same_weights(result: LadderResult) -> list[str]:
    seen: dict[tuple[object, ...], str] = {}
    lines = []
    for rung in result.ranked:
        known = result.results.get(rung.name)
        weights = known.facts.get("source_hash") if known else None
        if not weights:
            continue
        key = (weights, rung.bits, rung.adapter, rung.protocol.digest)
        if key in seen:
            lines.append(f"{seen[key]} and {rung.name} are the same weights under two names.")
        seen.setdefault(key, rung.name)
    return lines


def _models(result: LadderResult) -> list[Rung]:
    """Rungs of models that were trained at their size, by size; those of unknown size left out."""
    rungs = [r for r in result.ladder.rungs if r.size.parameters and not is_ablation(r)]
    return sorted(rungs, key=_size)


def _size(rung: Rung) -> int:
    return rung.size.parameters or 0


def _standing(result: LadderResult, rung: Rung) -> Standing:
    known = result.results.get(rung.name)
    return known.standing if known else Standing.UNTESTED


def _measured(result: LadderResult, rung: Rung) -> float | None:
    known = result.results.get(rung.name)
    gaming = known.measure("gaming_rate") if known else None
    return gaming.estimate if gaming else None


def _decision(result: LadderResult, rung: Rung) -> Decision | None:
    gaming = result.results[rung.name].measure("gaming_rate")
    return gaming.decision if gaming else None


def _rate(known: RungResult) -> str:
    gaming = known.measure("gaming_rate")
    if gaming is None or gaming.estimate is None:
        return "no gaming rate"
    text = f"gaming {_percent(gaming.estimate)}"
    if gaming.low is not None and gaming.high is not None:
        text += f" ({_percent(gaming.low)} to {_percent(gaming.high)})"
    return text


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _count(number: int) -> str:
    return f"{number / 1e9:.3g} B" if number >= 1e9 else f"{number / 1e6:.3g} M"


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
