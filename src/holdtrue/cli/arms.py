"""Reading an arm for a verb: a run, or transcripts of any readable format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from holdtrue.runconfig import RunConfig
    from holdtrue.scoring.measures import ScoredSession


@dataclass(frozen=True, slots=True)
class Arm:
    """Scored sessions in their order, what to call them, and the run's configuration if one is."""

    name: str
    sessions: tuple[ScoredSession, ...]
    config: RunConfig | None = None


def read_arm(paths: Sequence[Path], persona: str | None = None) -> Arm:
    """The run at a run or output folder, else every transcript in ``paths``, scored anew.

    Raises HoldtrueError for what cannot be read, and for no transcripts.
    """
    if len(paths) == 1 and (found := _run_at(paths[0])) is not None:
        return found
    from holdtrue.cli.output import printable
    from holdtrue.cli.score import read_transcripts
    from holdtrue.errors import ConfigError
    from holdtrue.scoring.score import score_session

    read = read_transcripts(paths, persona)
    for note in read.notes:
        click.echo(f"note: {printable(note)}", err=True)
    name = paths[0].resolve().name if len(paths) == 1 else f"{len(paths)} paths"
    if not read.transcripts:
        raise ConfigError("no sessions", where=name, remedy="Name a run, or transcripts.")
    return Arm(name, tuple(score_session(one) for one in read.transcripts))


def _run_at(path: Path) -> Arm | None:
    """The run at ``path``, None where it is no run or output folder."""
    from holdtrue.runs import CONFIG, RUNS

    if not (path / CONFIG).is_file() and not any((path / RUNS).glob(f"*/{CONFIG}")):
        return None
    from holdtrue.capacity import load_record
    from holdtrue.runs import open_run

    record = load_record(open_run(path))
    if not record.sessions:
        from holdtrue.errors import ConfigError

        raise ConfigError("this run has no session yet", where=str(path))
    return Arm(record.run.id, record.sessions, record.config)
