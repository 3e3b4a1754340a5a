"""``holdtrue sleep``: curate sessions, train an adapter on them, and test whether that worked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdtrue.cli.options import FOLDER, loading_options, make_engine_options, seed_option
from holdtrue.cli.sleep_cycle import cycle_command
from holdtrue.cli.sleep_merge import merge_command
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
    from holdtrue.sleep.dataset import Dataset


@click.group("sleep")
def command() -> None:
    """Train an identity into the weights, under control.

    `curate` makes a dataset of good sessions, `train` an adapter of it, and `cycle` does both and
    tests the adapter against the base and a sham. `merge` makes an ordinary model of an adapter
    and its base.
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
    from holdtrue.documents.sleep_data import write_card
    from holdtrue.errors import ConfigError
    from holdtrue.sleep.dataset import write_dataset

    if out.exists() and any(out.iterdir()):
        raise ConfigError("is not empty", where=str(out), remedy="Name another --out.")
    tokenizer = None
    if bind := values.pop("bind"):
        from holdtrue.sleep.weights import load_base

        tokenizer = load_base(bind).tokenizer_hash
    dataset = curated(paths, values, tokenizer)
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
) -> int:
    """Train a LoRA adapter on DATASET; goes on from the last checkpoint in --out."""
    from holdtrue.cli.output import print_json
    from holdtrue.documents.sleep_data import write_loss
    from holdtrue.sleep.dataset import read_dataset
    from holdtrue.sleep.sham import sham_of
    from holdtrue.sleep.train import train

    settings, seed = train_settings(values), values.pop("seed")
    options = make_engine_options(values, None)
    data = read_dataset(dataset)
    if sham:
        data = sham_of(data, sham, seed)  # type: ignore[arg-type]
    try:
        with Steps() as progress:
            trained = train(data, base, out, settings, options=options, on_step=progress.train)
    except KeyboardInterrupt:
        click.echo("Stopped. The same command goes on from the last checkpoint.", err=True)
        return 130
    paths = write_loss(trained.manifest, out)
    if as_json:
        print_json(trained.manifest.model_dump(mode="json"))
        return 0
    held = trained.held_out
    if held:
        click.echo(f"held-out loss {held[min(held)]:.3f} before, {held[max(held)]:.3f} after")
    click.echo(f"training loss {trained.losses[0]:.3f} first, {trained.losses[-1]:.3f} last")
    if trained.skipped:
        click.echo(f"left out: {trained.skipped} examples longer than {settings.max_tokens} tokens")
    click.echo(f"{trained.seconds:.0f} s; wrote the adapter to {out}, and {paths[-1].name}")
    click.echo(f"Test it: holdtrue test {adapted(base, out)}")
    return 0


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


command.add_command(cycle_command)
command.add_command(merge_command)
