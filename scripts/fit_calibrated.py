"""Fit the weights of the calibrated scores to labelled transcripts, and validate them.

    python scripts/fit_calibrated.py LABELS TRANSCRIPTS [--out FILE] [--version V] [--check]

LABELS is a label file (see ``holdtrue calibrate``), TRANSCRIPTS the folder of the transcripts
that it names. --check fits without writing and fails when the stored weights differ.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from holdtrue.errors import HoldtrueError
from holdtrue.importers import read_any
from holdtrue.scoring.calibrated import Training, Weights, parse_weights
from holdtrue.scoring.fit import RIDGE, formulas
from holdtrue.scoring.labels import read_labels

STORED = Path(__file__).parent.parent / "src/holdtrue/data/weights/calibrated.json"
SEED = 20261123


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("transcripts", type=Path)
    parser.add_argument("--out", type=Path, default=STORED)
    parser.add_argument("--version", default="1")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    try:
        weights = fitted(given.labels, given.transcripts, given.version)
        if given.check:
            stored = parse_weights(given.out.read_text("utf-8"), source=str(given.out))
    except HoldtrueError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    show(weights)
    if given.check:
        same = stored.scores == weights.scores and stored.training == weights.training
        print("The stored weights are these." if same else "The stored weights differ.")
        return 0 if same else 1
    given.out.write_text(to_json(weights), encoding="utf-8")
    print(f"Written: {given.out}")
    return 0


def fitted(labels: Path, transcripts: Path, version: str) -> Weights:
    """Fit on a label file and a folder. Raises TranscriptError."""
    read = read_any([transcripts])
    file = read_labels(labels)
    return Weights(
        schema=1,
        version=version,
        fitted=datetime.date.today().isoformat(),
        ridge=RIDGE,
        training=Training(
            labels_sha256=hashlib.sha256(labels.read_bytes()).hexdigest(),
            transcripts_sha256=folder_hash(transcripts),
            sessions=len({label.transcript for label in file.labels}),
            responses=len({(label.transcript, label.response) for label in file.labels}),
            annotators=len(file.annotators),
            models=len({transcript.model for transcript in read}),
        ),
        scores=formulas(read, file, np.random.default_rng(SEED)),
    )


def folder_hash(folder: Path) -> str:
    """One hash over the names and contents of a folder's files, in sorted order."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.json*")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def to_json(weights: Weights) -> str:
    return json.dumps(weights.model_dump(mode="json", by_alias=True), indent=1) + "\n"


def show(weights: Weights) -> None:
    """Print figures and weights."""
    for name, formula in weights.scores.items():
        both = formula.cross_validation
        print(f"{name} ~ {formula.label}, Spearman over {weights.training.sessions} sessions:")
        for what, figure in (
            ("without its transcript", both.by_transcript),
            ("without its model", both.by_family),
        ):
            print(f"  {what:24} {figure.spearman:+.3f}  [{figure.low}, {figure.high}]")
        print(f"  {'intercept':24} {formula.intercept:+.3f}")
        for feature, weight in formula.features.items():
            print(f"  {feature:24} {weight.weight:+.3f}  seen {weight.low} to {weight.high}")


if __name__ == "__main__":
    sys.exit(main())
