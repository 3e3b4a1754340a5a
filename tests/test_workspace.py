from __future__ import annotations

import json
import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from holdtrue.errors import WorkspaceError
from holdtrue.persona import load_persona
from holdtrue.transcript import Status, Transcript, Turn
from holdtrue.workspace import (
    Settings,
    State,
    Workspace,
    find_workspace,
    locked,
    read_state,
    record_session,
    snapshot_of,
)

SAGE = load_persona("sage")


def workspace(root: Path) -> Workspace:
    return Workspace(root, Settings())


def session(number: int, said: str = "I am SAGE. I keep this.") -> Transcript:
    turns = (Turn(index=1, prompt="p", response=said),)
    return Transcript(id=f"s{number}", session=number, persona=SAGE, turns=turns)


def test_a_fresh_workspace_has_an_empty_state(tmp_path: Path) -> None:
    assert read_state(workspace(tmp_path)) == State()
    assert snapshot_of(State(), SAGE, sessions=5).session == 1


def test_a_recorded_session_carries_number_summary_and_exemplars_over(tmp_path: Path) -> None:
    place = workspace(tmp_path)
    for number in range(1, 8):
        record_session(place, session(number, f"I am SAGE, session {number}."))
    snapshot = snapshot_of(read_state(place), SAGE, sessions=5)
    assert snapshot.session == 8
    assert snapshot.summary == "I am SAGE, session 7."
    assert snapshot.exemplars == tuple(f"I am SAGE, session {n}." for n in (7, 6, 5, 4, 3))


def test_a_failed_session_is_kept_and_does_not_advance_the_chain(tmp_path: Path) -> None:
    place = workspace(tmp_path)
    failed = session(1).model_copy(update={"status": Status.FAILED, "error": "turn 2: x"})
    path = record_session(place, failed)
    assert path.is_file()
    assert "failed" in path.name
    assert read_state(place) == State()


def test_every_change_of_the_state_leaves_a_backup_of_the_one_before(tmp_path: Path) -> None:
    place = workspace(tmp_path)
    record_session(place, session(1))
    before = place.state_path.read_bytes()
    record_session(place, session(2))
    backups = list((tmp_path / "production" / "backups").iterdir())
    assert [path.read_bytes() for path in backups] == [before]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"format": "holdtrue-state", "version": 99}',
        '{"format": "holdtrue-state", "version": 1, "chains": {"a": {"sessions": -1}}}',
    ],
)
def test_a_damaged_or_newer_state_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    place = workspace(tmp_path)
    place.state_path.parent.mkdir()
    place.state_path.write_text(content)
    with pytest.raises(WorkspaceError) as caught:
        record_session(place, session(1))
    assert str(place.state_path) in str(caught.value.where)
    assert place.state_path.read_text() == content


def _hold(root: Path, ready: Event) -> None:
    with locked(workspace(root), "holdtrue run"):
        ready.set()
        signal.pause()


def test_a_second_process_is_told_who_holds_the_workspace_and_a_dead_one_frees_it(
    tmp_path: Path,
) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    owner = context.Process(target=_hold, args=(tmp_path, ready))
    owner.start()
    try:
        assert ready.wait(30)
        with pytest.raises(WorkspaceError) as caught, locked(workspace(tmp_path), "x"):
            pass
        assert f"process {owner.pid}" in caught.value.message
        assert "holdtrue run" in caught.value.message
        assert caught.value.remedy
    finally:
        os.kill(owner.pid or 0, signal.SIGKILL)
        owner.join()
    assert (tmp_path / "production" / "lock.json").exists()
    with locked(workspace(tmp_path), "again"):
        facts = json.loads((tmp_path / "production" / "lock.json").read_text())
        assert facts["pid"] == os.getpid()
    assert not (tmp_path / "production" / "lock.json").exists()


def test_the_nearest_workspace_above_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "holdtrue.toml").write_text('persona = "mine"\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    found = find_workspace()
    assert found.root == tmp_path
    assert found.settings.persona == "mine"
