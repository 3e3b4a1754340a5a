"""``holdtrue calibrate``: how far detectors, scores and judges agree with human labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdtrue.cli.options import FILE, seed_option

if TYPE_CHECKING:
    from holdtrue.scoring.calibration import Calibration
    from holdtrue.scoring.labels import LabelFile
    from holdtrue.transcript import Transcript


@click.command("calibrate")
@click.argument("labels", type=click.Path(path_type=Path))
@click.option(
    "--transcripts",
    type=click.Path(path_type=Path),
    help="What was labelled. [default: a transcripts folder beside the labels]",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--markdown", type=FILE, help="Write everything as a Markdown page.")
@click.option("--judge", metavar="MODEL", help="Measure this model as a judge too.")
@click.option("--rubric", default="reader", show_default=True, help="What the judge is asked.")
@click.option("--judge-calibration", type=FILE, help="Keep the judge's agreement in this file too.")
@click.option("--annotator", metavar="NAME", help="Use the labels of this one only.")
@click.option(
    "--persona", metavar="NAME|FILE", help="Whose responses. [default: told by the files]"
)
@click.option(
    "--worst",
    type=click.IntRange(0, 1_000),
    default=5,
    show_default=True,
    metavar="N",
    help="Disagreements to show per measure.",
)
@seed_option("Seed of the resampling behind the intervals.")
def command(
    labels: Path,
    transcripts: Path | None,
    as_json: bool,
    markdown: Path | None,
    judge: str | None,
    rubric: str,
    judge_calibration: Path | None,
    annotator: str | None,
    persona: str | None,
    worst: int,
    seed: int,
) -> None:
    """Measure the agreement of every detector and score with LABELS.

    LABELS is a label file (JSON Lines or CSV), exchanges that carry labels, or a folder with any
    of them. Intervals are 95 %, resampled over transcripts.
    """
    from holdtrue.cli import calibration_page, calibration_text
    from holdtrue.cli.output import print_json
    from holdtrue.errors import ConfigError
    from holdtrue.files import write_atomic

    pairs = _label_files(labels, transcripts, annotator, persona)
    if judge and len(pairs) > 1:
        names = ", ".join(str(file.path) for file, _read in pairs)
        raise ConfigError(
            f"a judge is calibrated on one label file, and here are {names}",
            remedy="Name one of them.",
        )
    found = [
        _calibrate(file, read, judge, rubric, judge_calibration, worst, seed)
        for file, read in pairs
    ]
    if markdown:
        write_atomic(markdown, calibration_page.to_markdown(found))
        click.echo(f"wrote {markdown}", err=True)
    if as_json:
        print_json({"calibrations": [calibration.as_dict() for calibration in found]})
    else:
        calibration_text.show(found, worst=worst)


def _label_files(
    labels: Path, transcripts: Path | None, annotator: str | None, persona: str | None
) -> list[tuple[LabelFile, list[Transcript]]]:
    """The label files, each with the transcripts that it labels."""
    from holdtrue.cli.output import printable
    from holdtrue.cli.score import given_persona, read_transcripts
    from holdtrue.scoring.labels import find_label_files

    pairs = []
    for file in find_label_files(labels, persona=given_persona(persona)):
        chosen = file if annotator is None else file.only(annotator)
        if file.transcripts:
            pairs.append((chosen, list(file.transcripts)))
            continue
        place = transcripts or _beside(file.path)
        read = read_transcripts([place], persona)
        for note in read.notes:
            if "passed over" not in note:
                click.echo(f"note: {printable(note)}", err=True)
        pairs.append((chosen, list(read.transcripts)))
    return pairs


def _beside(path: Path) -> Path:
    """The folder ``transcripts`` beside a label file, else the label file's own folder."""
    folder = path.parent / "transcripts"
    return folder if folder.is_dir() else path.parent


def _calibrate(
    file: LabelFile,
    transcripts: list[Transcript],
    model: str | None,
    rubric: str,
    kept_in: Path | None,
    worst: int,
    seed: int,
) -> Calibration:
    import numpy as np

    from holdtrue.scoring.calibrator import Calibrator
    from holdtrue.scoring.score import score_session

    scored = [score_session(transcript) for transcript in transcripts]
    calibrator = Calibrator(file, scored, np.random.default_rng(seed), worst=worst)
    if model is None:
        return calibrator.compare()
    from holdtrue.cli.judging import judge_all
    from holdtrue.scoring import judge_calibration

    used = [transcripts[position] for position in calibrator.used]
    identity, rated = judge_all(model, rubric, used)
    found = calibrator.compare(dict(zip(calibrator.used, rated, strict=True)))
    if not found.judge:
        click.echo(f"judge {identity.model}: no rating to compare, nothing kept", err=True)
        return found
    kept = judge_calibration.from_calibration(identity, found)
    for path in (None, kept_in) if kept_in else (None,):
        written = judge_calibration.write(kept, path)
        click.echo(f"judge {identity.model}: agreement kept in {written}", err=True)
    return found
