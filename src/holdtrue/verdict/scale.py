"""The tested model's size beside the baseline's: what a result can say of capacity rests on it."""

from __future__ import annotations

from dataclasses import dataclass

from holdtrue.baseline import Baseline
from holdtrue.verdict.stream import Stream


@dataclass(frozen=True, slots=True)
class Scale:
    """``larger`` is whether ``model`` is larger than the baseline's; None where that is unknown.

    ``why_open`` says why size explains nothing, where the model is not known to be larger.
    """

    model: str
    larger: bool | None
    why_open: str


def scale_against(stream: Stream, baseline: Baseline | None) -> Scale:
    """The scale of the sessions' model, by total parameters."""
    first = stream.first
    if first is None:
        return Scale("the model", None, "no session has been finished")
    model = first.transcript.model or "the model"
    tested = first.transcript.engine.get("parameters_total")
    if baseline is None:
        return Scale(model, None, "there is no baseline to compare with")
    if not isinstance(tested, int) or baseline.parameters is None:
        whose = "baseline" if isinstance(tested, int) else "tested model"
        return Scale(model, None, f"the size of the {whose} is not recorded")
    larger = tested > baseline.parameters
    sizes = f"{_count(tested)} against {_count(baseline.parameters)} parameters"
    return Scale(model, larger, f"{model} is not larger than the baseline's model ({sizes})")


def _count(parameters: int) -> str:
    billions = parameters / 1e9
    return f"{billions:.3g} B" if billions >= 1 else f"{parameters / 1e6:.0f} M"
