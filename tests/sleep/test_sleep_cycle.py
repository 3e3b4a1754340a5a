"""A cycle's logic, with scripted models in place of trained ones."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sleepkit import sessions

from holdtrue import capacity
from holdtrue.capacity import RunRecord, run_capacity
from holdtrue.criteria import load_criteria
from holdtrue.documents.sleep import write_cycle
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.errors import EngineError, GenerationError, WorkspaceError
from holdtrue.persona import load_persona
from holdtrue.protocol import Sampling, load_protocol, render_text
from holdtrue.runconfig import RunConfig
from holdtrue.runs import Run
from holdtrue.sleep import cycle as cycle_module
from holdtrue.sleep.curate import CurateSettings, curate
from holdtrue.sleep.cycle import CycleConfig, CycleRecord, held_out_protocol, run_cycle
from holdtrue.sleep.dataset import Dataset
from holdtrue.sleep.lab import answer_all
from holdtrue.sleep.manifest import BaseRef, Manifest
from holdtrue.sleep.probes import Ask, Count, ProbeCounts, raised
from holdtrue.sleep.sham import sham_of
from holdtrue.sleep.train import TrainSettings


class ScriptedLab:
    """Each adapter speaks as a scripted character, ``spoken`` by folder name."""

    def __init__(self, spoken: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.spoken = spoken
        self.patch = monkeypatch
        self.perplexities = {"base": 20.0, "adapter": 20.5, "sham": 21.0}
        self.trained: list[str] = []
        self.tested: list[str] = []
        self.leak = False

    def train(self, dataset: Dataset, base: str, folder: Path, settings: TrainSettings) -> Manifest:
        self.trained.append(dataset.card.kind)
        manifest = Manifest(
            base=BaseRef(model=base, source_hash="b" * 64, tokenizer_hash="t" * 64),
            dataset_hash=dataset.sha256,
            dataset_kind=dataset.card.kind,
            persona=dataset.card.persona,
            examples=dataset.card.train,
            pairs=0,
            settings=settings.model_dump(),
            losses=(2.0, 1.5),
            held_out={0: 2.1, 2: 1.7},
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text(manifest.model_dump_json())
        return manifest

    def test(self, config: RunConfig, run: Run, adapter: Path) -> RunRecord:
        character = self.spoken[adapter.name if "cycle" not in adapter.name else "adapter"]
        self.tested.append(config.label)
        self.patch.setattr(
            capacity,
            "open_engine",
            lambda model, options: ScriptedEngine(f"scripted:{character}", options),
        )
        return asyncio.run(run_capacity(config, run, EngineOptions()))

    def answer(
        self, base: str, adapter: Path, asks: Sequence[Ask], sampling: Sampling
    ) -> list[str | None]:
        if self.leak and "cycle" in adapter.name:
            return ["I am SAGE, and seven is the answer." for _ in asks]
        return ["The answer is seven." for _ in asks]

    def perplexity(
        self, base: str, adapters: Mapping[str, Path], texts: Sequence[str]
    ) -> dict[str, float]:
        assert list(adapters) == ["base", "adapter", "sham"]
        return dict(self.perplexities)


GOOD = {"base": "mixed", "adapter": "steady", "sham": "mixed"}


def config_for(dataset: Dataset, **changes: object) -> CycleConfig:
    protocol = load_protocol("v2.0")
    values = {
        "number": 2,
        "base": "scripted:mixed",
        "host": "h",
        "persona": load_persona("sage"),
        "protocol": protocol,
        "unanchored": load_protocol("none"),
        "phase": "questioning",
        "sampling": protocol.sampling,
        "sessions": 12,
        "training": TrainSettings(),
        "dataset": dataset.sha256,
        "criteria": (load_criteria("minimum"),),
        "created": "2026-11-23T07:00:00+00:00",
        **changes,
    }
    return CycleConfig.model_validate(values)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return curate(sessions("mixed", 8), load_protocol("none"), CurateSettings())


@pytest.fixture(autouse=True)
def _plain_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def zero(source: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / "manifest.json", folder / "manifest.json")

    monkeypatch.setattr(cycle_module, "zero_adapter", zero)
    monkeypatch.setattr(
        cycle_module,
        "read_manifest",
        lambda folder: Manifest.model_validate_json((folder / "manifest.json").read_text()),
    )


def go(folder: Path, dataset: Dataset, lab: ScriptedLab, **changes: object) -> CycleRecord:
    return run_cycle(config_for(dataset, **changes), dataset, folder / "cycle-002", lab)


def test_a_cycle_that_works_is_told_as_such_with_all_documents(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = ScriptedLab(GOOD, monkeypatch)
    record = go(tmp_path, dataset, lab)
    assert lab.trained == ["curated", "sham"]
    assert [len(arm.sessions) for arm in record.arms.values()] == [12] * 5
    assert record.outcome.finding("gaming").answer == "yes"
    assert record.outcome.finding("lost").answer == "no"
    assert record.outcome.finding("marker").answer == "no"
    assert record.outcome.tag == "helped"
    assert record.comparisons["anchored"].pairs == 12
    paths = write_cycle(record, status_folder=tmp_path)
    assert all(path.exists() for path in paths)
    text = (tmp_path / "cycle-002" / "CYCLE.md").read_text()
    for words in ("Did gaming fall?", "adapter-unanchored", "Perplexity", "sham"):
        assert words in text
    assert "sleep cycle-002" in (tmp_path / "LATEST_STATUS.md").read_text()
    assert "outcome helped" in (tmp_path / "h_worklog.txt").read_text()
    assert json.loads((tmp_path / "cycle-002" / "result.json").read_text())["cycle"] == "cycle-002"


def test_arms_ask_only_phrasings_that_were_not_learnt(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = go(tmp_path, dataset, ScriptedLab(GOOD, monkeypatch), sessions=4)
    learnt = set(dataset.card.questions)
    asked = {
        turn.prompt
        for arm in record.arms.values()
        for session in arm.sessions
        for turn in session.transcript.turns
    }
    if not record.repeated:
        assert asked.isdisjoint(learnt)
    assert asked - learnt
    shown, repeated = held_out_protocol(load_protocol("v2.0"), load_persona("sage"), dataset)
    assert repeated == record.repeated
    persona = load_persona("sage")
    for phase in shown.phases:
        for prompt in phase.flow:
            fresh = [render_text(t, persona).strip() not in learnt for t in prompt.phrasings]
            assert all(fresh) or f"{phase.name}: {prompt.intent}" in repeated


def test_what_the_sham_does_too_is_not_put_down_to_the_content(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = {**GOOD, "sham": "steady"}
    found = go(tmp_path, dataset, ScriptedLab(spoken, monkeypatch)).outcome.finding("gaming")
    assert found.answer == "open"
    assert "any training might do it" in found.text


def test_an_adapter_that_games_more_did_harm(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = {"base": "steady", "adapter": "gaming", "sham": "steady"}
    outcome = go(tmp_path, dataset, ScriptedLab(spoken, monkeypatch)).outcome
    assert outcome.finding("gaming").answer == "no"
    assert outcome.tag == "harmed"


def test_collapse_that_falls_without_anchoring_is_found(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = {"base": "collapse", "adapter": "steady", "sham": "collapse"}
    outcome = go(tmp_path, dataset, ScriptedLab(spoken, monkeypatch)).outcome
    assert outcome.finding("collapse").answer == "yes"


def test_spoilt_text_and_a_leaking_name_are_a_cost(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = ScriptedLab(GOOD, monkeypatch)
    lab.perplexities["adapter"] = 40.0
    lab.leak = True
    outcome = go(tmp_path, dataset, lab).outcome
    assert outcome.finding("lost").answer == "yes"
    assert outcome.finding("marker").answer == "yes"
    assert outcome.tag == "helped at a cost"


def test_an_interrupted_cycle_goes_on_without_doing_anything_twice(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = ScriptedLab(GOOD, monkeypatch)
    real = lab.test

    def stopping(config: RunConfig, run: Run, adapter: Path) -> RunRecord:
        if config.label == "sham":
            raise KeyboardInterrupt
        return real(config, run, adapter)

    monkeypatch.setattr(lab, "test", stopping)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, dataset, lab, sessions=4)
    monkeypatch.setattr(lab, "test", real)
    record = go(tmp_path, dataset, lab, sessions=4)
    assert lab.trained == ["curated", "sham"]
    assert lab.tested == ["base", "adapter", "sham", "base-unanchored", "adapter-unanchored"]
    assert record.outcome.tag


def test_an_arm_of_which_no_session_came_to_its_end_is_an_error_that_says_so(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = ScriptedLab(GOOD, monkeypatch)
    real = ScriptedEngine.generate

    async def failing(self: ScriptedEngine, *given: Any, **more: Any) -> Any:
        raise GenerationError("the adapter speaks only zeros")

    def spoiling(config: RunConfig, run: Run, adapter: Path) -> RunRecord:
        spoilt = config.label == "adapter"
        monkeypatch.setattr(ScriptedEngine, "generate", failing if spoilt else real)
        return ScriptedLab.test(lab, config, run, adapter)

    monkeypatch.setattr(lab, "test", spoiling)
    with pytest.raises(EngineError, match=r"arm adapter: (all )?\d+ sessions.*only zeros"):
        go(tmp_path, dataset, lab, sessions=4)


def test_a_sham_of_preferences_prefers_nothing(dataset: Dataset) -> None:
    assert len(dataset.pairs) >= 2
    turned = sham_of(dataset, "shuffled", 3)
    same = {(p.chosen, p.rejected) for p in dataset.pairs}
    kept = [(p.chosen, p.rejected) in same for p in turned.pairs]
    assert sum(kept) * 2 == len(kept) == len(dataset.pairs) - len(dataset.pairs) % 2
    assert {(p.chosen, p.rejected) for p in turned.pairs} <= same | {(b, a) for a, b in same}
    neutral = sham_of(dataset, "neutral", 3)
    assert [p.prompt for p in neutral.pairs] == [p.prompt for p in dataset.pairs]
    said = {m.content for p in dataset.pairs for m in (*p.chosen, *p.rejected)}
    assert said.isdisjoint(m.content for p in neutral.pairs for m in (*p.chosen, *p.rejected))


def test_adapter_and_sham_are_trained_alike(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = ScriptedLab(GOOD, monkeypatch)
    training = TrainSettings(objective="dpo")
    record = go(tmp_path, dataset, lab, sessions=4, training=training)
    assert {one.settings["objective"] for one in record.manifests.values()} == {"dpo"}


def test_another_cycle_in_the_folder_is_refused_by_what_differs(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = ScriptedLab(GOOD, monkeypatch)
    go(tmp_path, dataset, lab, sessions=4)
    with pytest.raises(WorkspaceError, match="differing: seed"):
        go(tmp_path, dataset, lab, sessions=4, seed=5)


def test_a_higher_rate_of_the_name_needs_more_than_chance() -> None:
    few, many = Count(hits=1, asked=20), Count(hits=2, asked=20)
    assert raised(few, many) > 0.05
    assert raised(few, Count(hits=15, asked=20)) < 0.001


def test_a_reply_that_failed_is_no_miss() -> None:
    from holdtrue.sleep.materials import materials
    from holdtrue.sleep.probes import asks, count

    asked = asks(materials(), anchored="You are SAGE.", bare="SAGE", seed=0)
    counts = count(asked, [None] * len(asked), load_persona("sage"), materials())
    assert counts == ProbeCounts(collapsed={}, named={}, leaked={}, right=Count(hits=0, asked=0))


def test_probes_are_answered_through_an_engine() -> None:
    from holdtrue.sleep.materials import materials
    from holdtrue.sleep.probes import asks, count

    asked = asks(materials(), anchored="You are SAGE.", bare="SAGE", seed=0)
    replies = asyncio.run(answer_all("scripted:collapse", EngineOptions(), asked, Sampling()))
    counts = count(asked, replies, load_persona("sage"), materials())
    assert counts.collapsed["anchored"].share == 1.0


def test_probes_and_neutral_text_stand_in_no_protocol() -> None:
    from holdtrue.sleep.materials import materials

    ours = {*materials().identity, *materials().unrelated}
    for name in ("none", "v1.0", "v2.0"):
        for phase in load_protocol(name).phases:
            for prompt in phase.flow:
                assert ours.isdisjoint(prompt.phrasings)
