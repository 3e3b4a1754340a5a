"""Agreement of the findings with the labels in ../shared/data, measure by measure.

python benchmarks/findings_agreement.py [--disagreements] [--only PREFIX ...]
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from holdtrue.persona import Persona, load_persona
from holdtrue.scoring.findings import FINDINGS_VERSION, find
from holdtrue.transcript import Transcript, Turn

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MEASURES = {
    "self_ref": "self_reference",
    "generic_ai": "generic_ai",
    "lecture": "lecture",
    "truncated": "truncated",
    "partnership": "partnership",
    "confabulated": "confabulated",
}


def sage_transcripts() -> Iterable[tuple[str, Transcript]]:
    persona = load_persona("sage")
    for path in sorted((DATA / "sage" / "transcripts").glob("*.json")):
        body = json.loads(path.read_text(encoding="utf-8"))
        turns, prompt = [], ""
        for line in body["conversation"]:
            if line["speaker"] == "SAGE":
                turns.append(Turn(index=len(turns) + 1, prompt=prompt, response=line["text"]))
                prompt = ""
            else:
                prompt = line["text"]
        yield path.stem, Transcript(id=path.stem, persona=persona, turns=tuple(turns))


def exchanges() -> Iterable[tuple[str, Transcript, dict[str, Any]]]:
    for line in (DATA / "personas" / "exchanges.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        persona = Persona(name=row["persona"], expansion=row.get("persona_expansion"))
        turn = Turn(index=1, prompt=row["prompt"], response=row["response"])
        yield row["id"], Transcript(id=row["id"], persona=persona, turns=(turn,)), row


def f1(pairs: list[tuple[Any, Any]], value: Any) -> tuple[float, float, float, int]:
    """Precision, recall, F1 of one value over (truth, said) pairs, and how often it is true."""
    hit = sum(truth == value == said for truth, said in pairs)
    said_n = sum(said == value for _, said in pairs)
    true_n = sum(truth == value for truth, _ in pairs)
    precision = hit / said_n if said_n else float("nan")
    recall = hit / true_n if true_n else float("nan")
    total = said_n + true_n
    return precision, recall, 2 * hit / total if total else float("nan"), true_n


def report(title: str, pairs: dict[str, list[tuple[Any, Any]]]) -> None:
    print(f"\n{title}")
    print(f"  {'measure':26} {'n':>4} {'prec':>6} {'rec':>6} {'F1':>6}")
    for label, rows in pairs.items():
        three = label in ("self_ref", "partnership")
        values: tuple[Any, ...] = ("none", "natural", "mechanical") if three else (True,)
        scores = []
        for value in values:
            precision, recall, score, count = f1(rows, value)
            if count:
                scores.append(score)
            name = f"{label} {value}" if three else label
            print(f"  {name:26} {count:4d} {precision:6.3f} {recall:6.3f} {score:6.3f}")
        if three and scores:
            print(f"  {label + ' macro':26} {'':4} {'':6} {'':6} {sum(scores) / len(scores):6.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--disagreements", action="store_true")
    parser.add_argument("--by-transcript", action="store_true")
    options = parser.parse_args()

    def wanted(name: str) -> bool:
        return not options.only or any(name.startswith(prefix) for prefix in options.only)

    print(f"findings version {FINDINGS_VERSION}")
    labels: dict[tuple[str, int], dict[int, dict[str, Any]]] = defaultdict(dict)
    for line in (DATA / "sage" / "labels.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        labels[row["transcript"], row["response"]][row["annotator"]] = row
    sage: dict[int, dict[str, list[tuple[Any, Any]]]] = {1: defaultdict(list), 2: defaultdict(list)}
    wrong: list[str] = []
    missed: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for name, transcript in sage_transcripts():
        if not wanted(name):
            continue
        for finding, turn in zip(find(transcript), transcript.turns, strict=True):
            for annotator, row in sorted(labels[name, finding.index].items()):
                for label, field in MEASURES.items():
                    said = getattr(finding, field)
                    sage[annotator][label].append((row[label], said))
                    if said != row[label]:
                        missed[name][label] += 1
                        why = [
                            f"{span.reason} [{turn.response[span.start : span.end]}]"
                            for span in finding.spans
                            if span.measure == field
                        ]
                        wrong.append(
                            f"{label:12} {name} r{finding.index} a{annotator}: "
                            f"reader {row[label]}, said {said} {why}\n      {turn.response[:300]!r}"
                        )
    for annotator, pairs in sage.items():
        if pairs:
            report(f"SAGE transcripts, annotator {annotator}", pairs)
    if options.by_transcript:
        print("\ndisagreements by transcript (both annotators)")
        for name, counts in missed.items():
            print(f"  {name:36} " + ", ".join(f"{key} {n}" for key, n in counts.items()))

    persona_pairs: dict[str, list[tuple[Any, Any]]] = defaultdict(list)
    for name, transcript, row in exchanges():
        if not wanted(row["persona"]):
            continue
        (finding,) = find(transcript)
        for label, field in MEASURES.items():
            if label in row:
                said = getattr(finding, field)
                persona_pairs[label].append((row[label], said))
                if said != row[label]:
                    why = [
                        f"{span.reason} [{row['response'][span.start : span.end]}]"
                        for span in finding.spans
                        if span.measure == field
                    ]
                    wrong.append(
                        f"{label:12} {name} {row['persona']} ({row['category']}): "
                        f"reader {row[label]}, said {said} {why}\n      {row['response'][:400]!r}"
                    )
    if persona_pairs:
        report("other personas' exchanges", persona_pairs)
    if options.disagreements:
        print("\ndisagreements")
        for line in sorted(wrong):
            print(" ", line)


if __name__ == "__main__":
    main()
