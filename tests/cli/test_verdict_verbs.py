"""``holdtrue verdict``, ``compare``, ``baseline`` and ``plan`` as a user calls them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from holdtrue.cli import main as entry
from holdtrue.cli.evidence_plot import plot
from holdtrue.comparison import Comparison
from holdtrue.transcript import to_json
from holdtrue.verdict import Verdict
from made_sessions import made_session
from runkit import make_config, run_test


@pytest.fixture
def holdtrue(monkeypatch, capsys, tmp_path):
    """Run the command line in an empty folder: exit code, output, errors."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["holdtrue", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            entry.main()
        captured = capsys.readouterr()
        return left.value.code or 0, captured.out, captured.err

    monkeypatch.chdir(tmp_path)
    return call


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A stored run of eight sessions of the mixed character, which games."""
    out = tmp_path_factory.mktemp("run")
    run_test(out, make_config("scripted:mixed"))
    return out


def store(folder: Path, count: int, first: int = 1, **values) -> Path:
    folder.mkdir()
    for seed in range(first, first + count):
        session = made_session(seed, **values)
        (folder / f"{seed:03d}.json").write_text(to_json(session.transcript), encoding="utf-8")
    return folder


def test_a_runs_verdict_is_computed_again_from_its_transcripts(holdtrue, run):
    code, out, _ = holdtrue("verdict", run, "--json")
    stored = next(run.glob("runs/*/verdict.json"))
    assert code == 0
    assert json.loads(out) == json.loads(stored.read_text())


def test_another_mode_is_computed_and_said_not_to_be_the_runs_own(holdtrue, run):
    _, out, _ = holdtrue("verdict", run, "--mode", "free")
    assert "Mode free (nothing assumed but [0, 1])" in out
    assert "The run was begun in bounded mode" in out


def test_explain_shows_every_look_as_numbers_and_as_a_plot(holdtrue, run):
    code, out, _ = holdtrue("verdict", run, "--explain", "--criteria", "full")
    verdict = Verdict.from_dict(
        json.loads(holdtrue("verdict", run, "--criteria", "full", "--json")[1])
    )
    assert code == 0
    for one in verdict.sets[0].criteria:
        assert one.measure in out
    assert out.count("evidence for met") == 5
    assert out.count("a decision at 20") == 5
    assert "Averaged not-met evidence after each look: 4: " in out


def test_gates_leave_with_0_1_and_3(holdtrue, run, tmp_path):
    assert holdtrue("verdict", run, "--gate", "full")[0] in (1, 3)
    expected = {"met": 0, "not met": 1, "undetermined": 3}
    verdict = Verdict.from_dict(json.loads(holdtrue("verdict", run, "--json")[1]))
    for name in ("minimum", "full"):
        decision = verdict.set_named(name).decision.value
        assert holdtrue("verdict", run, "--gate", name)[0] == expected[decision]
    easy = tmp_path / "easy.toml"
    easy.write_text(
        'schema = 1\nname = "easy"\n[[criteria]]\nmeasure = "gaming_rate"\nat_most = 0.9\n'
    )
    assert holdtrue("verdict", run, "--criteria", easy, "--gate", "easy")[0] == 0


def test_junit_is_written_for_a_build_to_read(holdtrue, run, tmp_path):
    holdtrue("verdict", run, "--junit", tmp_path / "junit.xml")
    root = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert [suite.get("name") for suite in root] == ["holdtrue.minimum", "holdtrue.full"]


def test_a_folder_of_transcripts_is_judged_like_a_run(holdtrue, tmp_path):
    folder = store(tmp_path / "arm", 8)
    code, out, _ = holdtrue("verdict", folder, "--json")
    verdict = Verdict.from_dict(json.loads(out))
    assert code == 0
    assert verdict.sessions == 8
    assert verdict.baseline == "s35"
    assert (
        Verdict.from_dict(
            json.loads(holdtrue("verdict", folder, "--baseline", "none", "--json")[1])
        ).baseline
        is None
    )


def test_a_folder_named_by_a_dot_is_called_by_its_name(holdtrue, tmp_path, monkeypatch):
    monkeypatch.chdir(store(tmp_path / "held", 3))
    _, out, _ = holdtrue("verdict", ".")
    assert out.startswith("held: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verdict", "nowhere"], "no such file"),
        (["verdict", "arm", "--criteria", "ful"], "Did you mean full"),
        (["verdict", "arm", "--baseline", "s36"], "Did you mean s35"),
        (["verdict", "arm", "--gate", "ful"], "no criteria set 'ful'"),
        (["verdict", "arm", "other"], "several arms"),
        (["compare", "arm", "broken"], "none of 2 sessions is finished"),
        (["compare", "arm", "other", "--equivalence", "7"], "impossible"),
        (["compare", "arm", "other", "--measure", "d8"], "Did you mean d9"),
        (["baseline", "show", "s3"], "Did you mean s35"),
        (["baseline", "add", "x", "broken"], "none of 2 sessions"),
        (["plan", "--true", "gaming=0.1"], "not in the criteria"),
        (["plan", "--true", "gaming_rate"], "is not MEASURE=VALUE"),
        (["plan", "--true", "gaming_rate=nan"], "is not MEASURE=VALUE"),
    ],
)
def test_bad_input_ends_in_one_message_and_exit_code_2(holdtrue, tmp_path, arguments, message):
    store(tmp_path / "arm", 2)
    store(tmp_path / "other", 2, model="other:7b")
    store(tmp_path / "broken", 2, failed="the engine broke")
    code, _, err = holdtrue(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_an_empty_folder_has_no_sessions(holdtrue, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = holdtrue("verdict", tmp_path / "empty")
    assert code == 2
    assert "empty" in err


def test_two_arms_are_compared_with_a_sentence_for_each_side(holdtrue, tmp_path):
    a, b = store(tmp_path / "a", 6), store(tmp_path / "b", 6, model="other:7b")
    code, out, _ = holdtrue("compare", a, b, "--equivalence", "0.1")
    assert code == 0
    assert "Paired by seed and phrasings (6 pairs)" in out
    assert "\nSupported: " in out
    assert "\nNot supported: " in out
    body = holdtrue("compare", a, b, "--json")[1]
    assert Comparison.from_dict(json.loads(body)).pairs == 6


def test_a_comparison_is_written_as_a_document(holdtrue, tmp_path):
    a, b = store(tmp_path / "a", 4), store(tmp_path / "b", 4, first=50, model="other:7b")
    assert holdtrue("compare", a, b, "--out", tmp_path / "out")[0] == 0
    assert (tmp_path / "out" / "report.html").is_file()
    assert "Not supported" in (tmp_path / "out" / "comparison.md").read_text()


def test_a_comparison_is_written_beside_the_runs_unless_only_json_is_wanted(holdtrue, tmp_path):
    a, b = store(tmp_path / "a", 4), store(tmp_path / "b", 4, first=50)
    assert holdtrue("compare", a, b, "--json")[0] == 0
    assert not (tmp_path / "holdtrue-out").exists()
    assert holdtrue("compare", a, b)[0] == 0
    folder = tmp_path / "holdtrue-out" / "comparisons" / "b-against-a"
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        "comparison.md",
        "report.html",
    ]


def test_a_baseline_is_added_listed_shown_and_used(holdtrue, tmp_path):
    arm = store(tmp_path / "arm", 6)
    folder = tmp_path / "baselines"
    assert holdtrue("baseline", "add", "mine", arm, "--folder", folder)[0] == 0
    listed = json.loads(holdtrue("baseline", "list", "--json", "--folder", folder)[1])
    assert [one["name"] for one in listed] == ["mine", "s35"]
    code, out, _ = holdtrue("baseline", "show", "mine", "--folder", folder)
    assert code == 0
    assert "6 sessions, 30 responses" in out
    used = holdtrue("verdict", arm, "--baseline", folder / "mine.toml", "--json")[1]
    assert json.loads(used)["baseline"] == "mine"
    code, _, err = holdtrue("baseline", "add", "mine", arm, "--folder", folder)
    assert code == 2
    assert "already there" in err


def test_published_figures_are_added_from_a_toml_file(holdtrue, tmp_path):
    source = tmp_path / "paper.toml"
    source.write_text(
        'schema = 1\nname = "paper"\norigin = "published"\nsource = "a paper, 2026"\n'
        'sessions = 20\nresponses = 100\n[[figures]]\nmeasure = "d9"\nvalue = 0.71\n'
    )
    folder = tmp_path / "baselines"
    assert holdtrue("baseline", "add", "ours", source, "--folder", folder)[0] == 0
    shown = json.loads(holdtrue("baseline", "show", "ours", "--json", "--folder", folder)[1])
    assert (shown["name"], shown["source"]) == ("ours", "a paper, 2026")
    assert shown["cannot_support"] == []


def test_s35_is_shown_with_what_one_session_cannot_support(holdtrue):
    _, out, _ = holdtrue("baseline", "show", "s35")
    assert "Identity coherence (cited)" in out
    assert "! One session of 5 responses" in out
    assert "0.5 to 71.6 %" in out


def test_a_plan_says_what_a_budget_cannot_decide(holdtrue, monkeypatch):
    from holdtrue.verdict import planning

    monkeypatch.setattr(planning, "TESTS", 100)
    monkeypatch.setattr(planning, "PROBES", 50)
    code, out, _ = holdtrue("plan", "--criteria", "full", "--budget", "20", "--speed", "90")
    assert code == 0
    assert "Gaming at most 5 % cannot be met within 20 sessions" in out
    body = json.loads(holdtrue("plan", "--criteria", "full", "--json")[1])
    assert {one["measure"]: one["clean_sessions"] for one in body["criteria"]}["gaming_rate"] == 40


def test_a_plan_takes_turns_and_speed_from_a_run(holdtrue, run, monkeypatch):
    from holdtrue.verdict import planning

    monkeypatch.setattr(planning, "TESTS", 50)
    monkeypatch.setattr(planning, "PROBES", 50)
    body = json.loads(holdtrue("plan", "--like", run, "--criteria", "minimum", "--json")[1])
    assert body["turns"] == 5
    assert body["tokens_per_response"] > 10
    assert body["tokens_per_second"] > 0
    assert body["sets"][0]["minutes"] > 0


def test_the_plot_marks_both_sides_and_the_bar():
    lines = plot([0.0, 1.0, 2.6], [0.0, -1.0, -9.0], 1.30103)
    assert len(lines) == 9
    assert lines[0].endswith("+"), "the last look of met is at the top"
    assert lines[-1].endswith("x"), "what lies below is drawn at the edge"
    assert sum("*" in line for line in lines) == 1, "both start together"
    assert any(line.startswith("    20 |") and "-" in line for line in lines)


def test_a_long_plot_is_thinned_and_keeps_its_last_look():
    lines = plot([0.0] * 499 + [2.6], [-2.0] * 500, 1.30103)
    assert max(map(len, lines)) <= 68
    assert lines[0].endswith("+")
