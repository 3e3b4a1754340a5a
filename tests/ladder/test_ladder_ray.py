"""Ladders on a Ray cluster of several nodes on this machine, one of which is killed."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

ray: Any = pytest.importorskip("ray")

from holdtrue.capacity import Observer  # noqa: E402
from holdtrue.engines.base import EngineOptions  # noqa: E402
from holdtrue.executors import ray as ray_executor  # noqa: E402
from holdtrue.executors.ray import RayExecutor  # noqa: E402
from holdtrue.ladder import answers  # noqa: E402
from holdtrue.ladder.climb import LadderObserver  # noqa: E402
from holdtrue.ladder.plan import Needs, Rung  # noqa: E402
from holdtrue.ladder.results import LadderResult  # noqa: E402
from holdtrue.ladder.search import Standing  # noqa: E402
from holdtrue.runconfig import RunConfig  # noqa: E402
from holdtrue.transcript import Transcript  # noqa: E402
from ladderkit import begin, make, run_ladder, rung  # noqa: E402

pytestmark = pytest.mark.extra
STORE = 80_000_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without processors of its own, so that every task runs on a node that can be lost."""
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "object_store_memory": STORE,
                "include_dashboard": False,
            },
        )
        for _ in range(2):
            made.add_node(num_cpus=1, object_store_memory=STORE)
        ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def same(one: LadderResult, other: LadderResult) -> bool:
    """Whether two ladders came to the same: standings, decisions, estimates, intervals, tokens."""
    keys = {"name", "standing", "decisions", "outcome", "sessions", "measures", "prompt_tokens"}
    left, right = (
        {name: known.model_dump(include=keys) for name, known in result.results.items()}
        for result in (one, other)
    )
    return left == right and one.standings == other.standings


RUNGS = (
    rung("gaming", 100, name="small"),
    rung("steady", 500, name="middle"),
    rung("mixed", 900, name="large"),
)


def test_a_cluster_comes_to_the_same_as_this_process(cluster: Any, tmp_path: Path) -> None:
    here = run_ladder(begin(tmp_path, make(tmp_path, *RUNGS)))
    there = run_ladder(begin(tmp_path, make(tmp_path, *RUNGS)), RayExecutor(EngineOptions()))
    assert same(here, there)
    assert there.results["small"].peak_bytes


def test_rungs_together_come_to_the_same_as_one_after_the_other(
    cluster: Any, tmp_path: Path
) -> None:
    here = run_ladder(begin(tmp_path, make(tmp_path, *RUNGS)))
    executor = RayExecutor(EngineOptions(), at_once=3, batches=1)
    there = run_ladder(begin(tmp_path, make(tmp_path, *RUNGS)), executor)
    assert same(here, there)


def test_needs_that_no_node_has_are_a_failed_rung(cluster: Any, tmp_path: Path) -> None:
    ladder = make(tmp_path, rung("gaming", 100, name="small", needs=Needs(gpus=4)))
    result = run_ladder(begin(tmp_path, ladder), RayExecutor(EngineOptions()))
    assert result.standings == [Standing.FAILED]
    assert "4 accelerators" in answers.limits(result)[0]


def test_a_model_that_no_node_can_load_is_a_failed_rung(cluster: Any, tmp_path: Path) -> None:
    ladder = make(tmp_path, rung("gaming", 100, name="small"))
    gone = ladder.rungs[0].model_copy(update={"model": "gguf:/nowhere/model.gguf"})
    begun = begin(tmp_path, ladder.model_copy(update={"rungs": (gone,)}))
    result = run_ladder(begun, RayExecutor(EngineOptions()))
    assert result.standings == [Standing.FAILED]
    assert "model.gguf" in (result.results["small"].reason or "")


def test_costs_are_measured_on_a_node(cluster: Any, tmp_path: Path) -> None:
    ladder = make(tmp_path, rung("gaming", 100, name="small"), cost="seconds")
    begun = begin(tmp_path, ladder)
    run_ladder(begun, RayExecutor(EngineOptions()))
    seconds = begun.costs()["small"]["seconds"]
    assert seconds is not None
    assert seconds > 0


class Kills(LadderObserver):
    """Kills the node of the running batch once its first session has come."""

    def __init__(self, cluster: Any, executor: RayExecutor) -> None:
        self.cluster, self.executor, self.killed = cluster, executor, ""

    def run_observer(self, rung: Rung, config: RunConfig) -> Observer:
        outer = self

        class Watch(Observer):
            def session(self, transcript: Transcript) -> None:
                if not outer.killed:
                    outer.kill()

        return Watch()

    def kill(self) -> None:
        busy = self.executor.busy[0]
        node = next(one for one in self.cluster.worker_nodes if one.node_id == busy)
        self.killed = busy
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        workers = raylet.children(recursive=True)
        self.cluster.remove_node(node, allow_graceful=False)
        for process in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()  # as a machine that goes away takes everything with it


@pytest.mark.filterwarnings("ignore")
def test_a_lost_node_costs_no_session_and_changes_no_verdict(cluster: Any, tmp_path: Path) -> None:
    """One batch of 40 sessions, read two at a time, so that its node is killed in the middle."""
    ladder = make(tmp_path, rung("mixed", 100, name="one"), batch=40, budget=40, mode="free")
    here = run_ladder(begin(tmp_path, ladder))
    executor = RayExecutor(EngineOptions(), batches=1)
    slow = {"num_returns": "streaming", "max_retries": 0, "_generator_backpressure_num_objects": 2}
    executor._hold = ray.remote(**slow)(ray_executor._hold)
    observer = Kills(cluster, executor)
    there = run_ladder(begin(tmp_path, ladder), executor, observer)
    assert observer.killed
    assert executor.lost == [observer.killed]
    assert executor.busy == []
    assert same(here, there)
    assert there.results["one"].sessions == 40
    cluster.add_node(num_cpus=1, object_store_memory=STORE)
