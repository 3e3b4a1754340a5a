"""A judge's agreement with people, kept in a file, and the refusal to decide without it.

The file is bound to one judge: model, weights, adapter and rubric. It says how far that judge
agreed with some people on some responses. Whether that is enough is for the reader to say: low
agreement is shown, not forbidden.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import Field, ValidationError

from holdtrue.errors import JudgeError
from holdtrue.scoring.agreement import Estimate, ValueAgreement
from holdtrue.scoring.calibration import Calibration
from holdtrue.scoring.judge import JudgeIdentity
from holdtrue.tomlfile import StrictModel

FORMAT = "holdtrue-judge-calibration"
MAX_BYTES = 1_000_000
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class Figure(StrictModel):
    """An estimate with its 95 % interval, or the reason for what is missing."""

    value: Finite | None
    low: Finite | None = None
    high: Finite | None = None
    reason: str | None = None

    def text(self) -> str:
        if self.value is None:
            return f"undefined ({self.reason})"
        if self.low is None or self.high is None:
            return f"{self.value:.2f} ({self.reason})"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


class Agreement(StrictModel):
    """Agreement on one rating, over responses or over sessions."""

    rating: str
    level: Literal["response", "session"]
    pairs: Count
    transcripts: Count
    spearman: Figure
    kappa: Figure | None = None


class JudgeCalibration(StrictModel):
    """The content of a calibration file."""

    format: Literal["holdtrue-judge-calibration"]
    version: Literal[1]
    judge: str
    model: str
    rubric: str
    labels: str
    labels_sha256: str
    responses: Count
    unscored: Count
    agreement: Annotated[tuple[Agreement, ...], Field(min_length=1)]

    def text(self) -> str:
        """The judge's agreement in one line, to stand wherever its numbers do."""
        parts = [
            f"{item.rating} ρ {item.spearman.text()} over {item.pairs} {item.level}s"
            for item in self.agreement
        ]
        left_out = f"; {self.unscored} of {self.responses} unscored" if self.unscored else ""
        return f"agreement with {self.labels}: {', '.join(parts)}{left_out}"


def folder() -> Path:
    """Where calibrations are kept, one file per judge."""
    return platformdirs.user_data_path("holdtrue", appauthor=False) / "judges"


def from_calibration(identity: JudgeIdentity, found: Calibration) -> JudgeCalibration:
    """What to keep of a calibration in which this judge gave ratings that could be compared."""
    labels = Path(found.file)
    return JudgeCalibration(
        format=FORMAT,
        version=1,
        judge=identity.key,
        model=identity.model,
        rubric=identity.rubric,
        labels=labels.name,
        labels_sha256=hashlib.sha256(labels.read_bytes()).hexdigest(),
        responses=found.responses,
        unscored=sum(found.judge_unscored.values()),
        agreement=tuple(
            Agreement(
                rating=comparison.label,
                level="session" if comparison.level == "session" else "response",
                pairs=comparison.result.pairs,
                transcripts=comparison.result.transcripts,
                spearman=_figure(comparison.result.spearman),
                kappa=_figure(comparison.result.kappa) if comparison.result.kappa else None,
            )
            for comparison in found.judge
            if isinstance(comparison.result, ValueAgreement)
        ),
    )


def write(kept: JudgeCalibration, path: Path | None = None) -> Path:
    """Write a calibration file, by default where ``require`` looks for it."""
    from holdtrue.files import write_atomic

    body = kept.model_dump(mode="json", by_alias=True)
    return write_atomic(path or folder() / f"{kept.judge}.json", json.dumps(body, indent=1) + "\n")


def read(path: Path) -> JudgeCalibration:
    """Read a calibration file. Raises JudgeError."""
    try:
        with path.open("rb") as file:
            body: Any = json.loads(file.read(MAX_BYTES))
        return JudgeCalibration.model_validate(body)
    except FileNotFoundError:
        raise JudgeError("no such calibration file", where=str(path)) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise JudgeError(f"key {key!r}: {first['msg']}", where=str(path)) from None
    except (OSError, ValueError, RecursionError) as error:
        raise JudgeError(f"not a calibration file: {error}", where=str(path)) from None


def find(identity: JudgeIdentity, path: Path | None = None) -> JudgeCalibration | None:
    """The calibration of this judge: in ``path`` if given, else the kept one, else None.

    Raises JudgeError when ``path`` is missing, damaged or of another judge.
    """
    if path is None and not (folder() / f"{identity.key}.json").is_file():
        return None
    where = path or folder() / f"{identity.key}.json"
    kept = read(where)
    if kept.judge != identity.key:
        raise JudgeError(
            f"the calibration is of {kept.model} with rubric {kept.rubric!r}, "
            f"not of this judge ({identity.model}, {identity.rubric!r}, same weights and adapter)",
            where=str(where),
            remedy=f"holdtrue calibrate LABELS --judge {identity.model}",
        )
    return kept


def require(
    identity: JudgeIdentity,
    path: Path | None = None,
    *,
    uncalibrated: bool = False,
    ratings: Sequence[str] = (),
) -> str:
    """What must be said of this judge's agreement wherever its numbers decide something.

    ``ratings`` are those that decide. Raises JudgeError when nothing is known of the judge, or of
    one of them, unless ``uncalibrated`` says to go on.
    """
    kept = find(identity, path)
    if kept is not None:
        unknown = [key for key in ratings if key not in {one.rating for one in kept.agreement}]
        if not unknown:
            return kept.text()
        if uncalibrated:
            return f"{kept.text()}; {', '.join(unknown)}: not measured"
        raise JudgeError(
            f"the calibration of {identity.model} says nothing of {', '.join(unknown)}",
            remedy="Calibrate it on labels that have that rating, or use it all the same with "
            "--judge-uncalibrated.",
        )
    if uncalibrated:
        return "agreement with people: not measured (the judge is not calibrated)"
    raise JudgeError(
        f"the judge {identity.model} has no calibration, so nothing is known of its worth",
        remedy=f"Measure it: holdtrue calibrate LABELS --judge {identity.model}. "
        "Or use it all the same with --judge-uncalibrated.",
    )


def _figure(estimate: Estimate) -> Figure:
    return Figure(
        value=estimate.value, low=estimate.low, high=estimate.high, reason=estimate.reason
    )
