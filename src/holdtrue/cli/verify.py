"""``holdtrue verify``: recompute a run and report any difference."""

from __future__ import annotations

from pathlib import Path

import click

from holdtrue.cli.options import FOLDER


@click.command("verify")
@click.argument("run", type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def command(run: Path, as_json: bool) -> int:
    """Recompute everything of RUN from its transcripts; exit 1 when something differs."""
    from dataclasses import asdict

    from holdtrue.cli.output import print_json, print_table
    from holdtrue.runs import open_run
    from holdtrue.verify import verify

    differences = verify(open_run(run))
    if as_json:
        print_json({"run": str(run), "differences": [asdict(one) for one in differences]})
    elif differences:
        print_table(
            ["what", "stored", "computed"],
            [[one.what, one.stored, one.computed] for one in differences],
        )
    else:
        click.echo("Everything follows from the transcripts: no difference.")
    return 1 if differences else 0
