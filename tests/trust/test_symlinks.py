"""Links in folders that strangers made lead nowhere."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from holdtrue.documents.capacity_report import capacity_document
from holdtrue.documents.write import write_document, write_documents
from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.errors import ConfigError, WorkspaceError
from holdtrue.persona import load_persona
from holdtrue.production import Production
from holdtrue.protocol import load_protocol
from holdtrue.runs import Journal, open_run
from holdtrue.tomlfile import find_data
from holdtrue.transcript import Transcript
from holdtrue.verify import verify
from holdtrue.workspace import (
    Settings,
    Workspace,
    find_workspace,
    locked,
    read_state,
    record_session,
)
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


@pytest.mark.parametrize("name", ["T-figures", "LATEST_STATUS.md", "h_worklog.txt", "report.html"])
def test_documents_are_not_written_through_links(
    tmp_path: Path, elsewhere: Path, name: str
) -> None:
    out = tmp_path / "out"
    record = run_test(out, make_config(budget=1, batch=1))
    target = elsewhere if name.endswith("figures") else elsewhere / "secret"
    if target is not elsewhere:
        target.write_text("theirs")
    (out / name).symlink_to(target)
    before = contents(elsewhere)
    with pytest.raises(WorkspaceError, match="symbolic link"):
        write_documents(record, out)
    assert contents(elsewhere) == before


def test_a_comparisons_documents_are_not_written_through_links(
    tmp_path: Path, elsewhere: Path
) -> None:
    document = capacity_document(run_test(tmp_path / "run", make_config(budget=1, batch=1)))
    (elsewhere / "theirs").write_text("theirs")
    for name in ("comparison-figures", "comparison.md"):
        out = tmp_path / name
        out.mkdir()
        (out / name).symlink_to(elsewhere if "figures" in name else elsewhere / "theirs")
        with pytest.raises(WorkspaceError, match="symbolic link"):
            write_document(document, out, "comparison")
    assert contents(elsewhere) == {"theirs": b"theirs"}


def test_a_linked_journal_is_neither_cut_nor_written(tmp_path: Path, elsewhere: Path) -> None:
    (elsewhere / "theirs").write_text("a line\nand no end")
    link = tmp_path / "journal.jsonl"
    link.symlink_to(elsewhere / "theirs")
    with pytest.raises(WorkspaceError, match="cannot be written"), Journal(link):
        pytest.fail("opened")
    root = tmp_path / "workspace"
    (root / "production").mkdir(parents=True)
    (root / "production" / "journal.jsonl").symlink_to(elsewhere / "theirs")
    production = Production(
        workspace=Workspace(root, Settings()),
        persona=load_persona("sage"),
        protocol=load_protocol("none"),
        model="scripted:steady",
        seed=0,
    )
    engine = ScriptedEngine("scripted:steady")
    with pytest.raises(WorkspaceError, match="symbolic link"):
        asyncio.run(production.hold(production.plan(1), engine, lambda plan, turn: None))
    assert (elsewhere / "theirs").read_text() == "a line\nand no end"


def test_lock_and_log_files_of_a_run_are_not_links(tmp_path: Path, elsewhere: Path) -> None:
    run = new_run(tmp_path / "out", make_config())
    (elsewhere / "theirs").write_text("theirs")
    for name in (".lock", "engine.log"):
        (run.folder / name).symlink_to(elsewhere / "theirs")
    with pytest.raises(WorkspaceError, match="symbolic link"), run.locked():
        pytest.fail("locked")
    with pytest.raises(WorkspaceError, match="symbolic link"):
        assert run.log_path
    assert contents(elsewhere) == {"theirs": b"theirs"}


@pytest.mark.parametrize("kind", ["personas", "protocols", "criteria", "baselines"])
def test_a_name_is_not_looked_up_through_a_link_out_of_the_workspace(
    tmp_path: Path, elsewhere: Path, kind: str
) -> None:
    folder = tmp_path / "workspace" / kind
    folder.mkdir(parents=True)
    (elsewhere / "secret").write_text('password = "hush"\n')
    (folder / "mine.toml").symlink_to(elsewhere / "secret")
    (folder / "kept.toml").symlink_to(folder / "own.toml")
    (folder / "own.toml").write_text('name = "own"\n')
    with pytest.raises(ConfigError, match="symbolic link") as caught:
        find_data("mine", kind, (folder,))
    assert "hush" not in str(caught.value)
    assert find_data("kept", kind, (folder,)) == folder / "kept.toml"


def test_a_linked_marker_is_not_read(tmp_path: Path, elsewhere: Path) -> None:
    root = tmp_path / "workspace"
    root.mkdir()
    (elsewhere / "secret").write_text('password = "hush"\n')
    (root / "holdtrue.toml").symlink_to(elsewhere / "secret")
    with pytest.raises(WorkspaceError, match="symbolic link") as caught:
        find_workspace(root)
    assert "hush" not in str(caught.value)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
