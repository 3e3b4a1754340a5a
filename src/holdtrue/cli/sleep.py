"""``holdtrue sleep``: curate sessions, train an adapter on them, and test whether that worked."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdtrue.cli.options import FOLDER, loading_options, make_engine_options, seed_option

if TYPE_CHECKING:
    from holdtrue.engines.base import EngineOptions
    from holdtrue.sleep.curate import CurateSettings
    from holdtrue.sleep.cycle import CycleConfig, CycleRecord
    from holdtrue.sleep.dataset import Dataset
    from holdtrue.sleep.train import OnStep, TrainSettings

PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
BASE = click.option("--base", default="smollm2-135m", show_default=True, metavar="MODEL",
                    help="Model to train an adapter for.")  # fmt: skip
SHARE = click.FloatRange(0, 1)


def curate_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What is kept and held out."""
    for decorate in (
        click.option("--persona", metavar="NAME|FILE", help="Whose replies. [default: told]"),
        click.option("--min-sessions", type=click.IntRange(1), default=4, show_default=True,
                     metavar="N", help="Good sessions wanted."),
        click.option("--held-out", type=click.FloatRange(0, 1, max_open=True), default=0.25,
                     show_default=True, metavar="SHARE", help="Questions kept out of training."),
        click.option("--anchored", type=SHARE, default=0.5, show_default=True, metavar="SHARE",
                     help="Examples that keep their anchoring."),
    )[::-1]:  # fmt: skip
        function = decorate(function)
    return function


def train_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """How an adapter is trained."""
    for decorate in (
        click.option("--dpo", is_flag=True, help="Learn from preference pairs instead."),
        click.option("--epochs", type=click.IntRange(1), default=3, show_default=True, metavar="N"),
        click.option("--batch", "train_batch", type=click.IntRange(1), default=4,
                     show_default=True, metavar="N", help="Examples a step."),
        click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=5e-4,
                     show_default=True, metavar="X"),
        click.option("--rank", type=click.IntRange(1, 1024), default=8, show_default=True,
                     metavar="N", help="Rank of the adapter."),
        click.option("--max-tokens", "train_tokens", type=click.IntRange(16), default=1024,
                     show_default=True, metavar="N", help="Longer examples are left out."),
    )[::-1]:  # fmt: skip
        function = decorate(function)
    return function


@click.group("sleep")
def command() -> None:
    """Train an identity into the weights, under control.

    `curate` makes a dataset of good sessions, `train` an adapter of it, and `cycle` does both and
    tests the adapter against the base and a sham.
    """


@command.command("curate")
@PATHS
@click.option("--out", type=FOLDER, required=True, help="Folder for the dataset.")
@curate_options
@click.option("--for", "bind", metavar="MODEL", help="Bind the dataset to a model's tokenizer.")
@seed_option("Draws what is held out and what keeps its anchoring.")
@click.option("--json", "as_json", is_flag=True, help="Print the data card as JSON.")
def curate_command(paths: tuple[Path, ...], out: Path, as_json: bool, **values: Any) -> None:
    """Make a dataset of the good replies in PATHS (runs, transcripts, folders)."""
    from holdtrue.cli.output import print_json
    from holdtrue.documents.sleep import write_card
    from holdtrue.errors import ConfigError
    from holdtrue.sleep.dataset import write_dataset

    if out.exists() and any(out.iterdir()):
        raise ConfigError("is not empty", where=str(out), remedy="Name another --out.")
    tokenizer = None
    if bind := values.pop("bind"):
        from holdtrue.sleep.weights import load_base

        tokenizer = load_base(bind).tokenizer_hash
    dataset = _curated(paths, values, tokenizer)
    written = [*write_dataset(dataset, out), write_card(dataset, out)]
    if as_json:
        print_json({**dataset.card.model_dump(mode="json"), "sha256": dataset.sha256})
        return
    _show_card(dataset)
    for path in written:
        click.echo(f"wrote {path}")


@command.command("train")
@click.argument("dataset", type=FOLDER)
@BASE
@click.option("--out", type=FOLDER, required=True, help="Folder for the adapter.")
@click.option("--sham", type=click.Choice(["neutral", "shuffled"]),
              help="Train on sham replies to the same prompts, as a control.")  # fmt: skip
@train_options
@seed_option("Of the adapter's first weights and the order of examples.")
@click.option("--bits", type=click.Choice(["4", "8", "16"]), help="Bits of the base's weights.")
@loading_options
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def train_command(
    dataset: Path, base: str, out: Path, sham: str | None, as_json: bool, **values: Any
) -> None:
    """Train a LoRA adapter on DATASET; goes on from the last checkpoint in --out."""
    from holdtrue.cli.output import print_json
    from holdtrue.documents.sleep import write_loss
    from holdtrue.sleep.dataset import read_dataset
    from holdtrue.sleep.sham import sham_of
    from holdtrue.sleep.train import train

    settings, seed = _train_settings(values), values.pop("seed")
    options = make_engine_options(values, None)
    data = read_dataset(dataset)
    if sham:
        data = sham_of(data, sham, seed)  # type: ignore[arg-type]
    try:
        with _Steps() as on_step:
            trained = train(data, base, out, settings, options=options, on_step=on_step)
    except KeyboardInterrupt:
        click.echo("Stopped. The same command goes on from the last checkpoint.", err=True)
        sys.exit(130)
    paths = write_loss(trained.manifest, out)
    if as_json:
        print_json(trained.manifest.model_dump(mode="json"))
        return
    held = trained.held_out
    if held:
        click.echo(f"held-out loss {held[min(held)]:.3f} before, {held[max(held)]:.3f} after")
    click.echo(f"training loss {trained.losses[0]:.3f} first, {trained.losses[-1]:.3f} last")
    if trained.skipped:
        click.echo(f"left out: {trained.skipped} examples longer than {settings.max_tokens} tokens")
    click.echo(f"{trained.seconds:.0f} s; wrote the adapter to {out}, and {paths[-1].name}")
    click.echo(f"Test it: holdtrue test {base}+{out}")


@command.command("cycle")
@click.argument("number", type=click.IntRange(1, 999), metavar="NNN")
@PATHS
@BASE
@click.option("--sessions", type=click.IntRange(2, 10_000), default=24, show_default=True,
              metavar="N", help="Sessions of each arm.")  # fmt: skip
@click.option("--protocol", metavar="NAME|FILE", help="Anchoring to test. [default: v2.0]")
@click.option("--phase", metavar="NAME", help="Conversation flow to use.")
@click.option("--sham", type=click.Choice(["neutral", "shuffled"]), default="neutral",
              show_default=True, help="What the sham learns.")  # fmt: skip
@curate_options
@train_options
@click.option("--workspace", type=FOLDER, help="Workspace. [default: nearest above]")
@click.option("--host", metavar="TEXT", help="In the status file. [default: this machine]")
@seed_option("Root of all randomness.")
@click.option("--bits", type=click.Choice(["4", "8", "16"]), help="Bits of the base's weights.")
@loading_options
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def cycle_command(
    number: int, paths: tuple[Path, ...], workspace: Path | None, as_json: bool, **values: Any
) -> None:
    """Curate PATHS, train an adapter and a sham, and test both against the base.

    The cycle lies in sleep/cycle-NNN of the workspace; an interrupted one goes on with the same
    command. Removing the folder undoes it.
    """
    from holdtrue.cli.output import print_json
    from holdtrue.documents.sleep import write_cycle
    from holdtrue.sleep.cycle import run_cycle
    from holdtrue.sleep.lab import LocalLab
    from holdtrue.workspace import find_workspace

    place = find_workspace(workspace)
    settings = _train_settings(values)
    persona = values["persona"]
    given = {key: values.pop(key) for key in ("base", "sessions", "protocol", "phase", "sham",
                                              "host")}  # fmt: skip
    seed = values["seed"]
    folder = place.root / "sleep" / f"cycle-{number:03d}"
    dataset = _cycle_data(folder, paths, values)
    config = _cycle_config(number, place, dataset, settings, seed, {**given, "persona": persona})
    values.pop("seed")
    options = _engine(values)
    try:
        with _Steps() as on_step:
            lab = LocalLab(options, on_step=on_step)
            record = run_cycle(
                config, dataset, folder, lab, lambda text: click.echo(text, err=True)
            )
    except KeyboardInterrupt:
        click.echo("Stopped. The same command goes on where it stood.", err=True)
        sys.exit(130)
    written = write_cycle(record, status_folder=place.root)
    if as_json:
        print_json(record.outcome.model_dump(mode="json"))
        return
    _show_cycle(record)
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"Use it: holdtrue test {config.base}+{folder}")
    click.echo(f"Undo it: remove {folder}")


def _engine(values: dict[str, Any]) -> EngineOptions:
    return make_engine_options(values, None)


def _curated(paths: tuple[Path, ...], values: dict[str, Any], tokenizer: str | None) -> Dataset:
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
    return curate(scored, load_protocol("none"), _curate_settings(values), tokenizer=tokenizer)


def _curate_settings(values: dict[str, Any]) -> CurateSettings:
    from holdtrue.sleep.curate import CurateSettings

    names = ("min_sessions", "held_out", "anchored", "seed")
    return CurateSettings(**{name: values[name] for name in names})


def _train_settings(values: dict[str, Any]) -> TrainSettings:
    from holdtrue.sleep.train import TrainSettings

    return TrainSettings(
        objective="dpo" if values.pop("dpo") else "sft",
        epochs=values.pop("epochs"),
        batch=values.pop("train_batch"),
        learning_rate=values.pop("learning_rate"),
        rank=values.pop("rank"),
        alpha=16.0,
        max_tokens=values.pop("train_tokens"),
        seed=values["seed"] % 2**31,
    )


def _cycle_data(folder: Path, paths: tuple[Path, ...], values: dict[str, Any]) -> Dataset:
    """What is curated now; in an interrupted cycle what was curated when it began."""
    from holdtrue.sleep.cycle import CONFIG, stored_dataset

    begun = (folder / CONFIG).exists()
    dataset = stored_dataset(folder) if begun else _curated(paths, values, None)
    for name in ("persona", "min_sessions", "held_out", "anchored"):
        values.pop(name)
    return dataset


def _cycle_config(
    number: int, place: Any, dataset: Dataset, settings: Any, seed: int, given: dict[str, Any]
) -> CycleConfig:
    from holdtrue.baseline import load_baseline
    from holdtrue.criteria import load_criteria
    from holdtrue.errors import ConfigError
    from holdtrue.persona import load_persona
    from holdtrue.protocol import load_protocol
    from holdtrue.runconfig import default_host, installed_versions, now
    from holdtrue.sleep.cycle import CycleConfig

    protocol = load_protocol(
        given["protocol"] or place.settings.protocol, place.folders("protocols")
    )
    persona = load_persona(given["persona"] or place.settings.persona, place.folders("personas"))
    if persona.name != dataset.card.persona:
        raise ConfigError(
            f"the sessions are of {dataset.card.persona}, the persona to test is {persona.name}",
            remedy="Name the persona of the sessions with --persona.",
        )
    names = [phase.name for phase in protocol.phases]
    phase = given["phase"] or ("questioning" if "questioning" in names else names[0])
    return CycleConfig(
        number=number,
        base=given["base"],
        host=given["host"] or default_host(),
        persona=persona,
        protocol=protocol,
        unanchored=load_protocol("none"),
        phase=protocol.phase_named(phase).name,
        sampling=protocol.sampling,
        seed=seed % 2**31,
        sessions=given["sessions"],
        training=settings,
        sham=given["sham"],
        dataset=dataset.sha256,
        criteria=(load_criteria("minimum"), load_criteria("full")),
        baseline=load_baseline(place.settings.baseline, place.folders("baselines")),
        created=now(),
        command=shlex.join(["holdtrue", *sys.argv[1:]]),
        versions=installed_versions("torch", "transformers", "peft"),
    )


def _show_card(dataset: Dataset) -> None:
    from holdtrue.cli.output import print_table
    from holdtrue.sleep.curate import REASONS

    card = dataset.card
    print_table(
        ["dropped", "replies", "which"],
        [[reason, count, REASONS[reason]] for reason, count in card.dropped.items()],
        title=f"{card.responses} replies of {card.sessions} sessions",
    )
    click.echo(
        f"kept {card.train + card.held_out}: {card.train} to learn ({card.anchored} with their "
        f"anchoring), {card.held_out} held out; {card.pairs} preference pairs; "
        f"{card.good_sessions} good sessions"
    )


def _show_cycle(record: CycleRecord) -> None:
    from holdtrue.cli.output import print_table, printable
    from holdtrue.documents import words

    print_table(
        ["question", "answer"],
        [[one.question, words.prose(one.text)] for one in record.outcome.findings],
        title=f"Sleep {record.config.name}: {record.outcome.tag}",
    )
    click.echo(printable(words.prose(record.outcome.headline)))


class _Steps:
    """A bar over training steps on a terminal, a line every tenth of the way elsewhere."""

    def __enter__(self) -> OnStep:
        self.bar: Any = None
        self.task: Any = None
        return self._step

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def _step(self, step: int, steps: int, loss: float) -> None:
        if not sys.stderr.isatty():
            if step == steps or step % max(1, steps // 10) == 0:
                click.echo(f"step {step} of {steps}, loss {loss:.3f}", err=True)
            return
        if self.bar is None:
            from rich.progress import Progress

            from holdtrue.cli.output import console

            self.bar = Progress(console=console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task("training", total=steps)
        self.bar.update(
            self.task, completed=step, total=steps, description=f"training, loss {loss:.3f}"
        )
