"""Every document says what made it: command, versions, and the hash of all that decides it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "sleep"))
from test_sleep_cycle import (  # noqa: F401  (the last two are fixtures)
    GOOD,
    ScriptedLab,
    _plain_zero,
    dataset,
    go,
)

from holdtrue import __version__
from holdtrue.cli.main import cli
from holdtrue.criteria import load_criteria
from holdtrue.documents.sleep import write_cycle
from holdtrue.persona import load_persona
from holdtrue.protocol import load_protocol
from holdtrue.runconfig import read_config
from holdtrue.runs import open_run
from holdtrue.scoring.score import scorer_version
from holdtrue.sleep.dataset import Dataset

PERSONA, PROTOCOL = load_persona("sage"), load_protocol("v2.0")
SHORT = "--budget 4 --seed 17"


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run a verb as a user would: its words are also what the process was called with."""

    def run(command: str) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["holdtrue", *command.split()])
        result = CliRunner().invoke(cli, command.split(), standalone_mode=False)
        assert result.exception is None, result.output

    return run


def weights(out: Path) -> str:
    """The hash of the weights that a run's transcripts name."""
    transcript = open_run(out).transcripts()[0]
    return str(transcript.engine["source_hash"])


def check(paths: Iterable[Path], expected: Iterable[str]) -> None:
    listed = list(paths)
    assert listed
    for path in listed:
        text = re.sub(r"<[^>]+>|&quot;|\\", "", path.read_text(encoding="utf-8"))
        text = " ".join(text.split())
        missing = [one for one in expected if one not in text]
        assert not missing, f"{path.name} lacks {missing}"


def test_the_documents_of_a_test(invoke, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    command = f"test scripted:mixed {SHORT} --label T --host h --out ."
    invoke(command)
    config = read_config(open_run(tmp_path))
    expected = [
        f"holdtrue {command}",
        PERSONA.digest,
        PROTOCOL.digest,
        weights(tmp_path),
        scorer_version(),
        *(load_criteria(name).digest for name in ("minimum", "full")),
        config.run_id,
        __version__,
        "17",
    ]
    moment = next(tmp_path.glob("*-h-t-test.md"))
    check([tmp_path / "H_T_CAPACITY_TEST.md", tmp_path / "report.html", moment], expected)
    seeds = [str(one.seed) for one in open_run(tmp_path).transcripts()]
    check([tmp_path / "H_T_CAPACITY_TEST.md", tmp_path / "report.html"], seeds)
    check([tmp_path / "LATEST_STATUS.md", tmp_path / "h_worklog.txt"], [config.run_id])


def test_the_documents_of_a_comparison(invoke, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for label in ("A", "B"):
        invoke(f"test scripted:steady {SHORT} --label {label} --host h --out {label}")
    invoke("compare A B --out compared")
    transcripts = open_run(tmp_path / "A").transcripts()
    expected = [
        "holdtrue compare A B --out compared",
        PERSONA.digest,
        PROTOCOL.digest,
        weights(tmp_path / "A"),
        scorer_version(),
        str(transcripts[0].seed),
        __version__,
    ]
    check([tmp_path / "compared/comparison.md", tmp_path / "compared/report.html"], expected)


def test_the_documents_of_a_ladder(invoke, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    command = (
        f"ladder scripted:gaming scripted:steady {SHORT} --criteria minimum --cost listed --out ."
    )
    invoke(command)
    folder = next(tmp_path.glob("ladders/*"))
    hashes = {weights(path) for path in folder.glob("rungs/*") if path.is_dir()} or {
        str(one.transcripts()[0].engine["source_hash"])
        for one in map(open_run, {path.parent for path in folder.rglob("config.json")})
    }
    expected = [
        f"holdtrue {command}",
        PERSONA.digest,
        PROTOCOL.digest,
        *hashes,
        scorer_version(),
        load_criteria("minimum").digest,
        __version__,
        "17",
    ]
    check([folder / "LADDER.md", folder / "report.html"], expected)


def test_the_documents_of_a_sleep_cycle(
    dataset: Dataset,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = {"holdtrue": __version__}
    record = go(
        tmp_path,
        dataset,
        ScriptedLab(GOOD, monkeypatch),
        sessions=4,
        command="holdtrue sleep cycle here",
        versions=versions,
    )
    write_cycle(record)
    first = record.arms["base"].sessions[0].transcript
    expected = [
        "holdtrue sleep cycle here",
        f"holdtrue {__version__}",
        PERSONA.digest,
        str(first.protocol.content_hash) if first.protocol else "",
        load_protocol("none").digest,
        load_criteria("minimum").digest,
        str(first.engine["source_hash"]),
        str(first.seed),
        scorer_version(),
        dataset.sha256,
        *(one.adapter_hash for one in record.manifests.values()),
    ]
    check([record.folder / "CYCLE.md", record.folder / "report.html"], expected)
