"""Cycle: curate, train an adapter and a sham, test both against the base, and judge.

Everything lies in one folder (``cycle-NNN``), the adapter itself at its root; removing the folder
undoes the cycle. Each step is stored, so that an interrupted cycle goes on where it stood. The
base arm carries an adapter of nought, so that all arms are spoken by one engine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from holdtrue.baseline import Baseline
from holdtrue.capacity import RunRecord, load_record
from holdtrue.comparison import TESTED, Comparison, compare_arms
from holdtrue.criteria import CriteriaSet
from holdtrue.errors import ConfigError, EngineError, WorkspaceError
from holdtrue.files import write_atomic
from holdtrue.persona import Persona
from holdtrue.protocol import Protocol, Sampling, render_system, render_text
from holdtrue.runconfig import RunConfig, SnapshotConfig
from holdtrue.runs import create_run, open_run
from holdtrue.scoring.score import scorer_version
from holdtrue.sleep import probes
from holdtrue.sleep.dataset import Dataset, read_dataset, write_dataset
from holdtrue.sleep.lab import Lab
from holdtrue.sleep.manifest import Manifest, read_manifest, zero_adapter
from holdtrue.sleep.materials import materials
from holdtrue.sleep.outcome import CycleOutcome, judge_cycle
from holdtrue.sleep.sham import Kind, sham_of
from holdtrue.sleep.train import TrainSettings
from holdtrue.tomlfile import StrictModel, validate

CONFIG = "cycle.json"
RESULT = "result.json"
FREE = frozenset({"created", "command", "versions"})
UNANCHORED = (*TESTED[:2], "calibrated_identity")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: whose adapter it carries, and whether the persona is anchored."""

    name: str
    adapter: str
    anchored: bool


ARMS = (
    Arm("base", "base", True),
    Arm("adapter", "adapter", True),
    Arm("sham", "sham", True),
    Arm("base-unanchored", "base", False),
    Arm("adapter-unanchored", "adapter", False),
)
ADAPTERS = ("base", "adapter", "sham")


class CycleConfig(StrictModel):
    """Everything that decides what a cycle finds. ``sessions`` is the number of each arm, fixed
    beforehand: comparisons would not hold if an arm stopped when it looked good."""

    number: Annotated[int, Field(ge=1, le=999)]
    base: str
    host: str
    persona: Persona
    protocol: Protocol
    unanchored: Protocol
    phase: str
    sampling: Sampling
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    sessions: Annotated[int, Field(ge=2, le=10_000)] = 24
    training: TrainSettings
    sham: Kind = "neutral"
    dataset: str
    criteria: tuple[CriteriaSet, ...]
    baseline: Baseline | None = None
    created: str = ""
    command: str = ""
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"cycle-{self.number:03d}"


@dataclass(frozen=True, slots=True)
class CycleRecord:
    """A finished cycle: what documents are written from."""

    config: CycleConfig
    folder: Path
    dataset: Dataset
    manifests: Mapping[str, Manifest]
    arms: Mapping[str, RunRecord]
    comparisons: Mapping[str, Comparison]
    perplexity: Mapping[str, float]
    probes: Mapping[str, probes.ProbeCounts]
    outcome: CycleOutcome
    repeated: tuple[str, ...]


def run_cycle(
    config: CycleConfig, dataset: Dataset, folder: Path, lab: Lab, say: Say = lambda text: None
) -> CycleRecord:
    """Do what is still to be done of a cycle in ``folder``, and judge it.

    Raises ConfigError or WorkspaceError when the folder holds another cycle, EngineError when a
    model cannot be trained or opened.
    """
    config = _begin(config, dataset, folder)
    places = {"base": folder / "base", "adapter": folder, "sham": folder / "sham"}
    manifests = _train(config, dataset, places, lab, say)
    shown, repeated = held_out_protocol(config.protocol, config.persona, dataset)
    arms: dict[str, RunRecord] = {}
    for arm in ARMS:
        say(f"arm {arm.name}: {config.sessions} sessions")
        arms[arm.name] = _test(config, arm, shown, folder / "arms", places[arm.adapter], lab)
    say("forgetting checks and probes")
    perplexity = _kept(
        folder / "perplexity.json",
        lambda: lab.perplexity(config.base, places, materials().neutral),
    )
    counts = {name: _probe(config, shown, name, places[name], folder, lab) for name in ADAPTERS}
    return _judged(config, dataset, folder, manifests, arms, perplexity, counts, repeated)


def held_out_protocol(
    protocol: Protocol, persona: Persona, dataset: Dataset
) -> tuple[Protocol, tuple[str, ...]]:
    """The protocol with only phrasings that were not learnt, and the prompts that have none left
    (these are asked as they were learnt)."""
    learnt = set(dataset.card.questions)
    repeated: list[str] = []
    phases = []
    for phase in protocol.phases:
        flow = []
        for prompt in phase.flow:
            fresh = tuple(
                text
                for text in prompt.phrasings
                if render_text(text, persona).strip() not in learnt
            )
            if not fresh:
                repeated.append(f"{phase.name}: {prompt.intent}")
            flow.append(prompt.model_copy(update={"phrasings": fresh or prompt.phrasings}))
        phases.append(phase.model_copy(update={"flow": tuple(flow)}))
    return protocol.model_copy(update={"phases": tuple(phases)}), tuple(repeated)


def read_cycle(folder: Path) -> CycleConfig:
    """The configuration of the cycle in a folder. Raises ConfigError."""
    path = folder / CONFIG
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"no sleep cycle: {error}", where=str(path)) from None
    return validate(body, CycleConfig, source=str(path))


def _begin(config: CycleConfig, dataset: Dataset, folder: Path) -> CycleConfig:
    """Store the configuration, or make sure that it is the stored one, which is then returned."""
    path = folder / CONFIG
    body = config.model_dump(mode="json", by_alias=True)
    if path.exists():
        begun = read_cycle(folder)
        stored = begun.model_dump(mode="json", by_alias=True)
        differing = [key for key in body if key not in FREE and stored.get(key) != body[key]]
        if differing:
            raise WorkspaceError(
                f"{config.name} is there with other settings; differing: {', '.join(differing)}",
                where=str(folder),
                remedy="Give it the same settings to go on, or another number.",
            )
        return begun
    if folder.exists() and any(folder.iterdir()):
        raise WorkspaceError(
            "is not empty and holds no cycle", where=str(folder), remedy="Choose another number."
        )
    write_dataset(dataset, folder / "dataset")
    write_atomic(path, json.dumps(body, ensure_ascii=False, indent=1) + "\n")
    return config


def _train(
    config: CycleConfig, dataset: Dataset, places: Mapping[str, Path], lab: Lab, say: Say
) -> dict[str, Manifest]:
    """The adapter and its sham, trained unless they are there, and the base's adapter of nought."""
    sham = sham_of(dataset, config.sham, config.seed)
    for name, data in (("adapter", dataset), ("sham", sham)):
        if not (places[name] / "manifest.json").exists():
            what, number = "examples", data.card.train
            if config.training.objective == "dpo":
                what, number = "preference pairs", data.card.pairs
            say(f"training the {name} on {number} {what}")
            if name == "sham":
                write_dataset(data, places[name] / "dataset")
            lab.train(data, config.base, places[name], config.training)
    if not (places["base"] / "manifest.json").exists():
        zero_adapter(places["adapter"], places["base"])
    return {name: read_manifest(places[name]) for name in ADAPTERS}


def _test(
    config: CycleConfig, arm: Arm, shown: Protocol, out: Path, adapter: Path, lab: Lab
) -> RunRecord:
    """The capacity test of one arm, looked at once, at its end."""
    protocol = shown
    if not arm.anchored:
        protocol = config.unanchored.model_copy(update={"phases": shown.phases})
    phase = protocol.phase_named(config.phase)
    run_config = RunConfig(
        run_id=arm.name,
        label=arm.name,
        host=config.host,
        persona=config.persona,
        protocol=protocol,
        phase=phase.name,
        model=config.base,
        adapter=str(adapter),
        sampling=config.sampling,
        seed=config.seed,
        budget=config.sessions,
        batch=config.sessions,
        criteria=config.criteria,
        baseline=config.baseline,
        snapshot=SnapshotConfig(session=phase.first),
        created=config.created,
        command=config.command,
        versions=config.versions,
    )
    folder = out / "runs" / arm.name
    if folder.is_dir():
        run = open_run(folder)
        record = load_record(run)
        if len(record.sessions) >= config.sessions:
            return _spoken(arm, record)
    else:
        run = create_run(out, run_config.model_dump(mode="json", by_alias=True))
    return _spoken(arm, lab.test(run_config, run, adapter))


def _spoken(arm: Arm, record: RunRecord) -> RunRecord:
    """The record of an arm; raises EngineError when not one of its sessions came to its end."""
    failed = [one.transcript for one in record.sessions if one.transcript.error]
    if failed and len(failed) == len(record.sessions):
        raise EngineError(
            f"arm {arm.name}: all {len(failed)} sessions failed; the last: {failed[-1].error}",
            where=str(record.run.folder),
            remedy="Mend the cause, remove the cycle's folder arms/, and give the command again.",
        )
    return record


def _probe(
    config: CycleConfig, shown: Protocol, name: str, adapter: Path, folder: Path, lab: Lab
) -> probes.ProbeCounts:
    phase = shown.phase_named(config.phase)
    systems = [
        render_system(
            protocol,
            config.persona,
            phase,
            session=phase.first,
            summary=config.persona.memory,
            exemplars=config.persona.voice.examples,
        )
        for protocol in (shown, config.unanchored)
    ]
    asked = probes.asks(
        materials(),
        anchored=systems[0] or config.persona.name,
        bare=systems[1] or config.persona.name,
        seed=config.seed,
    )
    replies = _kept(
        folder / f"probes-{name}.json",
        lambda: lab.answer(config.base, adapter, asked, config.sampling),
    )
    return probes.count(asked, replies, config.persona, materials())


def _kept(path: Path, make: Callable[[], Any]) -> Any:
    """What is stored at ``path``, made and stored if it is not."""
    if path.exists():
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise WorkspaceError(
                f"damaged: {error}", where=str(path), remedy="Remove it; it is made again."
            ) from None
    value = make()
    write_atomic(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")
    return value


def _judged(
    config: CycleConfig,
    dataset: Dataset,
    folder: Path,
    manifests: Mapping[str, Manifest],
    arms: Mapping[str, RunRecord],
    perplexity: Mapping[str, float],
    counts: Mapping[str, probes.ProbeCounts],
    repeated: tuple[str, ...],
) -> CycleRecord:
    def against(a: str, b: str, tested: tuple[str, ...]) -> Comparison:
        return compare_arms(arms[a].sessions, arms[b].sessions, names=(a, b), tested=tested)

    comparisons = {
        "anchored": against("base", "adapter", TESTED),
        "content": against("sham", "adapter", TESTED),
        "unanchored": against("base-unanchored", "adapter-unanchored", UNANCHORED),
    }
    outcome = judge_cycle(
        comparisons["anchored"],
        comparisons["content"],
        comparisons["unanchored"],
        perplexity,
        counts,
    )
    body = {
        "cycle": config.name,
        "outcome": outcome.model_dump(mode="json"),
        "perplexity": dict(perplexity),
        "probes": {name: one.model_dump(mode="json") for name, one in counts.items()},
        "comparisons": {name: one.as_dict() for name, one in comparisons.items()},
        "scorer": scorer_version(),
    }
    write_atomic(folder / RESULT, json.dumps(body, ensure_ascii=False, indent=1) + "\n")
    return CycleRecord(
        config, folder, dataset, manifests, arms, comparisons, perplexity, counts, outcome,
        repeated,
    )  # fmt: skip


def stored_dataset(folder: Path) -> Dataset:
    """The dataset that a cycle learnt from."""
    return read_dataset(folder / "dataset")
