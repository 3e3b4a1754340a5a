"""A production chain whose process is killed: nothing half-written, lost or said twice."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from killing import killed, start

from holdtrue.transcript import Status, Transcript, read_transcript
from holdtrue.workspace import Settings, Workspace, read_state

SESSIONS = 3


def workspace(root: Path) -> Workspace:
    root.mkdir()
    (root / "holdtrue.toml").write_text("")
    return Workspace(root, Settings())


def chain(place: Workspace) -> list[Transcript]:
    """The stored sessions, checked against the state and its backups."""
    state = read_state(place).chains.get("SAGE")
    paths = sorted(place.sessions_folder.glob("session-*.json"))
    stored = [read_transcript(path) for path in paths]
    assert [one.session for one in stored] == list(range(1, len(stored) + 1))
    assert all(one.status is Status.COMPLETE for one in stored)
    done = state.sessions if state else 0
    assert done in (len(stored), len(stored) - 1)  # the transcript is written first
    for memory in state.memories if state else ():
        digest = hashlib.sha256(paths[memory.session - 1].read_bytes()).hexdigest()
        assert memory.transcript == digest or memory.session > done
    for backup in (place.root / "production" / "backups").glob("state-*.json"):
        assert json.loads(backup.read_text())["format"] == "holdtrue-state"
    return stored[:done]


def hold(place: Workspace, delay: float) -> None:
    child = start(place.root, delay, "run")
    printed, _ = child.communicate(timeout=120)
    assert child.returncode == 0, printed


def test_a_killed_production_chain_is_never_half_written_and_goes_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    whole, cut = workspace(tmp_path / "whole"), workspace(tmp_path / "cut")
    for _ in range(SESSIONS):
        hold(whole, 0.0)
    hits = 0
    while len(chain(cut)) < SESSIONS:
        if hits < 4:
            hits += killed(start(cut.root, 0.15, "run"), float(rng.uniform(0.0, 0.9)))
        else:
            hold(cut, 0.0)
    said = [[(turn.prompt, turn.response) for turn in one.turns] for one in chain(whole)]
    assert [[(turn.prompt, turn.response) for turn in one.turns] for one in chain(cut)] == said
    assert [one.system for one in chain(cut)] == [one.system for one in chain(whole)]
    assert hits >= 2
