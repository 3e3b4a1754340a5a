"""The plan of a ladder: rungs with their protocols and sizes, and everything they share.

What decides the results is all in here, so that a ladder is only resumed under an equal plan.
Nothing is loaded and no session is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from holdtrue.baseline import Baseline, load_baseline
from holdtrue.criteria import CriteriaSet, load_criteria
from holdtrue.engines.registry import open_engine
from holdtrue.errors import ConfigError, EngineError
from holdtrue.ladder.rungs import CostKind, Draft, LadderFile, Needs, drafts
from holdtrue.ladder.search import Place, strict_alpha
from holdtrue.ladder.sizes import Size, size_of
from holdtrue.persona import Persona, load_persona
from holdtrue.protocol import Protocol, load_protocol
from holdtrue.runconfig import (
    FileName,
    RunConfig,
    SnapshotConfig,
    default_host,
    installed_versions,
)
from holdtrue.stats.evidence import ALPHA
from holdtrue.tomlfile import StrictModel
from holdtrue.workspace import Workspace, read_state, snapshot_of

PHASE = "questioning"
WITH_ADAPTER = "with adapter"


class Rung(StrictModel):
    """A model at a scale under a protocol. ``unusable`` says why it cannot be tested at all."""

    name: FileName
    model: str
    protocol: Protocol
    adapter: str | None = None
    bits: int | None = None
    track: str
    family: str
    size: Size
    needs: Needs = Needs()
    snapshot: SnapshotConfig = SnapshotConfig()
    unusable: str | None = None


class Ladder(StrictModel):
    """Everything that decides what a ladder finds. ``criteria`` has to be met, ``also`` is shown.

    Rungs stand in the order given; their order in the search follows from ``cost``.
    """

    name: str
    host: FileName
    persona: Persona
    phase: str
    criteria: CriteriaSet
    also: tuple[CriteriaSet, ...] = ()
    baseline: Baseline | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int = 0
    budget: int = 60
    batch: int = 4
    mode: Literal["bounded", "free"] = "bounded"
    cost: CostKind = "weights"
    exhaustive: bool = False
    strict: bool = False
    rungs: Annotated[tuple[Rung, ...], Field(min_length=1)]

    @property
    def met_alpha(self) -> float:
        """The error rate asked of *met* for each rung."""
        return strict_alpha(len(self.rungs)) if self.strict else ALPHA

    def places(self, measured: Mapping[str, float] | None = None) -> list[Place]:
        """The rungs' places in the search; ``measured`` are seconds or bytes by rung name.

        A rung that was not measured, or has no size, comes last: it could not be loaded.
        """
        return [
            Place(self._cost(position, rung, measured or {}), rung.track)
            for position, rung in enumerate(self.rungs)
        ]

    def _cost(self, position: int, rung: Rung, measured: Mapping[str, float]) -> float:
        if self.cost == "listed":
            return float(position + 1)
        cost = rung.size.cost if self.cost == "weights" else measured.get(rung.name)
        return float("inf") if cost is None else cost

    def run_config(self, rung: Rung, *, created: str = "", command: str = "") -> RunConfig:
        """The configuration of the capacity test of ``rung``; its label is the rung's name."""
        changes = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return RunConfig(
            run_id=rung.name,
            label=rung.name,
            host=self.host,
            persona=self.persona,
            protocol=rung.protocol,
            phase=self.phase,
            model=rung.model,
            adapter=rung.adapter,
            bits=rung.bits,
            sampling=rung.protocol.sampling.model_copy(
                update={key: value for key, value in changes.items() if value is not None}
            ),
            seed=self.seed,
            budget=self.budget,
            batch=self.batch,
            mode=self.mode,
            met_alpha=self.met_alpha,
            criteria=(self.criteria,),
            baseline=self.baseline,
            snapshot=rung.snapshot,
            command=command,
            created=created,
            versions=installed_versions("xllamacpp", "numpy", "scipy", "torch", "transformers"),
        )


def make_ladder(
    file: LadderFile, workspace: Workspace, *, host: str | None = None, offline: bool = False
) -> Ladder:
    """The plan that ``file`` describes, with what the workspace adds.

    A rung whose file cannot be read stays in the plan as unusable, so that the result can say what
    it does not know. Raises ConfigError for everything that the user should mend first.
    """
    settings = workspace.settings
    folders = workspace.folders
    persona = load_persona(file.persona or settings.persona, folders("personas"))
    listed = drafts(file, default_protocol=settings.protocol)
    protocols = {one.protocol: load_protocol(one.protocol, folders("protocols")) for one in listed}
    phase = _phase(file.phase, list(protocols.values()))
    shown = [load_criteria(name, folders("criteria")) for name in file.also]
    wanted = load_criteria(file.criteria, folders("criteria"))
    rungs = tuple(
        _rung(one, protocols[one.protocol], phase, file, workspace, persona, offline=offline)
        for one in listed
    )
    ladder = Ladder(
        name=file.name,
        host=host or default_host(),
        persona=persona,
        phase=phase,
        criteria=wanted,
        also=tuple(one for one in shown if one.name != wanted.name),
        baseline=load_baseline(file.baseline or settings.baseline, folders("baselines")),
        temperature=file.temperature,
        max_tokens=file.max_tokens,
        seed=file.seed,
        budget=file.budget,
        batch=file.batch,
        mode=file.mode,
        cost=file.cost,
        exhaustive=file.exhaustive,
        strict=file.strict,
        rungs=rungs,
    )
    _check(ladder)
    return ladder


def _rung(
    draft: Draft,
    protocol: Protocol,
    phase: str,
    file: LadderFile,
    workspace: Workspace,
    persona: Persona,
    *,
    offline: bool,
) -> Rung:
    entry = draft.entry
    unusable = None
    try:
        open_engine(draft.model)
        size = size_of(draft.model, load_bits=draft.load_bits, offline=offline)
    except EngineError as error:
        size, unusable = Size(), str(error)
    given = {"parameters": entry.parameters, "active": entry.active, "bits": entry.weight_bits}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if changes:
        size = size.model_copy(update={**changes, "source": "given"})
    track = [protocol.name]
    if draft.adapter:
        track.append(WITH_ADAPTER)
    if file.families_apart:
        track.append(draft.family)
    known = snapshot_of(
        read_state(workspace), persona, sessions=protocol.anchoring.exemplars.sessions
    )
    first = protocol.phase_named(phase).first
    return Rung(
        name=draft.name,
        model=draft.model,
        protocol=protocol,
        adapter=draft.adapter,
        bits=draft.load_bits,
        track=", ".join(track),
        family=draft.family,
        size=size,
        needs=entry.needs or file.needs,
        snapshot=SnapshotConfig(
            session=max(known.session, first), summary=known.summary, exemplars=known.exemplars
        ),
        unusable=unusable,
    )


def _phase(wanted: str | None, protocols: list[Protocol]) -> str:
    """The phase that every protocol has: the one named, else that of the baseline."""
    shared = [
        phase.name
        for phase in protocols[0].phases
        if all(phase.name in {one.name for one in other.phases} for other in protocols)
    ]
    if wanted is not None:
        for protocol in protocols:
            protocol.phase_named(wanted)
        return wanted.lower()
    if not shared:
        raise ConfigError("the ladder's protocols have no phase in common")
    return PHASE if PHASE in shared else shared[0]


def _check(ladder: Ladder) -> None:
    """Raises ConfigError for rungs that cannot be put in order, or are equal in all but name."""
    if ladder.cost == "weights":
        unsized = [
            rung.name for rung in ladder.rungs if rung.size.cost is None and not rung.unusable
        ]
        if unsized:
            raise ConfigError(
                f"the size of {', '.join(unsized)} is not known, so the rungs have no order",
                remedy="Give parameters (and weight_bits) in [[rung]] tables of a --file, or use "
                "--cost listed for the order given, or --cost seconds or memory to measure it.",
            )
    seen: dict[tuple[object, ...], str] = {}
    for rung in ladder.rungs:
        key = (rung.model, rung.bits, rung.adapter, rung.protocol.digest)
        if key in seen:
            raise ConfigError(
                f"rungs {seen[key]} and {rung.name} are equal: same model and same protocol",
                remedy="Remove one of them; a rung is tested once.",
            )
        seen[key] = rung.name
