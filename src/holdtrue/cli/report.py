"""``holdtrue report``: write a run's documents again."""

from __future__ import annotations

from pathlib import Path

import click

from holdtrue.cli.options import FOLDER


@click.command("report")
@click.argument("run", type=FOLDER)
@click.option("--out", type=FOLDER, help="Where to. [default: where the run's documents are]")
@click.option("--json", "as_json", is_flag=True, help="Print the paths written as JSON.")
def command(run: Path, out: Path | None, as_json: bool) -> int:
    """Write the documents of RUN from its stored transcripts, scored anew.

    RUN is a folder under runs/, or an output folder for its newest run. Nothing is generated, and
    neither the status file nor the work log is added to.
    """
    from holdtrue.capacity import load_record
    from holdtrue.cli.output import print_json, printable
    from holdtrue.documents.write import write_documents
    from holdtrue.runs import open_run

    record = load_record(open_run(run))
    paths = write_documents(record, (out or record.run.out).expanduser(), announce=False)
    if as_json:
        print_json({"written": [str(path) for path in paths]})
        return 0
    click.echo("Wrote:")
    for path in paths:
        click.echo(f"  {printable(str(path))}{'/' if path.is_dir() else ''}")
    return 0
