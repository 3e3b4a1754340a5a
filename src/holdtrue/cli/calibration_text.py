"""Calibrations as tables on a terminal; the Markdown page shares them. It computes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from holdtrue.scoring.agreement import Estimate
    from holdtrue.scoring.calibration import Calibration, Comparison, Disagreement

CAVEAT = (
    "Agreement with these readers on these transcripts; it says nothing of other personas or "
    "models, and flatters whatever was developed on these very labels. Brackets: 95 % interval, "
    "resampled over transcripts."
)


def show(found: Sequence[Calibration], *, worst: int) -> None:
    """Print every calibration; ``worst`` disagreements per measure at the end of each."""
    from holdtrue.cli.output import print_table, printable

    for calibration in found:
        click.echo(printable(headline(calibration)) + "\n")
        for title, headers, rows in tables(calibration):
            if rows:
                print_table(
                    headers, [list(map(_words, row)) for row in rows], title=printable(title)
                )
        for line in missing(calibration):
            click.echo(printable(line))
        if worst:
            for line in _worst_lines(calibration):
                click.echo(printable(line))
        click.echo()
    click.echo(CAVEAT)


def _words(cell: Any) -> Any:
    """Names with spaces, so that a narrow column breaks them between words."""
    return cell.replace("_", " ") if isinstance(cell, str) else cell


def headline(calibration: Calibration) -> str:
    who = ", ".join(calibration.annotators)
    return (
        f"{calibration.file}: {calibration.responses} responses of {calibration.sessions} "
        f"transcripts, annotators: {who}; scorer {calibration.scorer}"
    )


def tables(calibration: Calibration) -> Iterator[tuple[str, list[str], list[list[Any]]]]:
    """Title, headers and rows of every table."""
    yield (
        "Detectors, per class",
        ["detector", "class", "labels", "told", "prec.", "rec.", "F1", "95 %"],
        [row for comparison in calibration.detectors for row in _class_rows(comparison)],
    )
    yield (
        "Detectors, all classes",
        ["detector", "macro-F1", "95 %", "accuracy", "kappa", "95 %", "pairs"],
        [_overall_row(comparison) for comparison in calibration.detectors],
    )
    yield (
        "Scores and rates",
        ["score", "label", "Spearman", "95 %", "bias", "over"],
        [_value_row(comparison) for comparison in calibration.scores],
    )
    for a, b, comparisons in calibration.between:
        yield (
            f"Annotators {a} and {b}",
            ["measure", "kappa", "95 %", "macro-F1 or Spearman", "95 %", "pairs"],
            [_between_row(comparison) for comparison in comparisons],
        )
    yield (
        "Judge",
        ["rating", "Spearman", "95 %", "kappa", "95 %", "bias", "over"],
        [_judge_row(comparison) for comparison in calibration.judge],
    )


def _class_rows(comparison: Comparison) -> list[list[Any]]:
    """One row per class that is looked for."""
    return [
        [
            comparison.measure,
            found.name,
            found.labelled,
            found.told,
            _figure(found.precision),
            _figure(found.recall),
            *_with_interval(found.f1),
        ]
        for found in looked_for(comparison)
    ]


def looked_for(comparison: Comparison) -> list[Any]:
    """Agreement on the classes that a detector looks for: not "no", nor "none"."""
    classes = getattr(comparison.result, "classes", ())
    return [found for found in classes if found.name not in ("no", "none")]


def _overall_row(comparison: Comparison) -> list[Any]:
    result: Any = comparison.result
    return [
        comparison.measure,
        *_with_interval(result.macro_f1),
        _figure(result.accuracy),
        *_with_interval(result.kappa),
        result.pairs,
    ]


def _value_row(comparison: Comparison) -> list[Any]:
    result: Any = comparison.result
    return [
        comparison.measure,
        comparison.label,
        *_with_interval(result.spearman),
        None if result.bias is None else _figure(result.bias),
        _count(comparison),
    ]


def _between_row(comparison: Comparison) -> list[Any]:
    result: Any = comparison.result
    other = getattr(result, "macro_f1", None) or result.spearman
    return [
        comparison.measure,
        *_with_interval(result.kappa),
        *_with_interval(other),
        result.pairs,
    ]


def _judge_row(comparison: Comparison) -> list[Any]:
    result: Any = comparison.result
    kappa = (None, None) if result.kappa is None else _with_interval(result.kappa)
    return [
        comparison.measure,
        *_with_interval(result.spearman),
        *kappa,
        _figure(result.bias),
        _count(comparison),
    ]


def _count(comparison: Comparison) -> str:
    unit = "sess." if comparison.level == "session" else "resp."
    return f"{comparison.result.pairs} {unit}"


def _with_interval(estimate: Estimate) -> tuple[str | None, str | None]:
    """The figure and its interval; None where there is none."""
    if estimate.low is None or estimate.high is None:
        return _figure(estimate), None
    return _figure(estimate), f"[{estimate.low:.2f},{estimate.high:.2f}]"


def _figure(estimate: Estimate) -> str | None:
    return None if estimate.value is None else f"{round(estimate.value, 2) + 0:.2f}"


def missing(calibration: Calibration) -> list[str]:
    """What could not be measured, and why, each reason once."""
    reasons: dict[str, list[str]] = {}
    for comparison in (*calibration.detectors, *calibration.scores, *calibration.judge):
        if comparison.unscored:
            reasons.setdefault(f"{comparison.unscored} labelled {comparison.level}s unscored", [])
            reasons[f"{comparison.unscored} labelled {comparison.level}s unscored"].append(
                comparison.measure
            )
        result: Any = comparison.result
        estimate = getattr(result, "macro_f1", None) or result.spearman
        if estimate.reason:
            reasons.setdefault(estimate.reason, []).append(comparison.measure)
    lines = [f"{', '.join(dict.fromkeys(names))}: {why}" for why, names in reasons.items()]
    lines += [
        f"unscored by the judge: {count}: {why}"
        for why, count in calibration.judge_unscored.items()
    ]
    return lines


def _worst_lines(calibration: Calibration) -> Iterator[str]:
    groups = [("detector", c) for c in calibration.detectors]
    groups += [("judge", c) for c in calibration.judge if c.level == "response"]
    for kind, comparison in groups:
        if not comparison.worst:
            continue
        yield f"\nWorst disagreements, {kind} {comparison.measure}:"
        for item in comparison.worst:
            yield f"  {sentence(item)}"
            yield f"    {item.excerpt!r}"


def sentence(item: Disagreement) -> str:
    where = item.file if item.response is None else f"{item.file} response {item.response}"
    return f"{where}: labelled {_labelled(item.labelled)}, told {_plain(item.told)}{_spans(item)}"


def _spans(item: Disagreement) -> str:
    spans = [f"{span['start']}–{span['end']} {span['reason']}" for span in item.spans]
    return f" ({'; '.join(spans)})" if spans else ""


def _labelled(value: Any) -> str:
    if isinstance(value, dict):
        said = {_plain(label) for label in value.values()}
        if len(said) == 1:
            return said.pop()
        return ", ".join(f"{_plain(label)} by {who}" for who, label in value.items())
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
