"""``holdtrue score``: what the detectors and scores say of stored transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdtrue.cli.options import FILE

if TYPE_CHECKING:
    from holdtrue.cli.tabular import Judged
    from holdtrue.importers import Imported
    from holdtrue.persona import Persona
    from holdtrue.scoring.judge import JudgeIdentity
    from holdtrue.scoring.measures import ScoredSession

PERCENT = (("gam", "gaming_rate"), ("gen", "generic_ai_rate"), ("cut", "truncation_rate"))
SURFACE = (("D9", "d9"), ("qual", "quality"), ("ident", "identity_coherence"))
FINDINGS = (
    ("self-ref", "self_reference"),
    ("generic", "generic_ai"),
    ("lecture", "lecture"),
    ("cut off", "truncated"),
    ("partner", "partnership"),
    ("confab", "confabulated"),
)
LONGEST_NAME = 24
CALIBRATED = (
    ("coherence", "calibrated_coherence"),
    ("quality", "calibrated_quality"),
    ("identity", "calibrated_identity"),
)


@click.command("score")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--csv", "csv_file", type=FILE, help="Write one row per response.")
@click.option("--parquet", "parquet_file", type=FILE, help="The same, needs holdtrue[parquet].")
@click.option("--to-label", type=FILE, help="Write a label file (.jsonl, .csv) to correct by hand.")
@click.option(
    "--persona",
    metavar="NAME|FILE",
    help="Whose responses. [default: told by the speakers' names]",
)
@click.option("--judge", metavar="MODEL", help="Have a model rate every response too.")
@click.option("--rubric", default="reader", show_default=True, help="What the judge is asked.")
def command(
    paths: tuple[Path, ...],
    as_json: bool,
    csv_file: Path | None,
    parquet_file: Path | None,
    to_label: Path | None,
    persona: str | None,
    judge: str | None,
    rubric: str,
) -> None:
    """Score transcripts: files, and folders with all that is in them.

    Reads holdtrue transcripts, {"conversation": [{"speaker", "text"}]}, OpenAI messages,
    ShareGPT, Inspect .eval logs, and JSON Lines of single exchanges.
    """
    from holdtrue.cli.output import print_json, printable
    from holdtrue.errors import ConfigError
    from holdtrue.scoring.score import score_session

    if to_label and to_label.exists():
        raise ConfigError(
            "is there already, and labels in it would be lost",
            where=str(to_label),
            remedy="Name another file, or remove this one yourself.",
        )
    read = read_transcripts(paths, persona)
    scored = [score_session(transcript) for transcript in read.transcripts]
    for note in (*read.notes, *_failures(scored)):
        click.echo(f"note: {printable(note)}", err=True)
    identity, judged = _judged(judge, rubric, scored)
    for path in _write(scored, judged, csv_file, parquet_file, to_label):
        click.echo(f"wrote {path}", err=True)
    if as_json:
        print_json(_body(scored, identity, judged))
    else:
        _show(scored, identity, judged)


def read_transcripts(paths: Sequence[Path], persona: str | None) -> Imported:
    """Every transcript in ``paths``; one that names no persona is taken as the default, SAGE."""
    from holdtrue.importers import read_all
    from holdtrue.persona import load_persona

    return read_all(paths, persona=given_persona(persona), fallback=load_persona("sage"))


def given_persona(reference: str | None) -> Persona | None:
    """The persona of ``--persona``: a file, or a name in the workspace or built in."""
    from holdtrue.persona import load_persona
    from holdtrue.workspace import find_workspace

    if reference is None:
        return None
    return load_persona(reference, find_workspace(None).folders("personas"))


def _failures(scored: Sequence[ScoredSession]) -> list[str]:
    return [
        f"{session.transcript.source}: a failed session, scored as far as it went "
        f"({session.transcript.error or 'no reason given'})"
        for session in scored
        if session.transcript.status.value == "failed"
    ]


def _judged(
    model: str | None, rubric: str, scored: Sequence[ScoredSession]
) -> tuple[JudgeIdentity | None, Judged | None]:
    if model is None:
        return None, None
    from holdtrue.cli.judging import judge_all

    return judge_all(model, rubric, [session.transcript for session in scored])


def _write(
    scored: Sequence[ScoredSession],
    judged: Judged | None,
    csv_file: Path | None,
    parquet_file: Path | None,
    to_label: Path | None,
) -> list[Path]:
    from holdtrue.cli import tabular

    written: list[Path] = []
    if csv_file:
        written.append(tabular.write_csv(csv_file, tabular.rows(scored, judged)))
    if parquet_file:
        written.append(tabular.write_parquet(parquet_file, tabular.rows(scored, judged)))
    if to_label:
        from holdtrue.scoring.labels import write_to_label

        written.append(write_to_label(to_label, scored))
    return written


def _body(
    scored: Sequence[ScoredSession], identity: JudgeIdentity | None, judged: Judged | None
) -> dict[str, Any]:
    from holdtrue.cli.tabular import head_of

    transcripts = []
    for number, session in enumerate(scored):
        responses = [response.as_dict() for response in session.scores.responses]
        if judged:
            for response, judgement in zip(responses, judged[number], strict=True):
                response["judge"] = {k: v for k, v in judgement.as_dict().items() if k != "index"}
        transcripts.append(
            {
                **head_of(session),
                "responses": responses,
                "session_scores": session.scores.as_dict(),
            }
        )
    body: dict[str, Any] = {"transcripts": transcripts}
    if identity is not None and judged is not None:
        from holdtrue.scoring.judge import unscored

        body["judge"] = {
            **identity.as_dict(),
            "agreement": _agreement(identity),
            "unscored": unscored(judged),
        }
    return body


def _agreement(identity: JudgeIdentity) -> str:
    from holdtrue.scoring import judge_calibration

    return judge_calibration.require(identity, uncalibrated=True)


def _show(
    scored: Sequence[ScoredSession], identity: JudgeIdentity | None, judged: Judged | None
) -> None:
    from holdtrue.cli.output import print_table

    names = _short_names([session.transcript.source or "" for session in scored])
    rows = []
    for name, session in zip(names, scored, strict=True):
        values = session.scores.values
        rows.append(
            [
                name,
                len(session.scores.responses),
                *(_percent(values[key]) for _title, key in PERCENT),
                _words(values["mean_words"]),
                *(values[key] for _title, key in SURFACE),
            ]
        )
    print_table(
        ["transcript", "n", *(t for t, _ in PERCENT), "words", *(t for t, _ in SURFACE)],
        rows,
        title="Surface scores, as published (they follow readers poorly)",
    )
    click.echo(
        "gam, gen, cut: % of responses that name the persona mechanically, speak as a\n"
        "generic AI, are cut off.\n"
    )
    if any(session.scores.values[key] is not None for session in scored for _t, key in CALIBRATED):
        print_table(
            ["transcript", *(title for title, _key in CALIBRATED)],
            [
                [name, *(session.scores.values[key] for _title, key in CALIBRATED)]
                for name, session in zip(names, scored, strict=True)
            ],
            title="Calibrated scores, as readers would rate",
        )
    if len(scored) == 1:
        _show_responses(scored[0])
    _show_unscored(scored)
    if identity is not None and judged is not None:
        _show_judge(names, identity, judged)


def _show_responses(session: ScoredSession) -> None:
    from holdtrue.cli.output import print_table

    print_table(
        ["response", "words", *(title for title, _name in FINDINGS)],
        [
            [response.index, response.words]
            + [_finding(getattr(response, name)) for _title, name in FINDINGS]
            for response in session.scores.responses
        ],
        title="Findings (--json has the spans and reasons)",
    )


def _show_unscored(scored: Sequence[ScoredSession]) -> None:
    """Each reason once, with how many session scores lack a value for it."""
    from collections import Counter

    from holdtrue.cli.output import printable

    reasons = Counter(
        (name, why) for session in scored for name, why in session.scores.unscored.items()
    )
    for (name, why), count in reasons.items():
        click.echo(f"unscored: {name} of {count} of {len(scored)} sessions: {printable(why)}")


def _show_judge(names: Sequence[str], identity: JudgeIdentity, judged: Judged) -> None:
    from holdtrue.cli.output import print_table, printable
    from holdtrue.scoring.judge import unscored

    keys = list(
        dict.fromkeys(key for several in judged for j in several for key in j.ratings or ())
    )
    rows = []
    for name, several in zip(names, judged, strict=True):
        rated = [judgement.ratings for judgement in several if judgement.ratings is not None]
        means = [sum(r[key] for r in rated) / len(rated) if rated else None for key in keys]
        rows.append([name, *means, len(several) - len(rated)])
    print_table(
        ["transcript", *keys, "unscored"],
        rows,
        title=printable(
            f"Judge {identity.model}, rubric {identity.rubric}: mean ratings from 1 to 5"
        ),
    )
    click.echo(printable(_agreement(identity)))
    for why, count in unscored(judged).items():
        click.echo(f"unscored by the judge: {count}: {printable(why)}")


def _finding(value: Any) -> str | None:
    """Plain words; what is not there is left blank, so that what is stands out."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if str(value) == "none" else str(value)


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.0f}"


def _words(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f}"


def _short_names(sources: Sequence[str]) -> list[str]:
    """The files' names without folder and ending, or as they are where these are not unique.

    Long ones lose their middle.
    """
    short = []
    for source in sources:
        file, mark, identity = source.partition("#")
        name = f"{Path(file).stem}{mark}{identity}"
        if len(name) > LONGEST_NAME:
            name = f"{name[: LONGEST_NAME // 2 - 1]}…{name[-LONGEST_NAME // 2 :]}"
        short.append(name)
    return short if len(set(short)) == len(short) else list(sources)
