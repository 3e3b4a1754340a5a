"""Production state of every version that was ever written is read, and none is lost by it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from holdtrue.errors import WorkspaceError
from holdtrue.persona import load_persona
from holdtrue.transcript import Transcript, Turn
from holdtrue.workspace import (
    MIGRATIONS,
    STATE_VERSION,
    Settings,
    Workspace,
    read_state,
    record_session,
    snapshot_of,
)

STATES = Path(__file__).with_name("states")
SAGE = load_persona("sage")


def workspace(root: Path, state: str) -> Workspace:
    place = Workspace(root, Settings())
    place.state_path.parent.mkdir(parents=True)
    place.state_path.write_text(state, encoding="utf-8")
    return place


def session(number: int) -> Transcript:
    turns = (Turn(index=1, prompt="p", response="I am SAGE. I keep this."),)
    return Transcript(id=f"s{number}", session=number, persona=SAGE, turns=turns)


def test_every_version_up_to_the_present_one_has_a_way_on() -> None:
    assert sorted(MIGRATIONS) == list(range(1, STATE_VERSION))


def test_a_state_of_version_1_is_read_whole(tmp_path: Path) -> None:
    text = (STATES / "version-1.json").read_text(encoding="utf-8")
    place = workspace(tmp_path, text)
    state = read_state(place)
    assert state.version == STATE_VERSION
    assert {name: chain.sessions for name, chain in state.chains.items()} == {"SAGE": 2, "Pim": 0}
    snapshot = snapshot_of(state, SAGE, sessions=5)
    assert (snapshot.session, snapshot.exemplars) == (3, ("I am SAGE, and I keep it.",))
    assert [one.transcript for one in state.chains["SAGE"].memories] == [None, None]
    assert place.state_path.read_text(encoding="utf-8") == text  # reading changes nothing


def test_the_old_file_is_kept_when_the_next_session_writes_the_new_form(tmp_path: Path) -> None:
    text = (STATES / "version-1.json").read_text(encoding="utf-8")
    place = workspace(tmp_path, text)
    path = record_session(place, session(3))
    stored = json.loads(place.state_path.read_text(encoding="utf-8"))
    assert stored["version"] == STATE_VERSION
    memories = stored["chains"]["SAGE"]["memories"]
    assert [one["session"] for one in memories] == [1, 2, 3]
    assert memories[-1]["transcript"] == hashlib.sha256(path.read_bytes()).hexdigest()
    backups = list((tmp_path / "production" / "backups").iterdir())
    assert [backup.read_text(encoding="utf-8") for backup in backups] == [text]


@pytest.mark.parametrize(
    ("version", "remedy"),
    [(STATE_VERSION + 1, "newer one"), (10**30, "newer one"), (0, "backups"), ("1", "backups")],
)
def test_a_version_that_is_not_known_is_refused_with_what_to_do(
    tmp_path: Path, version: Any, remedy: str
) -> None:
    place = workspace(tmp_path, json.dumps({"format": "holdtrue-state", "version": version}))
    before = place.state_path.read_bytes()
    with pytest.raises(WorkspaceError, match="knows versions 1 to") as caught:
        record_session(place, session(1))
    assert remedy in (caught.value.remedy or "")
    assert place.state_path.read_bytes() == before


@pytest.mark.parametrize("chains", [[], {"a": []}, {"a": {"memories": [1]}}, {"a": 3}, "x", None])
def test_a_damaged_state_of_version_1_is_an_error_and_not_a_crash(
    tmp_path: Path, chains: Any
) -> None:
    body = {"format": "holdtrue-state", "version": 1, "chains": chains}
    with pytest.raises(WorkspaceError, match="production state") as caught:
        read_state(workspace(tmp_path, json.dumps(body)))
    assert "backups" in (caught.value.remedy or "")
