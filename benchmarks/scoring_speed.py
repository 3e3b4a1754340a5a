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


def measure(name: str, transcripts: Iterable[Transcript], repeats: int) -> dict[str, object]:
    kept = list(transcripts)
    responses = sum(len(transcript.turns) for transcript in kept)
    words = sum(len(turn.response.split()) for each in kept for turn in each.turns)

    def all_findings() -> None:
        for transcript in kept:
            find(transcript)

    def all_scores() -> None:
        for transcript in kept:
            score_transcript(transcript)

    return {
        "set": name,
        "responses": responses,
        "words_per_response": round(words / responses, 1),
        "findings_per_second": round(responses / fastest(all_findings, repeats)),
        "scored_per_second": round(responses / fastest(all_scores, repeats)),
        "loop_ms": round(1000 * fastest(fixed_loop, repeats), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    rows = [measure("contrast cases", [item for item, _ in contrast()], options.repeats)]
    if DATA.is_dir():
        other = [transcript for _, transcript, _ in exchanges()]
        rows.append(measure("other personas' exchanges", other, options.repeats))
        sage = [transcript for _, transcript in sage_transcripts()]
        rows.append(measure("SAGE transcripts", sage, options.repeats))
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(
            f"{row['set']:26} {row['words_per_response']:6} words  "
            f"findings {row['findings_per_second']:6}/s  all scores {row['scored_per_second']:6}/s"
            f"  (fixed loop {row['loop_ms']} ms)"
        )


if __name__ == "__main__":
    main()
