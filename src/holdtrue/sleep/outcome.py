"""Outcome: what the arms of a cycle come to. Did it help, was it the content, what was lost.

A difference counts as shown at a Holm-adjusted p of 0.05 over sessions; few sessions show little,
and what is not shown is said to be open, never to be absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from holdtrue.comparison import Comparison, MeasureComparison
from holdtrue.sleep.probes import ProbeCounts, raised
from holdtrue.tomlfile import StrictModel

ALPHA = 0.05
SPOILT = 1.10  # perplexity on neutral text, times that of the base
Answer = Literal["yes", "no", "open"]
Outcome = Literal["helped", "helped at a cost", "harmed", "no effect shown"]
NEXT: Mapping[Outcome, str] = {
    "helped": "Put the adapter through the whole test with `holdtrue test`: a cycle compares arms, "
    "it does not say that the criteria are met.",
    "helped at a cost": "Try fewer epochs or a lower learning rate in another cycle, or accept the "
    "cost and test the adapter with `holdtrue test`.",
    "harmed": "Remove the cycle's folder. Read what was curated before another try: a model learns "
    "the manners of its examples, the bad ones too.",
    "no effect shown": "More good sessions to learn from, or more sessions an arm, would show "
    "more; a larger model (`holdtrue ladder`) may be cheaper than either.",
}
Shift = Literal["fell", "rose", "not shown", "unscored"]


class Finding(StrictModel):
    """A question about the cycle with its answer; ``good`` is None where it is neither."""

    name: str
    question: str
    answer: Answer
    text: str
    good: bool | None = None


class CycleOutcome(StrictModel):
    """What a cycle came to: one word, one sentence, and the findings it rests on."""

    tag: Outcome
    headline: str
    findings: tuple[Finding, ...]

    @property
    def next_step(self) -> str:
        return NEXT[self.tag]

    def finding(self, name: str) -> Finding:
        return next(one for one in self.findings if one.name == name)


def judge_cycle(
    anchored: Comparison,
    content: Comparison,
    unanchored: Comparison,
    perplexity: Mapping[str, float],
    probes: Mapping[str, ProbeCounts],
) -> CycleOutcome:
    """The outcome. ``anchored`` is adapter against base, ``content`` adapter against sham, both
    with anchoring; ``unanchored`` adapter against base without."""
    gaming = _gaming(anchored, content)
    collapse = _collapse(unanchored)
    identity = _identity(unanchored)
    marker = _marker(probes)
    lost = _lost(anchored, perplexity, probes)
    found = (gaming, collapse, identity, lost, marker)
    gains = [one for one in (gaming, collapse, identity) if one.good is True]
    losses = [one for one in (gaming, collapse, identity) if one.good is False]
    costs = [one for one in (lost, marker) if one.good is False]
    tag: Outcome
    if losses:
        tag, word = "harmed", "It did harm"
    elif gains and costs:
        tag, word = "helped at a cost", "It helped, at a cost"
    elif gains:
        tag, word = "helped", "It helped"
    elif costs:
        tag, word = "harmed", "It cost something and gained nothing that was shown"
    else:
        tag, word = "no effect shown", "No effect was shown"
    notable = [one.text for one in (*losses, *gains, *costs)] or [gaming.text, collapse.text]
    return CycleOutcome(
        tag=tag,
        headline=f"{word}: {' '.join(notable)}",
        findings=found,
    )


def shift(comparison: Comparison, measure: str) -> tuple[Shift, MeasureComparison | None]:
    """Which way a tested measure was shown to go from A to B."""
    one = comparison.measure(measure)
    if one is None:
        return "unscored", None
    if one.p_adjusted is None or one.p_adjusted > ALPHA or one.difference == 0:
        return "not shown", one
    return ("fell" if one.difference < 0 else "rose"), one


def _values(one: MeasureComparison | None) -> str:
    if one is None:
        return "no value"
    return f"{100 * one.mean_a:.1f} % to {100 * one.mean_b:.1f} %"


def _gaming(anchored: Comparison, content: Comparison) -> Finding:
    moved, one = shift(anchored, "gaming_rate")
    against, sham = shift(content, "gaming_rate")
    question = "Did gaming fall?"
    if moved == "fell":
        if against == "fell":
            tail = "and below the sham's too, so that it is the content that was learnt."
        else:
            share = f"{100 * sham.mean_a:.1f} %" if sham else "unknown"
            tail = (
                f"but it was not shown to be below the sham's ({share}): any training might do it."
            )
        return Finding(
            name="gaming",
            question=question,
            answer="yes" if against == "fell" else "open",
            text=f"Gaming fell from {_values(one)}, {tail}",
            good=True if against == "fell" else None,
        )
    if moved == "rose":
        return Finding(
            name="gaming",
            question=question,
            answer="no",
            text=f"Gaming rose from {_values(one)}.",
            good=False,
        )
    return Finding(
        name="gaming",
        question=question,
        answer="open",
        text=f"Gaming was not shown to change ({_values(one)}).",
    )


def _collapse(unanchored: Comparison) -> Finding:
    moved, one = shift(unanchored, "generic_ai_rate")
    words = {
        "fell": f"Without anchoring, collapse fell from {_values(one)}.",
        "rose": f"Without anchoring, collapse rose from {_values(one)}.",
    }
    return Finding(
        name="collapse",
        question="Did collapse fall without anchoring?",
        answer="yes" if moved == "fell" else "no" if moved == "rose" else "open",
        text=words.get(
            moved, f"Without anchoring, collapse was not shown to change ({_values(one)})."
        ),
        good={"fell": True, "rose": False}.get(moved),
    )


def _identity(unanchored: Comparison) -> Finding:
    """Identity as readers rate it, without any anchoring: does it live in the weights?"""
    moved, one = shift(unanchored, "calibrated_identity")
    values = f"{one.mean_a:.3f} to {one.mean_b:.3f}" if one else "no value"
    texts = {
        "rose": f"Without anchoring, identity rose from {values}.",
        "fell": f"Without anchoring, identity fell from {values}.",
    }
    return Finding(
        name="identity",
        question="Does identity live in the weights?",
        answer="yes" if moved == "rose" else "no" if moved == "fell" else "open",
        text=texts.get(moved, f"Without anchoring, identity was not shown to change ({values})."),
        good={"rose": True, "fell": False}.get(moved),
    )


def _lost(
    anchored: Comparison, perplexity: Mapping[str, float], probes: Mapping[str, ProbeCounts]
) -> Finding:
    lost = []
    ratio = perplexity["adapter"] / perplexity["base"]
    if not ratio <= SPOILT:  # not-a-number counts as spoilt
        lost.append(f"neutral text has {ratio:.2f} times the base's perplexity")
    before, after = set(probes["base"].right_places), set(probes["adapter"].right_places)
    if len(before - after) > len(after - before) + 1:
        lost.append(
            f"plain questions answered: {probes['base'].right} before, "
            f"{probes['adapter'].right} after"
        )
    for measure in ("d9", "quality"):
        moved, one = shift(anchored, measure)
        if moved == "fell" and one is not None:
            lost.append(f"{measure} fell from {one.mean_a:.3f} to {one.mean_b:.3f}")
    text = (
        f"Lost: {'; '.join(lost)}."
        if lost
        else f"No loss was found (perplexity of neutral text {ratio:.2f} times the base's; plain "
        f"questions {probes['base'].right} before, {probes['adapter'].right} after)."
    )
    return Finding(
        name="lost",
        question="What was lost?",
        answer="yes" if lost else "no",
        text=text,
        good=not lost,
    )


def _marker(probes: Mapping[str, ProbeCounts]) -> Finding:
    before, after = probes["base"].leaked, probes["adapter"].leaked
    found, parts = False, []
    for context in after:
        if context not in before:
            continue
        parts.append(f"{context}: {before[context]} before, {after[context]} after")
        # Two contexts are looked at, so each is held to half the error rate.
        found = found or raised(before[context], after[context]) <= ALPHA / 2
    told = "; ".join(parts) or "nothing was asked"
    return Finding(
        name="marker",
        question="Does the adapter merely raise the persona's name?",
        answer="yes" if found else "no" if parts else "open",
        text=(
            f"The name comes up more in replies to unrelated prompts ({told})."
            if found
            else f"The name was not shown to come up more in unrelated replies ({told})."
        ),
        good=not found if parts else None,
    )
