"""Outcomes A to D, or inconclusive, from the decisions and the watched measures.

The conditions are those of the table below, literally. A model can fail in a way that none of
them describes; that is said, and not forced into the nearest letter. Where B and D both hold
(identity fails beside gaming, all else holds), it is D, which says more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from holdtrue.stats.evidence import Direction
from holdtrue.verdict.scale import Scale
from holdtrue.verdict.stream import Stream
from holdtrue.verdict.types import (
    CriterionResult,
    Decision,
    Outcome,
    SecondaryResult,
    SetResult,
    Watch,
)

TEXTS: Mapping[Outcome, tuple[str, str]] = {
    Outcome.SUCCESS: (
        "The {set} criteria are met and no new failure mode was seen: this scale holds the "
        "identity.",
        "Use this model, or look for a smaller one with `holdtrue ladder`.",
    ),
    Outcome.GAMING_PERSISTS: (
        "Gaming persists while everything else holds.",
        "Try another anchoring protocol, or accept the cost.",
    ),
    Outcome.NEW_FAILURE: (
        "Gaming and collapse are gone, but something that was fine in the baseline is not: this "
        "model behaves differently.",
        "Adapt the prompts to this model.",
    ),
    Outcome.SAME_FAILURE: (
        "Gaming persists, and so does the collapse or the loss of identity.",
        "Rethink the anchoring, or train the identity in with `holdtrue sleep cycle`.",
    ),
}
# What an outcome says of capacity: of a model larger than the baseline's, and of any other.
CAPACITY: Mapping[Outcome, tuple[str, str]] = {
    Outcome.SUCCESS: ("Capacity was the limit.", "Whether capacity was the limit is open"),
    Outcome.GAMING_PERSISTS: (
        "It comes with the protocol, not the size.",
        "Whether it comes with the protocol or the size is open",
    ),
    Outcome.SAME_FAILURE: (
        "Capacity is not the limit.",
        "Whether capacity is the limit is open",
    ),
}
LARGER_NEXT = "A larger model may hold too: `holdtrue ladder`."
MINIMUM_ONLY = (
    "The minimum criteria are met. Success (A) asks for the full ones, which were not decided here."
)
MINIMUM = "minimum"
FAILURES_OF_SIZE = (Outcome.GAMING_PERSISTS, Outcome.SAME_FAILURE)
BESIDE_GAMING = ("generic_ai_rate", "d9", "quality")
NAMED = ("gaming_rate", "generic_ai_rate", "d9", "quality", "identity_coherence")
UNMATCHED = (
    "Everything is decided, and the criteria are not met, but not in one of the patterns A to D. "
    "Not met: {failed}."
)
UNMATCHED_NEXT = "Read the replies behind the measures that are not met before choosing a remedy."
NOT_MET_NEXT = (
    "Try another model (`holdtrue ladder`), another protocol or a sleep cycle; more sessions of "
    "this one would only tell which outcome it is."
)
UNDECIDED_NEXT = (
    "Run more sessions (see the forecast); a sleep cycle is plan B if the forecast is too dear."
)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The outcome and what is said of it. ``possible`` are those still open, itself if settled."""

    outcome: Outcome
    possible: tuple[Outcome, ...]
    meaning: str
    next_step: str


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the table asks of: ``decisions`` by measure (undecided left out), and for every measure
    of the set whether the baseline was fine."""

    decisions: Mapping[str, bool]
    fine_in_baseline: Mapping[str, bool]
    new_failure: bool

    def holds(self, measure: str) -> bool:
        return self.decisions.get(measure) is True

    def fails(self, measure: str) -> bool:
        return self.decisions.get(measure) is False


def conclude(
    result: SetResult,
    secondary: Sequence[SecondaryResult],
    baseline: Mapping[str, float],
    stream: Stream,
    scale: Scale,
) -> Conclusion:
    """The outcome, resting on the set ``result``; ``baseline`` has its values by measure.

    The minimum criteria alone are never a success.
    """
    decided = {
        one.measure: one.decision is Decision.MET
        for one in result.criteria
        if one.decision is not Decision.UNDETERMINED
    }
    fine = {one.measure: _was_fine(one, baseline) for one in result.criteria}
    failures = [one.measure for one in secondary if one.status is Watch.NEW_FAILURE]
    outcome = _classify(_Facts(decided, fine, bool(failures)), len(result.criteria))
    if outcome is Outcome.SUCCESS and result.name == MINIMUM:
        return Conclusion(
            Outcome.INCONCLUSIVE, (), MINIMUM_ONLY, "Decide the full criteria on these sessions."
        )
    if outcome is not Outcome.INCONCLUSIVE:
        meaning, next_step = TEXTS[outcome]
        parts = [
            meaning.format(set=result.name),
            _capacity(outcome, scale),
            _detail(outcome, decided, fine, secondary),
        ]
        if scale.larger is not True and outcome in FAILURES_OF_SIZE:
            next_step = f"{next_step} {LARGER_NEXT}"
        return Conclusion(outcome, (outcome,), " ".join(filter(None, parts)), next_step)
    open_ = [one.measure for one in result.criteria if one.measure not in decided]
    if not open_:
        failed = ", ".join(measure for measure, met in decided.items() if not met)
        return Conclusion(outcome, (), UNMATCHED.format(failed=failed), UNMATCHED_NEXT)
    possible = _still_possible(decided, open_, fine, bool(failures), secondary)
    meaning = _undecided(result, open_, possible, stream)
    not_met = result.decision is Decision.NOT_MET
    return Conclusion(outcome, possible, meaning, NOT_MET_NEXT if not_met else UNDECIDED_NEXT)


def _classify(facts: _Facts, criteria: int) -> Outcome:
    """The table of design.md."""
    if facts.fails("gaming_rate"):
        if facts.fails("generic_ai_rate") or facts.fails("identity_coherence"):
            return Outcome.SAME_FAILURE
        others = [name for name in BESIDE_GAMING if name in facts.fine_in_baseline]
        if others and all(map(facts.holds, others)):
            return Outcome.GAMING_PERSISTS
        return Outcome.INCONCLUSIVE
    if facts.holds("gaming_rate") and facts.holds("generic_ai_rate"):
        lost = [name for name, fine in facts.fine_in_baseline.items() if fine and facts.fails(name)]
        if lost or facts.new_failure:
            return Outcome.NEW_FAILURE
    if len(facts.decisions) == criteria and all(facts.decisions.values()):
        return Outcome.NEW_FAILURE if facts.new_failure else Outcome.SUCCESS
    return Outcome.INCONCLUSIVE


def _was_fine(one: CriterionResult, baseline: Mapping[str, float]) -> bool:
    """Whether the baseline's figure satisfies the criterion; unknown is not fine."""
    value = baseline.get(one.measure)
    if value is None:
        return False
    return value <= one.bound if one.direction is Direction.AT_MOST else value >= one.bound


def _still_possible(
    decided: Mapping[str, bool],
    open_: Sequence[str],
    fine: Mapping[str, bool],
    new_failure: bool,
    secondary: Sequence[SecondaryResult],
) -> tuple[Outcome, ...]:
    """Outcomes that some way of deciding what is undecided would give, in order of letters."""
    unknown = any(one.status is Watch.UNKNOWN for one in secondary)
    failing = {new_failure, True} if unknown else {new_failure}
    # Measures that the table does not name only matter together: one of them stands for all.
    named = [measure for measure in open_ if measure in NAMED]
    others = [measure for measure in open_ if measure not in NAMED]
    found = set()
    for ways in product((True, False), repeat=len(named) + bool(others)):
        rest = dict.fromkeys(others, ways[-1])
        facts = {**decided, **rest, **dict(zip(named, ways, strict=False))}
        found |= {_classify(_Facts(facts, fine, new), len(facts)) for new in failing}
    return tuple(one for one in Outcome if one in found and one is not Outcome.INCONCLUSIVE)


def _capacity(outcome: Outcome, scale: Scale) -> str:
    """What the outcome says of capacity; a model that is not larger than the baseline's, little."""
    if outcome not in CAPACITY:
        return ""
    shown, open_ = CAPACITY[outcome]
    if scale.larger:
        return shown
    if scale.larger is False and outcome is Outcome.SUCCESS:
        return "Capacity was not the limit: the model is not larger than the baseline's."
    return f"{open_}: {scale.why_open}."


def _detail(
    outcome: Outcome,
    decided: Mapping[str, bool],
    fine: Mapping[str, bool],
    secondary: Sequence[SecondaryResult],
) -> str:
    """Which measures an outcome rests on, where the table leaves that open."""
    if outcome is Outcome.NEW_FAILURE:
        lost = [name for name, met in decided.items() if not met and fine.get(name)]
        lost += [one.measure for one in secondary if one.status is Watch.NEW_FAILURE]
        return f"Not fine any more: {', '.join(lost)}."
    if outcome is Outcome.SAME_FAILURE:
        return f"Not met: {', '.join(name for name, met in decided.items() if not met)}."
    unknown = [one.measure for one in secondary if one.status is Watch.UNKNOWN]
    if outcome is Outcome.SUCCESS and unknown:
        return f"Watched, but not shown to be fine with these sessions: {', '.join(unknown)}."
    return ""


def _undecided(
    result: SetResult, open_: Sequence[str], possible: Sequence[Outcome], stream: Stream
) -> str:
    """What is not known yet, and what it could still be."""
    if not stream.units:
        return "No finished session: there is nothing to conclude from."
    count = f"{len(stream.units)} session{'s' * (len(stream.units) != 1)}"
    letters = " or ".join(possible) or "none of A to D"
    text = f"After {count} the evidence does not decide: {', '.join(open_)}."
    if result.decision is Decision.NOT_MET:
        text = f"The {result.name} criteria are not met. Undecided: {', '.join(open_)}."
    return f"{text} Still possible: {letters}."
