"""A run's configuration: everything that decides its results, and the names it goes by."""

from __future__ import annotations

import os
import platform
import re
import socket
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from holdtrue.baseline import Baseline
from holdtrue.criteria import CriteriaSet
from holdtrue.errors import ConfigError
from holdtrue.persona import Persona
from holdtrue.protocol import Protocol, Sampling
from holdtrue.runs import Run
from holdtrue.session import SessionPlan, Snapshot, plan_session, session_seed
from holdtrue.tomlfile import StrictModel, validate

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class SnapshotConfig(StrictModel):
    """The frozen production state that every session of the run starts from."""

    session: Annotated[int, Field(ge=1)] = 1
    summary: str | None = None
    exemplars: tuple[str, ...] = ()


class RunConfig(StrictModel):
    """Everything that decides a run's results, and where they go.

    ``budget`` and ``batch`` count sessions; ``first_session`` numbers the first transcript;
    ``mode`` is that of the evidence; ``met_alpha`` the error rate asked of *met*. Stored as the
    run's ``config.json``.
    """

    run_id: FileName
    label: FileName
    host: FileName
    persona: Persona
    protocol: Protocol
    phase: str
    model: str
    adapter: str | None = None
    bits: int | None = None
    sampling: Sampling
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    budget: Annotated[int, Field(ge=1, le=100_000)] = 60
    batch: Annotated[int, Field(ge=1, le=10_000)] = 4
    mode: Literal["bounded", "free"] = "bounded"
    met_alpha: Annotated[float, Field(gt=0, le=0.05)] = 0.05
    first_session: Annotated[int, Field(ge=1, le=900_000)] = 1
    criteria: tuple[CriteriaSet, ...]
    baseline: Baseline | None = None
    snapshot: SnapshotConfig = SnapshotConfig()
    command: str = ""
    created: str = ""
    versions: dict[str, str] = Field(default_factory=dict)

    def plan(self, number: int) -> SessionPlan:
        """The plan of session ``number`` (from ``first_session`` on), drawn from the seed."""
        return plan_session(
            self.persona,
            self.protocol,
            model=self.model,
            number=number,
            seed=session_seed(self.seed, number - self.first_session + 1),
            snapshot=Snapshot(
                session=self.snapshot.session,
                summary=self.snapshot.summary,
                exemplars=self.snapshot.exemplars,
            ),
            phase=self.protocol.phase_named(self.phase),
            sampling=self.sampling,
            run=self.run_id,
            label=f"{self.label}-session",
        )

    @property
    def numbers(self) -> range:
        """The session numbers that the budget allows."""
        return range(self.first_session, self.first_session + self.budget)

    def batches(self, done: int) -> list[range]:
        """The numbers after the first ``done``, cut where looks are due."""
        ends = range(done - done % self.batch + self.batch, self.budget, self.batch)
        cuts = [done, *ends, self.budget]
        return [self.numbers[start:end] for start, end in pairwise(cuts) if start < end]


def read_config(run: Run) -> RunConfig:
    """A run's configuration. Raises ConfigError naming the file and key."""
    return validate(dict(run.config), RunConfig, source=str(run.folder / "config.json"))


def default_label(model: str) -> str:
    """The size in a model's name (``smollm2-135m`` → ``135M``), else the name itself."""
    name = re.split(r"[/\\:]", model.split("@")[0].rstrip("/\\"))[-1].removesuffix(".gguf")
    sizes = re.findall(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([mMbB])(?![A-Za-z0-9])", name)
    if sizes:
        number, unit = sizes[0]
        return f"{number}{unit.upper()}"
    return as_file_name(name) or "model"


def as_file_name(text: str) -> str:
    """``text`` with everything that may not stand in a file name taken out; perhaps empty."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64]


def default_host() -> str:
    """This machine's name, lower-cased, as it may stand in a file name."""
    name = re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().split(".")[0].lower()).strip("-")
    return name[:64] or "host"


def new_run_id(host: str, label: str) -> str:
    """A run's folder name: UTC time, host and label, unlikely to be given twice."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{host.lower()}-{label.lower()}-{os.urandom(2).hex()}"[:64]


def now() -> str:
    """The present time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def installed_versions(*packages: str) -> dict[str, str]:
    """Versions of Python, holdtrue and those of ``packages`` that are installed."""
    found = {"python": platform.python_version()}
    for package in ("holdtrue", *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def check_label(value: str, option: str) -> str:
    """``value`` if it may stand in file names. Raises ConfigError naming the option."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise ConfigError(
            f"{value!r} cannot stand in a file name",
            where=option,
            remedy="Use letters, digits, dots, dashes and underscores, 64 at most.",
        )
    return value
