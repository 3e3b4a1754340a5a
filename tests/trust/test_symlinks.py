"""Links in folders that strangers made lead nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdtrue.errors import WorkspaceError
from holdtrue.persona import load_persona
from holdtrue.runs import open_run
from holdtrue.transcript import Transcript
from holdtrue.verify import verify
from holdtrue.workspace import Settings, Workspace, locked, read_state, record_session
from runkit import make_config, new_run, run_test


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_transcripts_are_not_written_through_a_linked_folder(
    tmp_path: Path, elsewhere: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "T-session-transcripts").symlink_to(elsewhere)
    with pytest.raises(WorkspaceError, match="symbolic link"):
        run_test(out, make_config(budget=1, batch=1))
    assert list(elsewhere.iterdir()) == []


def test_a_linked_transcript_is_not_read(tmp_path: Path, elsewhere: Path) -> None:
    out = tmp_path / "out"
    record = run_test(out, make_config(budget=1, batch=1))
    path = record.run.transcript_path(1)
    path.rename(elsewhere / "theirs.json")
    path.symlink_to(elsewhere / "theirs.json")
    with pytest.raises(WorkspaceError, match="symbolic link"):
        verify(open_run(out))


@pytest.mark.parametrize("name", ["journal.jsonl", "verdict.json", "manifest.json"])
def test_a_runs_own_files_are_not_links_out_of_it(
    tmp_path: Path, elsewhere: Path, name: str
) -> None:
    run = new_run(tmp_path / "out", make_config())
    (elsewhere / "file").write_text("{}")
    (run.folder / name).symlink_to(elsewhere / "file")
    with pytest.raises(WorkspaceError, match="symbolic link"):
        run.finished_turns() if name == "journal.jsonl" else run.read_json(name)


def test_production_state_and_sessions_stay_in_the_workspace(
    tmp_path: Path, elsewhere: Path
) -> None:
    root = tmp_path / "workspace"
    (root / "production").mkdir(parents=True)
    workspace = Workspace(root, Settings())
    workspace.sessions_folder.symlink_to(elsewhere)
    session = Transcript(id="t", session=1, persona=load_persona("sage"))
    with pytest.raises(WorkspaceError, match="symbolic link"):
        record_session(workspace, session)
    (elsewhere / "state.json").write_text("{}")
    workspace.state_path.symlink_to(elsewhere / "state.json")
    with pytest.raises(WorkspaceError, match="symbolic link"):
        read_state(workspace)
    assert [path.name for path in elsewhere.iterdir()] == ["state.json"]


def test_a_linked_production_folder_is_not_locked(tmp_path: Path, elsewhere: Path) -> None:
    root = tmp_path / "workspace"
    root.mkdir()
    (root / "production").symlink_to(elsewhere)
    with (
        pytest.raises(WorkspaceError, match="symbolic link"),
        locked(Workspace(root, Settings()), "a test"),
    ):
        pytest.fail("locked")
    assert list(elsewhere.iterdir()) == []


def test_links_that_stay_inside_and_linked_roots_are_fine(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "link").symlink_to(out)
    (out / "kept").mkdir()
    (out / "T-session-transcripts").symlink_to(out / "kept")
    record = run_test(tmp_path / "link", make_config(budget=1, batch=1))
    assert len(record.sessions) == 1
    assert [path.name for path in (out / "kept").iterdir()] == ["T-session-001.json"]
