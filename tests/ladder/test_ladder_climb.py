"""Whole ladders of scripted characters: order, stopping, failures, going on, what is said."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path

import pytest

from holdtrue.documents.ladder import ladder_document, write_ladder
from holdtrue.documents.ladder_csv import COLUMNS, ladder_csv
from holdtrue.documents.ladder_terminal import ladder_json, print_ladder
from holdtrue.engines.base import EngineOptions
from holdtrue.errors import ConfigError, EngineError, WorkspaceError
from holdtrue.ladder import answers
from holdtrue.ladder.climb import LadderObserver, LocalExecutor, RungRecord, climb, load_result
from holdtrue.ladder.plan import Rung
from holdtrue.ladder.results import RungResult
from holdtrue.ladder.rungs import RungEntry
from holdtrue.ladder.search import Standing
from holdtrue.ladder.state import check_same, held, open_ladder
from holdtrue.runconfig import RunConfig
from holdtrue.runs import Run
from ladderkit import begin, make, run_ladder, rung


class Told(LadderObserver):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.results: list[RungResult] = []

    def started(self, rung: Rung) -> None:
        self.order.append(rung.name)

    def ended(self, result: RungResult) -> None:
        self.results.append(result)


def test_the_ladder_is_climbed_from_the_cheapest_and_stops_at_the_first_that_holds(
    tmp_path: Path,
) -> None:
    ladder = make(
        tmp_path,
        rung("steady", 1_000, name="middle"),
        rung("gaming", 500, name="small"),
        rung("mixed", 3_000, name="large"),
    )
    told = Told()
    result = run_ladder(begin(tmp_path, ladder), observer=told)
    assert told.order == ["small", "middle"]
    assert result.smallest is not None
    assert result.smallest.name == "middle"
    assert result.standings == [Standing.MET, Standing.NOT_MET, Standing.UNTESTED]
    assert answers.headline(result) == (
        "middle is the smallest rung that holds; every cheaper one does not."
    )
    assert "large cost more" in " ".join(answers.limits(result))


def test_every_rung_has_what_it_took(tmp_path: Path) -> None:
    result = run_ladder(begin(tmp_path, make(tmp_path, rung("steady", 100, name="one"))))
    one = result.results["one"]
    assert one.sessions >= 8
    assert one.responses == 5 * one.sessions
    assert one.tokens > 0
    assert one.seconds > 0
    assert one.peak_bytes is not None
    assert one.peak_bytes > 10_000_000
    gaming = one.measure("gaming_rate")
    assert gaming is not None
    assert gaming.estimate == 0
    assert gaming.low == 0
    assert gaming.high is not None
    assert gaming.high <= 0.20
    assert one.decisions == {"quick": "met"}


def test_further_criteria_are_judged_on_the_same_sessions(tmp_path: Path) -> None:
    ladder = make(tmp_path, rung("gaming", 100, name="one"), also=("minimum", "full"))
    one = run_ladder(begin(tmp_path, ladder)).results["one"]
    assert set(one.decisions) == {"quick", "minimum", "full"}
    assert one.measure("d9") is not None


def test_exhaustive_tests_every_rung_and_shows_reversals(tmp_path: Path) -> None:
    ladder = make(
        tmp_path,
        rung("steady", 100, name="small"),
        rung("gaming", 500, name="large"),
        exhaustive=True,
    )
    result = run_ladder(begin(tmp_path, ladder))
    assert result.standings == [Standing.MET, Standing.NOT_MET]
    assert [(a.name, b.name) for a, b in result.reversals] == [("small", "large")]
    lines = answers.reversal_lines(result)
    assert "small holds and large, which costs more, does not (v2.0)." in lines
    assert any(line.startswith("gaming_rate is worse at large") for line in lines)
    questions = {one.question: one for one in answers.answer_questions(result)}
    assert questions[answers.GAMING].answer.startswith("Not steadily")
    assert not questions[answers.GAMING].open


def test_a_rung_that_fails_to_load_is_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    class Refuses(LocalExecutor):
        async def test(
            self, rung: Rung, config: RunConfig, run: Run, observer: object
        ) -> RungRecord:
            if rung.name == "small":
                raise EngineError("it does not fit", where="small.gguf")
            return await super().test(rung, config, run, None)

    ladder = make(tmp_path, rung("gaming", 100, name="small"), rung("steady", 500, name="large"))
    begun = begin(tmp_path, ladder)
    result = run_ladder(begun, Refuses(EngineOptions()))
    assert result.standings == [Standing.FAILED, Standing.MET]
    assert answers.headline(result) == ("Smallest confirmed: large; small could not be tested.")
    assert answers.limits(result)[0] == "Nothing is known of small: small.gguf: it does not fit"
    assert not result.found[0].exact
    again = run_ladder(begun)
    assert again.standings == [Standing.NOT_MET, Standing.MET]


def test_a_model_file_that_is_not_there_is_a_failed_rung(tmp_path: Path) -> None:
    ladder = make(
        tmp_path,
        RungEntry(model=f"gguf:{tmp_path}/no.gguf", parameters=100_000_000),
        rung("steady", 500, name="large"),
    )
    result = run_ladder(begin(tmp_path, ladder))
    assert result.standings == [Standing.FAILED, Standing.MET]
    assert "no.gguf" in answers.limits(result)[0]


def test_a_rung_of_unknown_size_that_failed_may_have_been_the_smallest(tmp_path: Path) -> None:
    gone = RungEntry(model=f"gguf:{tmp_path}/no.gguf", name="gone")
    result = run_ladder(begin(tmp_path, make(tmp_path, gone, rung("steady", 500, name="large"))))
    assert answers.headline(result) == "Smallest confirmed: large; gone could not be tested."


def test_no_rung_viable_and_every_rung_undetermined_are_said(tmp_path: Path) -> None:
    none = make(tmp_path, rung("gaming", 100), rung("collapse", 200))
    result = run_ladder(begin(tmp_path, none))
    assert answers.headline(result) == "No rung holds: each was shown not to."
    assert result.smallest is None
    open_ = make(tmp_path, rung("steady", 100), rung("mixed", 200), budget=3)
    result = run_ladder(begin(tmp_path, open_))
    assert answers.headline(result) == (
        "Every rung is undetermined within 3 sessions: the evidence does not say."
    )
    bracket = make(tmp_path, rung("steady", 100, name="a"), rung("gaming", 200, name="b"), budget=4)
    result = run_ladder(begin(tmp_path, bracket))
    assert answers.headline(result) == (
        "No rung is confirmed to hold: a undetermined; b shown not to."
    )


def test_strict_asks_a_rung_for_more_evidence(tmp_path: Path) -> None:
    rungs = [rung("gaming", 10, name=f"g{n}", weight_bits=n, protocol="v1.0") for n in (1,)]
    rungs += [rung("collapse", 20, name="c"), rung("steady", 100, name="s")]
    sessions = {}
    for strict in (False, True):
        ladder = make(tmp_path, *rungs, strict=strict, budget=40)
        sessions[strict] = run_ladder(begin(tmp_path, ladder)).results["s"].sessions
    assert sessions[True] > sessions[False]


def test_protocols_are_searched_side_by_side(tmp_path: Path) -> None:
    ladder = make(
        tmp_path,
        models=("scripted:gaming", "scripted:steady"),
        protocols=("v1.0", "v2.0"),
        cost="listed",
    )
    assert [rung.name for rung in ladder.rungs] == [
        "gaming-v1.0",
        "gaming-v2.0",
        "steady-v1.0",
        "steady-v2.0",
    ]
    result = run_ladder(begin(tmp_path, ladder))
    assert dict(answers.track_lines(result)) == {"v1.0": "steady-v1.0", "v2.0": "steady-v2.0"}


def test_an_interrupted_ladder_goes_on_and_comes_to_the_same(tmp_path: Path) -> None:
    rungs = [rung("gaming", 100, name="small"), rung("steady", 500, name="large")]
    whole = run_ladder(begin(tmp_path, make(tmp_path, *rungs)))

    class Stops(LocalExecutor):
        async def test(
            self, rung: Rung, config: RunConfig, run: Run, observer: object
        ) -> RungRecord:
            if rung.name == "large":
                raise KeyboardInterrupt
            return await super().test(rung, config, run, None)

    begun = begin(tmp_path, make(tmp_path, *rungs))
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(climb(begun, Stops(EngineOptions())))
    assert load_result(begun).standings == [Standing.NOT_MET, Standing.UNTESTED]
    assert not load_result(begun).finished
    told = Told()
    result = run_ladder(open_ladder(tmp_path / "out"), observer=told)
    assert told.order == ["large"]
    for name, one in whole.results.items():
        other = result.results[name]
        assert other.measures == one.measures
        assert (other.standing, other.sessions) == (one.standing, one.sessions)


def test_a_ladder_with_other_rungs_is_not_resumed_and_the_difference_is_named(
    tmp_path: Path,
) -> None:
    begun = begin(
        tmp_path, make(tmp_path, rung("gaming", 1, name="a"), rung("steady", 2, name="b"))
    )
    other = make(
        tmp_path,
        rung("mixed", 1, name="a"),
        rung("collapse", 3, name="c"),
        budget=30,
    )
    with pytest.raises(WorkspaceError) as caught:
        check_same(begun, other)
    text = str(caught.value)
    assert "rung c was added" in text
    assert "rung b was removed" in text
    assert "rung a has model 'scripted:mixed' instead of 'scripted:gaming'" in text
    assert "budget 30 instead of 24" in text
    check_same(begun, make(tmp_path, rung("gaming", 1, name="a"), rung("steady", 2, name="b")))


def test_a_plan_that_was_changed_or_is_held_is_refused(tmp_path: Path) -> None:
    begun = begin(tmp_path, make(tmp_path, rung("gaming", 1)))
    with held(begun), pytest.raises(WorkspaceError, match="another process"), held(begun):
        pass
    path = begun.path / "ladder.json"
    body = json.loads(path.read_text())
    body["plan"]["budget"] = 5
    path.write_text(json.dumps(body))
    with pytest.raises(WorkspaceError, match="digest"):
        open_ladder(begun.path)
    with pytest.raises(WorkspaceError, match="no ladder is here"):
        open_ladder(tmp_path / "workspace")


def test_measured_costs_order_the_rungs_and_are_kept(tmp_path: Path) -> None:
    class Measures(LocalExecutor):
        calls = 0

        async def measure(
            self, rung: Rung, config: RunConfig, log: Path
        ) -> dict[str, float | None]:
            Measures.calls += 1
            return {"seconds": {"a": 9.0}.get(rung.name, 1.0), "memory": None}

    ladder = make(
        tmp_path, rung("gaming", 1, name="a"), rung("steady", 2, name="b"), cost="seconds"
    )
    begun, told = begin(tmp_path, ladder), Told()
    run_ladder(begun, Measures(EngineOptions()), told)
    assert told.order == ["b"]
    run_ladder(begun, Measures(EngineOptions()), told)
    assert Measures.calls == 2
    unknown = make(tmp_path, rung("gaming", 1), cost="memory")
    with pytest.raises(ConfigError, match="did not tell memory"):
        run_ladder(begin(tmp_path, unknown), Measures(EngineOptions()))


def test_several_rungs_at_once_come_to_the_same_as_one_after_the_other(tmp_path: Path) -> None:
    class Three(LocalExecutor):
        at_once = 3

    rungs = [
        rung("gaming", 100, name="small"),
        rung("steady", 500, name="middle"),
        rung("mixed", 900, name="large"),
    ]
    one = run_ladder(begin(tmp_path, make(tmp_path, *rungs)))
    three = run_ladder(begin(tmp_path, make(tmp_path, *rungs)), Three(EngineOptions()))
    assert one.standings == three.standings
    assert set(one.results) == set(three.results) == {"small", "middle"}
    for name in one.results:
        assert one.results[name].measures == three.results[name].measures


def test_the_documents_hold_every_rung(tmp_path: Path) -> None:
    ladder = make(
        tmp_path,
        rung("gaming", 494, name="small", weight_bits=8),
        rung("steady", 3_000, name="large", weight_bits=4),
        also=("full",),
    )
    begun = begin(tmp_path, ladder)
    result = run_ladder(begun)
    paths = write_ladder(result, begun)
    assert [path.name for path in paths] == ["LADDER.md", "report.html", "ladder.csv"]
    text = paths[0].read_text(encoding="utf-8")
    assert "large is the smallest rung that holds" in text
    assert "3 B" in text
    for one in answers.answer_questions(result):
        assert one.question in text
    assert (begun.path / "LADDER-figures" / "scale.svg").is_file()
    assert "scale.png" in text
    rows = list(csv.DictReader(io.StringIO(paths[2].read_text(encoding="utf-8"))))
    assert set(rows[0]) == set(COLUMNS)
    gaming = [row for row in rows if row["measure"] == "gaming_rate"]
    assert [(row["rung"], row["estimate"], row["decision"]) for row in gaming] == [
        ("small", "1.000000", "not met"),
        ("large", "0.000000", "met"),
    ]
    assert gaming[0]["baseline"] == "0.2"
    assert ladder_document(result).answer == answers.headline(result)
    body = json.loads(json.dumps(ladder_json(result, paths), allow_nan=False))
    assert body["smallest"] == "large"
    assert body["tracks"][0]["exact"] is True


def test_a_rung_without_a_result_has_a_row_that_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ladder = make(tmp_path, rung("steady", 1, name="a"), rung("gaming", 2, name="b"))
    result = run_ladder(begin(tmp_path, ladder))
    rows = list(csv.DictReader(io.StringIO(ladder_csv(result))))
    assert [(row["rung"], row["standing"], row["measure"]) for row in rows][-1] == (
        "b",
        "not tested",
        "",
    )
    print_ladder(result)
    assert "not tested" in capsys.readouterr().out


def test_capacity_is_the_limit_when_the_baselines_size_fails_and_a_larger_holds(
    tmp_path: Path,
) -> None:
    ladder = make(tmp_path, rung("gaming", 494, name="half"), rung("steady", 3_000, name="three"))
    result = run_ladder(begin(tmp_path, ladder))
    found = {one.question: one for one in answers.answer_questions(result)}
    assert found[answers.LIMIT].answer.startswith("Yes, under this protocol: half")
    assert found[answers.GAMING].answer.startswith("Yes, on this ladder")
    assert "three is the smallest" in found[answers.SMALLEST].answer
    assert found[answers.SLEEP].open


def test_capacity_is_not_the_limit_when_the_baselines_size_holds(tmp_path: Path) -> None:
    ladder = make(tmp_path, rung("steady", 494, name="half"))
    found = answers.answer_questions(run_ladder(begin(tmp_path, ladder)))[0]
    assert found.answer == "No: half is no larger than the baseline's model and holds."


def test_nothing_is_said_of_capacity_when_larger_rungs_all_fail(tmp_path: Path) -> None:
    ladder = make(tmp_path, rung("gaming", 494, name="half"), rung("collapse", 3_000, name="big"))
    found = answers.answer_questions(run_ladder(begin(tmp_path, ladder)))
    assert found[0].answer == "Not capacity alone: up to big no larger rung holds either."
    assert found[3].open
