"""Responses a second of the findings, and of all scores without the semantic extra, on one core.

    python benchmarks/scoring_speed.py [--json] [--rounds 15]

It reads the contrast cases (short exchanges) and, where it is there, the reference data (longer
replies, five to a session), one set after the other in every round, and takes the fastest of
each, in CPU time of this process. Other work on the machine slows CPU time too, through caches and
shared cores: rounds spread over the run meet its better seconds, and the time of a fixed loop is
printed beside, to compare runs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from findings_agreement import DATA, exchanges, sage_transcripts
from fit_findings import contrast
from holdtrue.scoring.findings import find
from holdtrue.scoring.score import score_transcript
from holdtrue.transcript import Transcript

LOOP = 60_000
TIMES = 4


def fastest(works: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Seconds of CPU time that each of some works took at its fastest.

    Every round has all of them, each TIMES in a row, so that the processor's caches hold what it
    needs and not what the others left there.
    """
    best = [float("inf")] * len(works)
    for _ in range(rounds):
        for place, work in enumerate(works):
            for _ in range(TIMES):
                start = time.process_time()
                work()
                best[place] = min(best[place], time.process_time() - start)
    return best


def each(work: Callable[[Transcript], object], transcripts: Sequence[Transcript]) -> None:
    """Do one after the other; nothing is kept."""
    for transcript in transcripts:
        work(transcript)


def fixed_loop() -> None:
    total = 0
    for number in range(LOOP):
        total += number * number % 7


@dataclass(frozen=True)
class Row:
    """A set of responses: their words in all, the fastest CPU seconds of findings and of all."""

    name: str
    responses: int
    words: int
    found: float
    scored: float

    def as_dict(self) -> dict[str, object]:
        return {
            "set": self.name,
            "responses": self.responses,
            "words_per_response": round(self.words / self.responses, 1),
            "findings_per_second": round(self.responses / self.found),
            "scored_per_second": round(self.responses / self.scored),
        }


def together(name: str, rows: Sequence[Row]) -> Row:
    """Several sets as one."""
    return Row(
        name,
        sum(row.responses for row in rows),
        sum(row.words for row in rows),
        sum(row.found for row in rows),
        sum(row.scored for row in rows),
    )


def measure(sets: Mapping[str, Sequence[Transcript]], rounds: int) -> tuple[list[Row], float]:
    """A row for every set, and the seconds of the fixed loop."""
    works: list[Callable[[], object]] = [fixed_loop]
    for transcripts in sets.values():
        works += [partial(each, find, transcripts), partial(each, score_transcript, transcripts)]
    loop, *times = fastest(works, rounds)
    rows = []
    for (name, kept), found, scored in zip(sets.items(), times[::2], times[1::2], strict=True):
        said = [turn.response for transcript in kept for turn in transcript.turns]
        words = sum(len(response.split()) for response in said)
        rows.append(Row(name, len(said), words, found, scored))
    return rows, loop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    sets = {"contrast cases, written replies": [item for item, _ in contrast()]}
    if DATA.is_dir():
        sets["other personas' exchanges"] = [transcript for _, transcript, _ in exchanges()]
        sets["SAGE transcripts"] = [transcript for _, transcript in sage_transcripts()]
    rows, loop = measure(sets, options.rounds)
    if len(rows) > 1:
        rows.append(together("all", rows))
    figures = [row.as_dict() for row in rows]
    if options.json:
        print(json.dumps({"loop_ms": round(1000 * loop, 2), "sets": figures}, indent=1))
        return
    for row in figures:
        print(
            f"{row['set']:31} {row['responses']:5} of {row['words_per_response']:4} words  "
            f"findings {row['findings_per_second']:6}/s  all scores {row['scored_per_second']:6}/s"
        )
    print(f"fixed loop {1000 * loop:.2f} ms")


if __name__ == "__main__":
    main()
