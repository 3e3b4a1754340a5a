"""What runs on a node: sessions one by one, one model at a time, errors as values."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdtrue.engines.base import Engine, EngineOptions
from holdtrue.engines.registry import open_engine
from holdtrue.executors import worker
from holdtrue.transcript import from_json
from ladderkit import make, rung


def test_sessions_come_one_by_one_and_in_order(tmp_path: Path) -> None:
    ladder = make(tmp_path, rung("steady", 1, name="one"))
    config = ladder.run_config(ladder.rungs[0])
    items = list(worker.hold(config, [3, 1, 2], EngineOptions()))
    found = [from_json(one["transcript"], source="") for one in items if "transcript" in one]
    assert [one.session for one in found] == [3, 1, 2]
    assert found[1].seed == config.plan(1).seed
    assert items[-1]["peak"][0] > 0
    worker.free()


def test_a_model_is_kept_for_the_next_batch_and_freed_before_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def opening(model: str, options: EngineOptions) -> Engine:
        opened.append(model)
        return open_engine(model, options)

    monkeypatch.setattr(worker, "open_engine", opening)
    ladder = make(tmp_path, rung("steady", 1, name="a"), rung("gaming", 2, name="b"))
    first, second = (ladder.run_config(one) for one in ladder.rungs)
    told = [list(worker.hold(config, [1], EngineOptions())) for config in (first, first, second)]
    assert opened == ["scripted:steady", "scripted:gaming"]
    assert ["preflight" in items[0] for items in told] == [True, False, True]
    worker.free()
    list(worker.hold(second, [2], EngineOptions()))
    assert opened[-1] == "scripted:gaming"
    assert len(opened) == 3
    worker.free()


def test_a_model_that_cannot_be_loaded_is_told_as_a_value(tmp_path: Path) -> None:
    ladder = make(tmp_path, rung("steady", 1, name="a"))
    config = ladder.run_config(ladder.rungs[0]).model_copy(update={"model": "gguf:/no.gguf"})
    items = list(worker.hold(config, [1], EngineOptions()))
    assert len(items) == 1
    assert "no.gguf" in items[0]["error"]
    assert "no.gguf" in worker.measure(config, EngineOptions())["error"]


def test_leaving_in_the_middle_leaves_the_worker_usable(tmp_path: Path) -> None:
    ladder = make(tmp_path, rung("steady", 1, name="a"))
    config = ladder.run_config(ladder.rungs[0])
    stream = worker.hold(config, range(1, 9), EngineOptions(concurrency=4))
    next(item for item in stream if "transcript" in item)
    stream.close()  # type: ignore[attr-defined]
    items = list(worker.hold(config, [1], EngineOptions(concurrency=4)))
    assert any("transcript" in item for item in items)
    worker.free()
