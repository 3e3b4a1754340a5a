"""A run's documents: which files, what they say, and that nothing written before is lost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import record_factory as make
from holdtrue.capacity import RunRecord
from holdtrue.documents import words, write
from holdtrue.documents.capacity_report import capacity_document
from holdtrue.documents.escape import markdown
from holdtrue.documents.markdown import render_markdown
from holdtrue.documents.status import status_entry, worklog_line
from holdtrue.verdict import Decision, Outcome, Verdict


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return make.make_record(tmp_path_factory.mktemp("run"), 12, hostile=True, failed=1)


@pytest.fixture(scope="module")
def written(record: RunRecord) -> dict[str, Path]:
    paths = write.write_documents(record, record.run.out)
    return {path.name: path for path in paths}


def analysis_text(record: RunRecord) -> str:
    return render_markdown(capacity_document(record), pictures=write.pictures_name(record))


def test_a_run_leaves_the_files_that_the_design_names(written: dict[str, Path]) -> None:
    assert list(written) == [
        "THOR_30B_CAPACITY_TEST.md",
        "2026-11-23-thor-30b-test.md",
        "report.html",
        "verdict.json",
        "30B-figures",
        "LATEST_STATUS.md",
        "thor_worklog.txt",
    ]
    figures = sorted(path.name for path in written["30B-figures"].iterdir())
    assert figures == sorted(
        f"{name}.{kind}"
        for name in ("criteria", "distributions", "drift", "evidence")
        for kind in ("png", "svg")
    )
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in written["30B-figures"].glob("*.png"))


def test_the_stored_verdict_reads_back_equal(record: RunRecord, written: dict[str, Path]) -> None:
    assert Verdict.from_dict(json.loads(written["verdict.json"].read_text())) == record.verdict


def test_the_analysis_holds_every_part_that_the_design_asks_for(
    record: RunRecord, written: dict[str, Path]
) -> None:
    text = written["THOR_30B_CAPACITY_TEST.md"].read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings == [
        "Criteria",
        "Evidence over sessions",
        "Measures against the baseline",
        "Sessions and turns",
        "The questions",
        "Set-up and resources",
        "Transcripts",
        "Failures, exclusions and warnings",
        "Limits, method and provenance",
    ]
    provenance = (
        record.config.persona.digest,
        record.config.protocol.digest,
        record.config.sampling.digest,
        "b179c9523d0e6a0f98a330c7562b6827",
        record.verdict.scorer,
        record.config.run_id,
        record.config.command,
        *(one.criteria_digest for one in record.verdict.sets),
    )
    for value in provenance:
        assert f"`{value}`" in text
    for one in record.verdict.questions:
        assert one.question in text
    for warning in record.verdict.warnings:
        assert markdown(words.prose(warning)) in text
    replies = sum(len(one.transcript.turns) for one in record.sessions)
    table = text[text.index("Every reply with its findings") :].split("\n## ")[0]
    assert len(re.findall(r"^\| \d{3} \|", table, re.M)) == replies
    assert "the server closed the connection mid-reply" in text


def test_every_table_row_of_the_analysis_has_as_many_cells_as_its_header(
    written: dict[str, Path],
) -> None:
    text = written["THOR_30B_CAPACITY_TEST.md"].read_text(encoding="utf-8")
    width = None
    for line in text.splitlines():
        if not line.startswith("|"):
            width = None
            continue
        cells = len(re.findall(r"(?<!\\)\|", line)) - 1
        width = width or cells
        assert cells == width, line[:120]


def test_nothing_hostile_survives_in_markdown(written: dict[str, Path]) -> None:
    for name in ("THOR_30B_CAPACITY_TEST.md", "2026-11-23-thor-30b-test.md", "LATEST_STATUS.md"):
        text = written[name].read_text(encoding="utf-8")
        assert not re.search(r"[<>](?!\s|$)", re.sub(r"^> ", "", text, flags=re.M))
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]", text)
        assert "http://" not in text


def test_the_moment_file_fits_a_screen_and_names_the_analysis(written: dict[str, Path]) -> None:
    text = written["2026-11-23-thor-30b-test.md"].read_text(encoding="utf-8")
    assert len(text.splitlines()) < 45
    assert "(THOR_30B_CAPACITY_TEST.md)" in text
    assert "**Next:**" in text


def test_status_and_work_log_grow_by_one_entry_a_run_and_keep_what_was_there(
    record: RunRecord, tmp_path: Path
) -> None:
    (tmp_path / "LATEST_STATUS.md").write_text("# Ours\n\nkept\n", encoding="utf-8")
    (tmp_path / "thor_worklog.txt").write_text("kept without a line feed", encoding="utf-8")
    again = replace(record, run=replace(record.run, folder=record.run.folder.with_name("second")))
    for one in (record, again, again):
        write.announce_run(one, tmp_path)
    status = (tmp_path / "LATEST_STATUS.md").read_text(encoding="utf-8")
    assert status.startswith("# Ours\n\nkept\n")
    assert status.count("## 2026-11-23 09:00 30B on thor") == 2
    worklog = (tmp_path / "thor_worklog.txt").read_text(encoding="utf-8")
    assert worklog.startswith("kept without a line feed\n")
    assert len(worklog.splitlines()) == 3


def test_the_work_log_line_is_one_line_whatever_the_names_hold(record: RunRecord) -> None:
    line = worklog_line(record, analysis="A.md")
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert "30B | qwen3-omni-30b-a3b | SAGE/v2.0" in line


def test_two_processes_that_append_at_once_lose_no_entry(record: RunRecord, tmp_path: Path) -> None:
    path, entry = tmp_path / "LATEST_STATUS.md", status_entry(record, analysis="A.md")
    code = (
        "import sys; from pathlib import Path; from holdtrue.files import append_atomic\n"
        "for _ in range(10): append_atomic(Path(sys.argv[1]), sys.argv[2])"
    )
    command = [sys.executable, "-c", code, str(path), entry]
    workers = [subprocess.Popen(command) for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert path.read_text(encoding="utf-8") == entry * 20


def test_both_values_of_the_baseline_are_shown_and_told_apart(written: dict[str, Path]) -> None:
    text = written["THOR_30B_CAPACITY_TEST.md"].read_text(encoding="utf-8")
    assert "| 0.539 (cited 0.800) |" in text
    assert "which the transcript does not give" in text


def test_measures_are_words_and_not_identifiers_in_what_people_read(
    written: dict[str, Path],
) -> None:
    text = written["THOR_30B_CAPACITY_TEST.md"].read_text(encoding="utf-8")
    for name in ("gaming_rate", "generic_ai_rate", "identity_coherence", "mean_words"):
        assert markdown(name) not in text


def test_equal_records_give_an_equal_analysis(record: RunRecord) -> None:
    assert analysis_text(record) == analysis_text(record)


@pytest.mark.parametrize(
    ("rates", "outcome", "said"),
    [
        ({"mechanical": 0, "generic": 0, "odd": 0}, Outcome.SUCCESS, "holds the identity"),
        ({"mechanical": 2.5, "generic": 2.0}, Outcome.SAME_FAILURE, "does not hold"),
    ],
)
def test_the_answer_says_what_the_outcome_is(
    tmp_path: Path, rates: dict[str, float], outcome: Outcome, said: str
) -> None:
    record = make.make_record(tmp_path, 60, rates=rates)
    assert record.verdict.outcome is outcome
    text = analysis_text(record)
    assert re.search(rf"^> \*\*.*{said}", text, re.M)
    assert f"{outcome.value}: " in text


def test_a_decided_run_says_when_and_how_surely(tmp_path: Path) -> None:
    record = make.make_record(tmp_path, 60, rates={"mechanical": 0, "generic": 0, "odd": 0})
    full = record.verdict.set_named("full")
    assert full is not None
    assert full.decision is Decision.MET
    text = analysis_text(record)
    assert f"after {full.decided_at} sessions; a false “met” has a chance of at most 5 %" in text


@pytest.mark.parametrize("failed", [0, 4])
def test_a_run_without_a_counted_session_still_has_documents(tmp_path: Path, failed: int) -> None:
    record = make.make_record(tmp_path, failed, failed=failed)
    names = [path.name for path in write.write_documents(record, tmp_path)]
    assert "report.html" in names
    text = analysis_text(record)
    assert "No session of qwen3-omni-30b-a3b as SAGE could be counted" in text
    assert "nan" not in text.lower().split()


def test_a_run_without_baseline_or_resources_says_so(tmp_path: Path) -> None:
    from dataclasses import replace

    from holdtrue.capacity import Resources

    record = make.make_record(tmp_path, 8, baseline=None)
    bare = replace(record, preflight=None, resources=Resources())
    text = analysis_text(bare)
    assert "No baseline was given" in text
    assert "| Time to generate | – | – |" in text


def test_a_stranger_cannot_lead_a_document_out_of_its_folder(tmp_path: Path) -> None:
    record = make.make_record(tmp_path, 0, created="../../../evil")
    assert write.moment_name(record) == "undated-thor-30b-test.md"
    paths = write.write_documents(record, tmp_path / "out")
    assert all(path.resolve().parent == (tmp_path / "out").resolve() for path in paths)


def test_a_set_that_is_not_met_says_so_although_the_pattern_is_open(tmp_path: Path) -> None:
    record = make.make_record(tmp_path, 4, rates={"plain": 0, "natural": 0, "mechanical": 1})
    full = record.verdict.set_named("full")
    assert full is not None
    assert (full.decision, record.verdict.outcome) == (Decision.NOT_MET, Outcome.INCONCLUSIVE)
    text = analysis_text(record)
    assert "does not meet the full criteria" in text
    assert "not met; pattern inconclusive" in text


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("smollm2-135m", "smollm2-135m"),
        ("smollm2-135m@layers=20", "smollm2-135m@layers=20"),
        ("gguf:/home/ada/models/quiet-1b.gguf", "quiet-1b"),
        ("./models/quiet-1b.gguf@bits=4", "quiet-1b@bits=4"),
        ("hf:org/quiet-1b", "org/quiet-1b"),
        ("openai:quiet@http://127.0.0.1:8000/v1", "quiet"),
        ("C:\\models\\quiet", "quiet"),
        ("gguf:", "gguf:"),
    ],
)
def test_a_model_is_named_as_one_says_it(model: str, said: str) -> None:
    assert words.model_name(model) == said
