"""What the verbs of ``holdtrue sleep`` share: options, settings made of them, and progress."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdtrue.cli.options import with_all

if TYPE_CHECKING:
    from holdtrue.sleep.curate import CurateSettings
    from holdtrue.sleep.dataset import Dataset
    from holdtrue.sleep.train import TrainSettings

PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
BASE = click.option("--base", default="smollm2-135m", show_default=True, metavar="MODEL",
                    help="Model to train an adapter for.")  # fmt: skip
SHARE = click.FloatRange(0, 1)


def curate_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What is kept and held out."""
    return with_all(
        function,
        click.option("--persona", metavar="NAME|FILE", help="Whose replies. [default: told]"),
        click.option("--min-sessions", type=click.IntRange(1), default=4, show_default=True,
                     metavar="N", help="Good sessions wanted."),
        click.option("--held-out", type=click.FloatRange(0, 1, max_open=True), default=0.25,
                     show_default=True, metavar="SHARE", help="Questions kept out of training."),
        click.option("--anchored", type=SHARE, default=0.5, show_default=True, metavar="SHARE",
                     help="Examples that keep their anchoring."),
    )  # fmt: skip


def train_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """How an adapter is trained."""
    return with_all(
        function,
        click.option("--dpo", is_flag=True, help="Learn from preference pairs instead."),
        click.option("--epochs", type=click.IntRange(1), default=3, show_default=True,
                     metavar="N", help="Times that every example is learnt from."),
        click.option("--batch", "train_batch", type=click.IntRange(1), default=4,
                     show_default=True, metavar="N", help="Examples a step."),
        click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=5e-4,
                     show_default=True, metavar="X", help="Highest step size."),
        click.option("--rank", type=click.IntRange(1, 1024), default=8, show_default=True,
                     metavar="N", help="Rank of the adapter."),
        click.option("--max-tokens", "train_tokens", type=click.IntRange(16), default=1024,
                     show_default=True, metavar="N", help="Longer examples are left out."),
    )  # fmt: skip


def curate_settings(values: dict[str, Any]) -> CurateSettings:
    from holdtrue.sleep.curate import CurateSettings

    names = ("min_sessions", "held_out", "anchored", "seed")
    return CurateSettings(**{name: values[name] for name in names})


def train_settings(values: dict[str, Any]) -> TrainSettings:
    """Taken out of ``values``, except for the seed."""
    from holdtrue.sleep.train import TrainSettings

    return TrainSettings(
        objective="dpo" if values.pop("dpo") else "sft",
        epochs=values.pop("epochs"),
        batch=values.pop("train_batch"),
        learning_rate=values.pop("learning_rate"),
        rank=values.pop("rank"),
        max_tokens=values.pop("train_tokens"),
        seed=values["seed"] % 2**31,
    )


def curated(paths: tuple[Path, ...], values: dict[str, Any], tokenizer: str | None) -> Dataset:
    """The dataset of the transcripts in ``paths``."""
    from holdtrue.cli.output import printable
    from holdtrue.cli.score import read_transcripts
    from holdtrue.protocol import load_protocol
    from holdtrue.scoring.score import score_session
    from holdtrue.sleep.curate import curate

    read = read_transcripts(paths, values["persona"])
    for note in read.notes:
        if not note.endswith("passed over, not a transcript"):
            click.echo(f"note: {printable(note)}", err=True)
    scored = [score_session(one) for one in read.transcripts]
    return curate(scored, load_protocol("none"), curate_settings(values), tokenizer=tokenizer)


def adapted(base: str, folder: Path) -> str:
    """The name of an adapted model, as a shell takes it, from wherever it is called."""
    return shlex.quote(f"{base}+{folder.resolve()}")


class Steps:
    """A bar over steps on a terminal, a line every tenth of the way elsewhere."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.task: Any = None

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bar off the screen."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = self.task = None

    def train(self, step: int, steps: int, loss: float) -> None:
        """A training step was done."""
        self.show("training: step", step, steps, f", loss {loss:.3f}")

    def show(self, what: str, step: int, steps: int, more: str = "") -> None:
        """``step`` of ``steps`` is done; the bar goes with the last."""
        if not sys.stderr.isatty():
            if step == steps or step % max(1, steps // 10) == 0:
                click.echo(f"{what} {step} of {steps}{more}", err=True)
            return
        if self.bar is None:
            from rich.progress import Progress

            from holdtrue.cli.output import console

            self.bar = Progress(console=console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(what, total=steps)
        text = f"{what} {step} of {steps}{more}"
        self.bar.update(self.task, completed=step, total=steps, description=text)
        if step >= steps:
            self.stop()
