"""The questions that a report answers, or says to be open.

One arm answers them only as far as one arm can: what size does is known from a model of another
size than the baseline's, and the smallest scale that holds is for the ladder to find.
"""

from __future__ import annotations

from holdtrue.baseline import Baseline
from holdtrue.verdict.outcome import Conclusion
from holdtrue.verdict.scale import Scale
from holdtrue.verdict.types import CriterionResult, Decision, Outcome, Question, SetResult

CAPACITY = "Is capacity the limit at the baseline's scale?"
GAMING = "Do larger models stop gaming?"
SMALLEST = "What is the smallest scale that holds?"
PLAN = "Larger model or sleep cycle?"


def answer_questions(
    result: SetResult, conclusion: Conclusion, scale: Scale, baseline: Baseline | None
) -> tuple[Question, ...]:
    """The four questions, answered from one arm."""
    return (
        _capacity(result, conclusion.outcome, scale, baseline),
        _gaming(result.criterion("gaming_rate"), scale),
        _smallest(result, scale),
        _plan(result, conclusion.outcome, scale),
    )


def _capacity(
    result: SetResult, outcome: Outcome, scale: Scale, baseline: Baseline | None
) -> Question:
    if scale.larger is None:
        return Question(question=CAPACITY, answer=f"Open: {scale.why_open}.", open=True)
    rests = ""
    if baseline and baseline.limits:
        rests = f" That the baseline fails rests on {baseline.sessions} session of it."
    if not scale.larger:
        if result.decision is Decision.MET:
            text = f"No: {scale.model}, which is not larger, meets the {result.name} criteria."
            return Question(question=CAPACITY, answer=text, open=False)
        return Question(question=CAPACITY, answer=f"Open: {scale.why_open}.", open=True)
    answers = {
        Outcome.SUCCESS: f"Yes: {scale.model} holds what the baseline's scale did not.{rests}",
        Outcome.GAMING_PERSISTS: f"No sign of it: gaming persists in {scale.model}.",
        Outcome.SAME_FAILURE: f"No sign of it: {scale.model} fails in the same way.",
        Outcome.NEW_FAILURE: (
            f"For gaming and collapse, yes: {scale.model} is free of both.{rests} "
            "Something else was lost."
        ),
    }
    answer = answers.get(outcome, "Open: the outcome is not decided.")
    return Question(question=CAPACITY, answer=answer, open=outcome is Outcome.INCONCLUSIVE)


def _gaming(gaming: CriterionResult | None, scale: Scale) -> Question:
    if gaming is None:
        return Question(question=GAMING, answer="Open: gaming is not a criterion here.", open=True)
    if not scale.larger:
        return Question(question=GAMING, answer=f"Open: {scale.why_open}.", open=True)
    if gaming.decision is Decision.UNDETERMINED:
        return Question(question=GAMING, answer="Open: gaming is not decided.", open=True)
    if gaming.decision is Decision.MET:
        most = f"{100 * gaming.bound:g} %"
        answer = f"This one does: {scale.model} games in at most {most} of its replies."
    else:
        seen = (
            "" if gaming.estimate is None else f" ({100 * gaming.estimate:.0f} % of replies seen)"
        )
        answer = f"Not this one: {scale.model} games in over {100 * gaming.bound:g} %{seen}."
    return Question(question=GAMING, answer=answer, open=False)


def _smallest(result: SetResult, scale: Scale) -> Question:
    answers = {
        Decision.MET: f"At most that of {scale.model}. Nothing smaller was tested here; "
        "`holdtrue ladder` looks for it.",
        Decision.NOT_MET: f"Open: {scale.model} does not hold under this protocol. Others, larger "
        "or smaller, may; `holdtrue ladder` looks for them.",
        Decision.UNDETERMINED: f"Open: whether {scale.model} holds is not decided.",
    }
    return Question(question=SMALLEST, answer=answers[result.decision], open=True)


def _plan(result: SetResult, outcome: Outcome, scale: Scale) -> Question:
    answers = {
        Outcome.SUCCESS: "Neither: this model holds as it is.",
        Outcome.NEW_FAILURE: "Neither first: adapt the prompts to this model.",
    }
    if scale.larger:
        answers |= {
            Outcome.GAMING_PERSISTS: "Neither first: gaming comes with the protocol; try another.",
            Outcome.SAME_FAILURE: "A sleep cycle, or another anchoring; size alone did not help.",
        }
    if outcome in answers:
        return Question(question=PLAN, answer=answers[outcome], open=False)
    if result.decision is Decision.NOT_MET:
        text = (
            "Open: this model does not meet the criteria. The ladder tests larger ones, a sleep "
            "cycle changes this one."
        )
    else:
        text = "Open: more sessions first; a sleep cycle is plan B."
    return Question(question=PLAN, answer=text, open=True)
