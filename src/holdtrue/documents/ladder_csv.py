"""The data of a ladder's curve as CSV: a row for each rung and measure."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from holdtrue.documents.ladder_tables import baseline_values, parameters_of
from holdtrue.ladder import answers
from holdtrue.ladder.plan import Rung
from holdtrue.ladder.results import LadderResult, Measured, RungResult
from holdtrue.ladder.search import Standing

COLUMNS = (
    "rung",
    "model",
    "protocol",
    "track",
    "family",
    "ablation",
    "adapter",
    "cost",
    "cost_unit",
    "parameters_total",
    "parameters_active",
    "bits_per_weight",
    "file_bytes",
    "standing",
    "reason",
    "measure",
    "estimate",
    "low",
    "high",
    "bound",
    "direction",
    "decision",
    "baseline",
    "sessions",
    "responses",
    "failed_sessions",
    "prompt_tokens",
    "completion_tokens",
    "seconds",
    "peak_bytes",
    "accelerator_bytes",
)


def ladder_csv(result: LadderResult) -> str:
    """A row for each rung and measure, cheapest rung first; a rung without measures has one row.

    Empty cells are unknown. Rates and scores lie in [0, 1]; ``cost`` is in ``cost_unit``.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for rung in result.ranked:
        known = result.results.get(rung.name)
        body = _csv_rung(result, rung, known)
        for measure in known.measures if known and known.measures else (None,):
            writer.writerow({**body, **_csv_measure(result, measure)})
    return out.getvalue()


def _csv_rung(result: LadderResult, rung: Rung, known: RungResult | None) -> dict[str, Any]:
    cost = result.cost(rung)
    body: dict[str, Any] = {
        "rung": rung.name,
        "model": rung.model,
        "protocol": rung.protocol.name,
        "track": rung.track,
        "family": rung.family,
        "ablation": rung.model.rpartition("@")[2] if answers.is_ablation(rung) else "",
        "adapter": rung.adapter,
        "cost": f"{cost:.6g}" if math.isfinite(cost) else None,
        "cost_unit": {"weights": "GB a token", "seconds": "s", "memory": "bytes"}.get(
            result.ladder.cost, "place"
        ),
        "parameters_total": _whole(parameters_of(rung, known)),
        "parameters_active": rung.size.active,
        "bits_per_weight": f"{rung.size.bits:.4g}" if rung.size.bits else None,
        "standing": (known.standing if known else Standing.UNTESTED).value,
    }
    if known is None:
        return body
    return {
        **body,
        "file_bytes": known.facts.get("file_bytes"),
        "reason": (known.reason or "").splitlines()[0] if known.reason else None,
        "responses": known.responses,
        "failed_sessions": known.failed,
        "prompt_tokens": known.prompt_tokens,
        "completion_tokens": known.completion_tokens,
        "seconds": f"{known.seconds:.1f}",
        "peak_bytes": known.peak_bytes,
        "accelerator_bytes": known.accelerator_bytes,
    }


def _csv_measure(result: LadderResult, one: Measured | None) -> dict[str, Any]:
    if one is None:
        return {}
    base = baseline_values(result).get(one.measure)
    numbers = {"estimate": one.estimate, "low": one.low, "high": one.high}
    return {
        "measure": one.measure,
        **{key: None if value is None else f"{value:.6f}" for key, value in numbers.items()},
        "bound": one.bound,
        "direction": one.direction.value if one.direction else None,
        "decision": one.decision.value if one.decision else None,
        "baseline": base,
        "sessions": one.sessions,
    }


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
