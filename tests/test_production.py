from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.messages import Message
from holdtrue.persona import load_persona
from holdtrue.production import Production
from holdtrue.protocol import load_protocol
from holdtrue.session import SessionPlan
from holdtrue.transcript import Transcript, Turn
from holdtrue.workspace import Settings, Workspace, read_state


def production(root: Path, dry: Path | None = None) -> Production:
    return Production(
        workspace=Workspace(root, Settings()),
        persona=load_persona("sage"),
        protocol=load_protocol("v2.0"),
        model="scripted:steady",
        seed=0,
        dry_folder=dry,
    )


def hold(place: Production, index: int = 1, engine: ScriptedEngine | None = None) -> Transcript:
    chosen = engine or ScriptedEngine("scripted:steady")
    return asyncio.run(place.hold(place.plan(index), chosen, lambda plan, turn: None))[1]


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_sessions_of_a_chain_are_numbered_and_share_a_cluster(tmp_path: Path) -> None:
    place = production(tmp_path)
    made = [hold(place) for _ in range(3)]
    assert [t.session for t in made] == [1, 2, 3]
    assert {t.cluster for t in made} == {"SAGE/scripted:steady"}
    assert not any(t.dry_run for t in made)
    assert made[1].summary == made[0].turns[-1].response[:300] or made[1].summary
    assert read_state(place.workspace).chains["SAGE"].sessions == 3


def test_a_dry_run_leaves_every_production_byte_as_it_was(tmp_path: Path) -> None:
    root = tmp_path / "w"
    hold(production(root))
    before = contents(root)
    dry = production(root, dry=tmp_path / "dry")
    made = [hold(dry, index) for index in (1, 2)]
    assert contents(root) == before
    assert [t.cluster for t in made] == [None, None]
    assert made[0].draw != made[1].draw
    assert made[0].system == made[1].system


def test_an_interrupted_production_session_goes_on_from_its_last_turn(tmp_path: Path) -> None:
    place = production(tmp_path)
    whole = hold(production(tmp_path / "other"))
    asked: list[int] = []

    def stop_at_third(plan: SessionPlan, turn: Turn) -> None:
        if turn.index == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(place.hold(place.plan(1), ScriptedEngine("scripted:steady"), stop_at_third))

    def count(messages: Sequence[Message], seed: int) -> float:
        asked.append(seed)
        return 0.0

    resumed = hold(place, engine=ScriptedEngine("scripted:steady", delay=count))
    assert len(asked) == 1  # the grounding phase has four prompts
    assert [t.response for t in resumed.turns] == [t.response for t in whole.turns]
