"""``holdtrue sleep cycle``: curate, train an adapter and a sham, test both against the base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdtrue.cli.options import FOLDER, loading_options, make_engine_options, seed_option
from holdtrue.cli.shell import command_line, from_here
from holdtrue.cli.sleep_options import (
    BASE,
    PATHS,
    Steps,
    adapted,
    curate_options,
    curated,
    train_options,
    train_settings,
)

if TYPE_CHECKING:
    from holdtrue.capacity import Observer
    from holdtrue.sleep.cycle import CycleConfig, CycleRecord
    from holdtrue.sleep.dataset import Dataset
    from holdtrue.transcript import Transcript


@click.command("cycle")
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
) -> int:
    """Curate PATHS, train an adapter and a sham, and test both against the base.

    The cycle lies in sleep/cycle-NNN of the workspace; an interrupted one goes on with the same
    command. Removing the folder undoes it.
    """
    from holdtrue.cli.models import ensure_fetched
    from holdtrue.cli.output import print_json
    from holdtrue.documents.sleep import write_cycle
    from holdtrue.sleep.cycle import run_cycle
    from holdtrue.sleep.lab import LocalLab
    from holdtrue.sleep.weights import check_libraries, trainable
    from holdtrue.workspace import find_workspace

    place = find_workspace(workspace)
    folder = (place.root / "sleep" / f"cycle-{number:03d}").resolve()
    settings = train_settings(values)
    given = {key: values.pop(key) for key in ("base", "sessions", "protocol", "phase", "sham",
                                              "host")}  # fmt: skip
    given["persona"] = values["persona"]
    trainable(given["base"])  # what cannot be trained is said before anything is read
    check_libraries()
    dataset = _dataset(folder, paths, values)
    config = _config(number, place, dataset, settings, {**given, "seed": values.pop("seed")})
    options = make_engine_options(values, None)
    ensure_fetched(config.base, offline=options.offline)
    if not as_json:
        click.echo(f"{dataset.card.train} examples to learn, {dataset.card.held_out} held out, "
                   f"of {dataset.card.good_sessions} good sessions", err=True)  # fmt: skip
    try:
        with Steps() as progress:
            watcher = _watcher(progress, config.sessions)
            lab = LocalLab(options, observer=watcher, on_step=progress.train)
            record = run_cycle(
                config, dataset, folder, lab, lambda text: click.echo(text, err=True)
            )
    except KeyboardInterrupt:
        click.echo("Stopped. The same command goes on where it stood.", err=True)
        return 130
    written = write_cycle(record, status_folder=place.root.resolve())
    if as_json:
        print_json(record.outcome.model_dump(mode="json"))
        return 0
    _show(record)
    for path in written:
        click.echo(f"wrote {from_here(path)}")
    click.echo(f"Use it:  holdtrue test {adapted(config.base, folder)}")
    click.echo(f"Undo it: remove {from_here(folder)}")
    return 0


def _watcher(progress: Steps, sessions: int) -> Observer:
    """Shows how far an arm is."""
    from holdtrue.capacity import Observer
    from holdtrue.cli.output import printable

    class Arms(Observer):
        done = 0

        def session(self, transcript: Transcript) -> None:
            self.done = self.done % sessions + 1
            if transcript.error:
                progress.stop()
                click.echo(printable(f"a session failed: {transcript.error}"), err=True)
            progress.show("session", self.done, sessions)

    return Arms()


def _dataset(folder: Path, paths: tuple[Path, ...], values: dict[str, Any]) -> Dataset:
    """What is curated now; in an interrupted cycle what was curated when it began."""
    from holdtrue.sleep.cycle import CONFIG, stored_dataset

    begun = (folder / CONFIG).exists()
    dataset = stored_dataset(folder) if begun else curated(paths, values, None)
    for name in ("persona", "min_sessions", "held_out", "anchored"):
        values.pop(name)
    return dataset


def _config(
    number: int, place: Any, dataset: Dataset, settings: Any, given: dict[str, Any]
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
        seed=given["seed"] % 2**31,
        sessions=given["sessions"],
        training=settings,
        sham=given["sham"],
        dataset=dataset.sha256,
        criteria=(load_criteria("minimum"), load_criteria("full")),
        baseline=load_baseline(place.settings.baseline, place.folders("baselines")),
        created=now(),
        command=command_line(),
        versions=installed_versions("torch", "transformers", "peft"),
    )


def _show(record: CycleRecord) -> None:
    from holdtrue.cli.output import print_table, printable
    from holdtrue.documents import words

    print_table(
        ["question", "answer"],
        [[one.question, words.prose(one.text)] for one in record.outcome.findings],
        title=f"Sleep {record.config.name}: {record.outcome.tag}",
    )
    click.echo(printable(words.prose(record.outcome.headline)))
    click.echo(f"Next: {record.outcome.next_step}")
