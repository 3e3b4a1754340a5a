"""Responses a second of the findings, and of all scores without the semantic extra, on one core.

    python benchmarks/scoring_speed.py [--json] [--repeats 30]

It reads the contrast cases (short exchanges) and, where it is there, the reference data (longer
replies, five to a session), and takes the fastest of the repeats, in CPU time of this process.
Other work on the machine slows CPU time too, through caches: the time of a fixed loop is printed
beside, to compare runs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from findings_agreement import DATA, exchanges, sage_transcripts
from fit_findings import contrast
from holdtrue.scoring.findings import find
from holdtrue.scoring.score import score_transcript
from holdtrue.transcript import Transcript

LOOP = 60_000


def fastest(work: Callable[[], object], repeats: int) -> float:
    """Seconds of CPU time of the fastest of some runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def fixed_loop() -> int:
    total = 0
    for number in range(LOOP):
        total += number * number % 7
    return total


@dataclass(frozen=True)
class Row:
    """A set of responses: their words in all, the fastest CPU seconds of findings and of all."""

    name: str
    responses: int
    words: int
    found: float
    scored: float
    loop: float

    def as_dict(self) -> dict[str, object]:
        return {
            "set": self.name,
            "responses": self.responses,
            "words_per_response": round(self.words / self.responses, 1),
            "findings_per_second": round(self.responses / self.found),
            "scored_per_second": round(self.responses / self.scored),
            "loop_ms": round(1000 * self.loop, 2),
        }


def together(name: str, rows: list[Row]) -> Row:
    """Several sets as one."""
    return Row(
        name,
        sum(row.responses for row in rows),
        sum(row.words for row in rows),
        sum(row.found for row in rows),
        sum(row.scored for row in rows),
        min(row.loop for row in rows),
    )


def measure(name: str, transcripts: Iterable[Transcript], repeats: int) -> Row:
    kept = list(transcripts)
    responses = sum(len(transcript.turns) for transcript in kept)
    words = sum(len(turn.response.split()) for each in kept for turn in each.turns)

    def all_findings() -> None:
        for transcript in kept:
            find(transcript)

    def all_scores() -> None:
        for transcript in kept:
            score_transcript(transcript)

    return Row(
        name,
        responses,
        words,
        found=fastest(all_findings, repeats),
        scored=fastest(all_scores, repeats),
        loop=fastest(fixed_loop, repeats),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    cases = [item for item, _ in contrast()]
    rows = [measure("contrast cases, written replies", cases, options.repeats)]
    if DATA.is_dir():
        other = [transcript for _, transcript, _ in exchanges()]
        rows.append(measure("other personas' exchanges", other, options.repeats))
        sage = [transcript for _, transcript in sage_transcripts()]
        rows.append(measure("SAGE transcripts", sage, options.repeats))
        rows.append(together("all", rows))
    figures = [row.as_dict() for row in rows]
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    for row in figures:
        print(
            f"{row['set']:31} {row['responses']:5} of {row['words_per_response']:4} words  "
            f"findings {row['findings_per_second']:6}/s  all scores {row['scored_per_second']:6}/s"
            f"  (fixed loop {row['loop_ms']} ms)"
        )


if __name__ == "__main__":
    main()
