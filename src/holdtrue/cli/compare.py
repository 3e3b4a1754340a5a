"""``holdtrue compare``: one arm against another, and what that supports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdtrue.cli.options import FOLDER
from holdtrue.cli.shell import command_line

if TYPE_CHECKING:
    from holdtrue.cli.arms import Arm
    from holdtrue.comparison import Comparison, MeasureComparison

ARM = click.Path(path_type=Path)


@click.command("compare")
@click.argument("a", type=ARM)
@click.argument("b", type=ARM)
@click.option(
    "--equivalence",
    "margin",
    type=float,
    metavar="MARGIN",
    help="Also ask whether B is no worse than A by MARGIN (0 to 1).",
)
@click.option(
    "--measure",
    "measures",
    multiple=True,
    metavar="NAME",
    help="Measure to test; may be repeated. [default: those of the full criteria]",
)
@click.option(
    "--out",
    type=FOLDER,
    help="Folder for comparison.md and report.html. [default: comparisons/B-against-A]",
)
@click.option("--persona", metavar="NAME|FILE", help="Whose responses, in foreign transcripts.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(
    a: Path,
    b: Path,
    margin: float | None,
    measures: tuple[str, ...],
    out: Path | None,
    persona: str | None,
    as_json: bool,
) -> None:
    """Compare arm B with arm A: runs, or files and folders of transcripts.

    Differences are B minus A, over sessions, paired where both have a session of the same seed
    and phrasings. With --json, documents are written only where --out says.
    """
    from holdtrue.cli.arms import read_arm
    from holdtrue.cli.output import print_json
    from holdtrue.comparison import TESTED, compare_arms

    first, second = read_arm([a], persona), read_arm([b], persona)
    names = _names(a, first, b, second)
    comparison = compare_arms(
        first.sessions, second.sessions, names=names, tested=measures or TESTED, margin=margin
    )
    written: list[Path] = []
    if out or not as_json:
        from holdtrue.documents.comparison_report import comparison_document
        from holdtrue.documents.write import write_document
        from holdtrue.runconfig import installed_versions

        document = comparison_document(
            comparison,
            first.sessions,
            second.sessions,
            command=command_line(),
            versions=installed_versions("numpy", "scipy"),
        )
        written = write_document(document, out or _folder(names), "comparison")
    if as_json:
        print_json(comparison.as_dict())
    else:
        _show(comparison)
        for path in written:
            click.echo(f"wrote {path}")


def _names(a: Path, first: Arm, b: Path, second: Arm) -> tuple[str, str]:
    """What to call both sides: the shortest that tells them apart."""
    labels = tuple(one.config.label if one.config else one.name for one in (first, second))
    for names in (labels, (first.name, second.name)):
        if names[0] != names[1]:
            return names[0], names[1]
    return str(a), str(b)


def _folder(names: tuple[str, str]) -> Path:
    """Where the documents go: beside the runs of the workspace, a folder for each pair of arms."""
    from holdtrue.runconfig import as_file_name
    from holdtrue.workspace import find_workspace

    a, b = (as_file_name(name) or letter for name, letter in zip(names, "AB", strict=True))
    return find_workspace().root / "comparisons" / f"{b}-against-{a}"


def _show(comparison: Comparison) -> None:
    from holdtrue.cli.output import print_table, printable
    from holdtrue.documents.words import plural

    for letter, arm in (("A", comparison.a), ("B", comparison.b)):
        what = ", ".join(text for text in (arm.model, arm.protocol) if text) or "model unknown"
        failed = f", {arm.failed} failed" if arm.failed else ""
        line = f"{letter}  {arm.name}: {what}; {plural(arm.sessions, 'session')}, "
        click.echo(printable(f"{line}{plural(arm.responses, 'response')}{failed}"))
        for left in arm.excluded:
            click.echo(printable(f"   not counted: {left.count} {left.what} ({left.reason})"))
    paired = [one for one in comparison.measures if one.paired]
    how = f"Paired by seed and phrasings ({comparison.pairs} pairs)" if paired else "Unpaired"
    click.echo(f"{how}; p at session level (e: exact), Holm over the tested measures")
    tested = [one for one in comparison.measures if one.tested]
    shown = [one for one in comparison.measures if not one.tested]
    print_table(
        ["tested", "A", "B", "B − A", "95 % interval", "p", "Holm", "effect"],
        [_row(one) for one in tested],
    )
    if shown:
        print_table(
            ["only shown", "A", "B", "B − A", "95 % interval"],
            [_row(one)[:5] for one in shown],
        )
    for one in tested:
        if one.equivalence:
            click.echo(f"  {_equivalence(one)}")
    for warning in comparison.warnings:
        click.echo(printable(f"! {warning}"))
    click.echo(printable(comparison.supported))
    click.echo(printable(comparison.unsupported))


def _row(one: MeasureComparison) -> list[object]:
    from holdtrue.documents import words

    effect = None
    if one.effect is not None:
        effect = f"{one.effect:+.2f} {one.effect_name[-1]}".replace("-", "−")
    return [
        words.name_of(one.measure),
        words.value(one.measure, one.mean_a),
        words.value(one.measure, one.mean_b),
        _signed(one.measure, one.difference),
        _interval(one),
        _p(one.p_value) + (" e" if one.exact else ""),
        _p(one.p_adjusted),
        effect,
    ]


def _signed(measure: str, difference: float) -> str:
    from holdtrue.documents import words

    text = words.value(measure, abs(difference))
    if text == words.value(measure, 0.0):
        return text
    return ("+" if difference > 0 else "−") + text


def _interval(one: MeasureComparison) -> str | None:
    if one.low is None or one.high is None:
        return None
    low, high = _signed(one.measure, one.low), _signed(one.measure, one.high)
    return f"{low.removesuffix(' %')} to {high}"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


def _equivalence(one: MeasureComparison) -> str:
    from holdtrue.documents import words

    asked = one.equivalence
    assert asked is not None
    what = "no worse" if asked.one_sided else "no different"
    name = words.name_of(one.measure)
    if asked.bound is None:
        return f"{name}: {what} by {asked.margin:g}? Not to be said from one session."
    bound = _signed(one.measure, asked.bound)
    answer = "yes" if asked.shown else "not shown"
    return f"{name}: {what} by {asked.margin:g}? {answer} (95 % bound of the difference {bound})"
