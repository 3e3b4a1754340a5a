"""What training a sleep adapter takes: seconds, peak memory, and whether held-out loss falls.

``python benchmarks/sleep_cycle.py TRANSCRIPTS... --examples 40 --epochs 3`` trains on the first
good replies, then with ``--sham`` a sham on as many, and with ``--resume`` once more with an
interruption half way, whose losses have to be the same. Bounds: 40 examples, 3 epochs,
SmolLM2-135M, 2 cores: under 10 minutes and 3 GB.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
from pathlib import Path

from holdtrue.engines.memory import peak_resident, release
from holdtrue.importers import read_any
from holdtrue.protocol import load_protocol
from holdtrue.scoring.score import score_session
from holdtrue.sleep.curate import CurateSettings, curate
from holdtrue.sleep.dataset import Dataset, sealed
from holdtrue.sleep.sham import sham_of
from holdtrue.sleep.train import Trained, TrainSettings, train


class Interrupted(Exception):  # noqa: N818 - stands for a kill
    """Raised in the middle of a training."""


def first_examples(paths: list[Path], examples: int, held_out: int) -> Dataset:
    """The first ``examples`` good replies in ``paths``, and ``held_out`` held-out ones."""
    scored = [score_session(one) for one in read_any(paths)]
    whole = curate(scored, load_protocol("none"), CurateSettings(min_sessions=1))
    return sealed(whole.train[:examples], whole.held_out[:held_out], (), whole.card)


def show(name: str, trained: Trained) -> None:
    held = trained.held_out
    body = {
        "what": name,
        "examples": trained.manifest.examples,
        "steps": len(trained.losses),
        "seconds": round(trained.seconds, 1),
        "processor_seconds": round(time.process_time(), 1),
        "peak_gb": round((peak_resident() or 0) / 1e9, 2),
        "held_out": [round(held[step], 4) for step in sorted(held)],
        "losses": [round(loss, 4) for loss in trained.losses],
        "load": os.getloadavg()[0],
    }
    print(json.dumps(body), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--examples", type=int, default=40)
    parser.add_argument("--held-out", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--sham", action="store_true", help="also train a sham")
    parser.add_argument("--resume", action="store_true", help="also compare a resumed training")
    given = parser.parse_args()
    data = first_examples(given.paths, given.examples, given.held_out)
    settings = TrainSettings(epochs=given.epochs, batch=given.batch, checkpoint_every=2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = train(data, given.base, folder / "adapter", settings)
        show("adapter", whole)
        release()
        if given.sham:
            sham = sham_of(data, "neutral", 0)
            show("sham", train(sham, given.base, folder / "sham", settings))
            release()
        if given.resume:

            def stop(step: int, steps: int, loss: float) -> None:
                if step == steps // 2 + 1:
                    raise Interrupted

            with contextlib.suppress(Interrupted):
                train(data, given.base, folder / "cut", settings, on_step=stop)
            again = train(data, given.base, folder / "cut", settings)
            show("resumed", again)
            print(json.dumps({"resumed losses equal": again.losses == whole.losses}), flush=True)


if __name__ == "__main__":
    main()
