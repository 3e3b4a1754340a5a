from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdtrue.errors import WorkspaceError
from holdtrue.persona import load_persona
from holdtrue.protocol import load_protocol
from holdtrue.runs import (
    MANIFEST,
    Journal,
    Run,
    create_run,
    differing_keys,
    next_number,
    open_run,
    read_journal,
    used_numbers,
)
from holdtrue.session import Snapshot, plan_session
from holdtrue.transcript import Transcript, Turn

PLAN = plan_session(
    load_persona("sage"),
    load_protocol("none"),
    model="m",
    number=1,
    seed=1,
    snapshot=Snapshot(session=35),
)


def config(**changes: Any) -> dict[str, Any]:
    return {"run_id": "r1", "label": "30B", "first_session": 1, "budget": 4, **changes}


def turn(index: int) -> Turn:
    return Turn(index=index, prompt="p", response=f"r{index}\n\u2028 é")


def test_names_are_those_of_the_design(tmp_path: Path) -> None:
    run = create_run(tmp_path, config())
    expected = tmp_path / "30B-session-transcripts" / "30B-session-001.json"
    assert run.transcript_path(1) == expected
    run.store(Transcript(id="t", session=1, persona=load_persona("sage")))
    assert expected.is_file()
    assert used_numbers(tmp_path, "30B") == [1]
    assert open_run(tmp_path).folder == run.folder
    assert [t.session for t in open_run(run.folder).transcripts()] == [1]


def test_stored_sessions_are_never_written_over_by_another_run(tmp_path: Path) -> None:
    run = create_run(tmp_path, config())
    run.store(Transcript(id="t", session=1, persona=load_persona("sage")))
    with pytest.raises(WorkspaceError) as caught:
        create_run(tmp_path, config(run_id="r2"))
    assert "--session 005" in (caught.value.remedy or "")
    assert not (tmp_path / "runs" / "r2").exists()


def test_numbers_of_an_unfinished_run_are_kept_for_it(tmp_path: Path) -> None:
    unfinished = create_run(tmp_path, config())
    assert next_number(tmp_path, "30B") == 5
    assert next_number(tmp_path, "7B") == 1
    with pytest.raises(WorkspaceError, match="001 to 004") as caught:
        create_run(tmp_path, config(run_id="r2", first_session=3))
    assert "--session 005" in (caught.value.remedy or "")
    unfinished.write_json(MANIFEST, {})
    assert next_number(tmp_path, "30B") == 1
    create_run(tmp_path, config(run_id="r2"))


def test_the_next_runs_sessions_are_not_taken_for_the_last_ones(tmp_path: Path) -> None:
    sage = load_persona("sage")
    first = create_run(tmp_path, config())
    first.store(Transcript(id="t", session=1, persona=sage, run="r1"))
    first.write_json(MANIFEST, {})
    second = create_run(tmp_path, config(run_id="r2", first_session=2))
    second.store(Transcript(id="t", session=2, persona=sage, run="r2"))
    assert [one.session for one in first.transcripts()] == [1]
    assert [one.session for one in second.transcripts()] == [2]
    with pytest.raises(WorkspaceError, match="another run"):
        first.store(Transcript(id="t", session=2, persona=sage, run="r1"))


def test_two_processes_cannot_go_on_with_one_run(tmp_path: Path) -> None:
    run = create_run(tmp_path, config())
    with (
        run.locked(),
        pytest.raises(WorkspaceError, match="another process"),
        open_run(run.folder).locked(),
    ):
        pytest.fail("held twice")
    with run.locked():
        pass


def test_a_run_without_a_turn_leaves_nothing_behind(tmp_path: Path) -> None:
    run = create_run(tmp_path, config())
    with Journal(run.journal_path) as journal:
        assert run.discard_if_empty()
        assert not run.folder.exists()
    run = create_run(tmp_path, config())
    with Journal(run.journal_path) as journal:
        journal.turn(PLAN, turn(1))
    assert not run.discard_if_empty()
    assert run.journal_path.is_file()


def test_a_changed_configuration_is_noticed(tmp_path: Path) -> None:
    run = create_run(tmp_path, config())
    path = run.folder / "config.json"
    body = json.loads(path.read_text())
    body["budget"] = 400
    path.write_text(json.dumps(body))
    with pytest.raises(WorkspaceError, match="changed after the run began"):
        open_run(run.folder)


@pytest.mark.parametrize("label", ["../x", "a/b", "..", "", 3])
def test_a_strangers_label_cannot_lead_out_of_the_folder(tmp_path: Path, label: Any) -> None:
    folder = tmp_path / "runs" / "r"
    folder.mkdir(parents=True)
    from holdtrue.runs import config_digest

    body = config(label=label)
    (folder / "config.json").write_text(json.dumps({"digest": config_digest(body), **body}))
    with pytest.raises(WorkspaceError, match="not usable"):
        open_run(folder)


def test_no_run_here_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError) as caught:
        open_run(tmp_path)
    assert caught.value.remedy


def test_differing_keys_leave_out_what_does_not_decide_results() -> None:
    assert differing_keys(config(), config(run_id="r9", created="now")) == []
    assert differing_keys(config(), config(budget=8, seed=1)) == ["budget", "seed"]


def test_journalled_turns_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.turn(PLAN, turn(1))
        journal.turn(PLAN, turn(2))
    assert read_journal(path) == {1: (turn(1), turn(2))}


@given(cut=st.integers(min_value=1, max_value=120))
def test_a_journal_torn_at_any_byte_keeps_every_finished_turn(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "journal.jsonl"
    with Journal(path) as journal:
        for index in (1, 2):
            journal.turn(PLAN, turn(index))
    whole = path.read_bytes()
    last = len(whole) - whole[:-1].rfind(b"\n") - 1
    path.write_bytes(whole[: -min(cut, last)])
    assert read_journal(path) == {1: (turn(1),)}
    with Journal(path) as journal:
        journal.turn(PLAN, turn(2))
    assert read_journal(path) == {1: (turn(1), turn(2))}


def test_a_damaged_line_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.turn(PLAN, turn(1))
    path.write_bytes(path.read_bytes() + b"{}\n")
    with pytest.raises(WorkspaceError) as caught:
        read_journal(path)
    assert str(caught.value.where).endswith("line 2")


def test_a_run_folder_without_transcripts_has_none(tmp_path: Path) -> None:
    assert Run(tmp_path, tmp_path, config()).transcripts() == []
