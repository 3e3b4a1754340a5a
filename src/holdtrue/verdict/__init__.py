"""Verdict: evidence and criteria in, decisions, outcome and forecast out.

``decide`` is a pure function of scored sessions, criteria and baseline: it can be computed again
from stored transcripts at any time. Modules in the order of the data: ``stream`` (which sessions
count), ``decision``, ``forecast``, ``secondary``, ``scale``, ``outcome``, ``questions``; ``types``
are the values, ``planning`` says beforehand what a test will cost. It reads no file and generates
nothing.
"""

from holdtrue.verdict.decision import decide
from holdtrue.verdict.types import (
    LOG10_FLOOR,
    CriterionResult,
    Decision,
    Exclusion,
    Forecast,
    JudgeRecord,
    Look,
    Outcome,
    Question,
    SecondaryResult,
    SetLook,
    SetResult,
    Verdict,
    Watch,
)

__all__ = [
    "LOG10_FLOOR",
    "CriterionResult",
    "Decision",
    "Exclusion",
    "Forecast",
    "JudgeRecord",
    "Look",
    "Outcome",
    "Question",
    "SecondaryResult",
    "SetLook",
    "SetResult",
    "Verdict",
    "Watch",
    "decide",
]
