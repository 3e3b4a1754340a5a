"""The closing words of a ladder in the terminal, and the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdtrue.documents import words
from holdtrue.documents.console import console
from holdtrue.documents.escape import one_line
from holdtrue.documents.ladder_tables import ORDERS, STYLES_OF, cost_of
from holdtrue.ladder import answers
from holdtrue.ladder.results import LadderResult
from holdtrue.ladder.search import Standing

MEASURES = ("gaming_rate", "generic_ai_rate", "d9", "quality", "identity_coherence")
SHORT = ("Gaming", "Generic", "D9", "Quality", "Identity")


def print_ladder(result: LadderResult) -> None:
    """Print what was found, a row a rung, and what cannot be claimed."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = console()
    out.print()
    out.print(Text(one_line(answers.headline(result)), style="bold"))
    out.print(Text(one_line(answers.sureness(result))))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("Rung", "Cost", "Verdict", "n"):
        table.add_column(name, justify="right" if name in ("Cost", "n") else "left")
    for name in SHORT:
        table.add_column(name, justify="right")
    for rung in result.ranked:
        known = result.results.get(rung.name)
        standing = known.standing if known else Standing.UNTESTED
        cells = [
            Text(one_line(rung.name)),
            Text(cost_of(result, rung)),
            Text(standing.value, style=STYLES_OF[standing]),
            Text(str(known.sessions) if known else words.DASH),
        ]
        for measure in MEASURES:
            one = known.measure(measure) if known else None
            cells.append(Text(words.value(measure, one.estimate if one else None)))
        table.add_row(*cells)
    out.print(table)
    out.print(Text(f"Cost: {ORDERS[result.ladder.cost]}."))
    if len(result.found) > 1:
        for track, text in answers.track_lines(result):
            out.print(Text(one_line(f"{track}: {text}")))
    for line in answers.reversal_lines(result):
        out.print(Text(one_line(words.prose(line)), style="yellow"))
    for line in answers.limits(result):
        out.print(Text(one_line(words.prose(line))))
    out.print()


def ladder_json(result: LadderResult, paths: Sequence[Path]) -> dict[str, Any]:
    """The result as plain JSON values, rungs cheapest first; None is unknown."""
    smallest = result.smallest
    rungs = []
    for rung in result.ranked:
        known = result.results.get(rung.name)
        cost = result.cost(rung)
        rungs.append(
            {
                "name": rung.name,
                "model": rung.model,
                "protocol": rung.protocol.name,
                "adapter": rung.adapter,
                "track": rung.track,
                "ablation": answers.is_ablation(rung),
                "cost": cost if math.isfinite(cost) else None,
                "size": rung.size.model_dump(mode="json"),
                "standing": known.standing.value if known else Standing.UNTESTED.value,
                "result": known.model_dump(mode="json") if known else None,
            }
        )
    names = [rung.name for rung in result.ladder.rungs]
    return {
        "smallest": smallest.name if smallest else None,
        "finding": answers.headline(result),
        "finished": result.finished,
        "tracks": [
            {
                "track": one.track,
                "smallest": None if one.smallest is None else names[one.smallest],
                "exact": one.exact,
                "undetermined": [names[index] for index in one.open],
                "failed": [names[index] for index in one.lost],
                "untested": [names[index] for index in one.untested],
            }
            for one in result.found
        ],
        "reversals": answers.reversal_lines(result),
        "limits": answers.limits(result),
        "questions": [one.model_dump(mode="json") for one in answers.answer_questions(result)],
        "cost": ORDERS[result.ladder.cost],
        "rungs": rungs,
        "written": [str(path) for path in paths],
    }
