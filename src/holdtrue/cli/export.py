"""``holdtrue export``: transcripts as a log of another evaluation tool."""

from __future__ import annotations

from pathlib import Path

import click

from holdtrue.cli.options import FILE


@click.command("export")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--inspect",
    "log",
    type=FILE,
    required=True,
    help="The Inspect AI log to write (.eval, or .json); replaced if it is there.",
)
@click.option("--persona", metavar="NAME|FILE", help="Whose responses. [default: as in score]")
def command(paths: tuple[Path, ...], log: Path, persona: str | None) -> None:
    """Write transcripts, scored anew, as a log that `inspect view` opens.

    PATH is what `holdtrue score` reads: transcripts, folders of them, logs of other tools. One
    session is one sample, with its messages and a score per measure.
    """
    from holdtrue.bridges.inspect_export import write_log
    from holdtrue.cli.output import printable
    from holdtrue.cli.score import read_transcripts
    from holdtrue.scoring.score import score_session

    read = read_transcripts(paths, persona)
    for note in read.notes:
        click.echo(f"note: {printable(note)}", err=True)
    written = write_log([score_session(item) for item in read.transcripts], log)
    click.echo(f"Wrote {len(read.transcripts)} sessions to {printable(str(written))}.")
    click.echo(f"See them with: inspect view start --log-dir {printable(str(written.parent))}")
