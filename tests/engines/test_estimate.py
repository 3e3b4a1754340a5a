from __future__ import annotations

from pathlib import Path

import pytest
from gguf_factory import write_gguf

from holdtrue.engines import memory
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.config_json import Shape
from holdtrue.engines.estimate import estimate, judge
from holdtrue.engines.memory import Accelerator
from holdtrue.errors import ConfigError

BIG = Shape(
    parameters_total=30_000_000_000,
    parameters_active=3_000_000_000,
    bits=16,
    weight_bytes=60_000_000_000,
    kv_bytes_per_token=100_000,
)


def with_memory(monkeypatch: pytest.MonkeyPatch, free: int, card: int | None = None) -> None:
    cards = () if card is None else (Accelerator("a card", card, 0),)
    monkeypatch.setattr(memory, "available", lambda: free)
    monkeypatch.setattr(memory, "accelerators", lambda: cards)


def guess(options: EngineOptions | None = None, engine: str = "transformers", **more: int):
    sizes = {"context": 2_048, "lanes": 8, **more}
    return judge("m", engine, BIG, options or EngineOptions(), **sizes)


def test_weights_cache_and_the_rest_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 200 * 10**9)
    made = guess()
    assert made.kv_bytes == 100_000 * 2_048 * 8
    assert made.memory_bytes == 60_000_000_000 + made.kv_bytes + made.overhead_bytes
    assert made.fits is True


def test_what_does_not_fit_is_answered_with_what_would(monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 40 * 10**9)
    assert guess().fits is False
    assert guess().advice == ("fewer bits: --bits 8 takes about 33.5 GB",)
    assert guess(engine="llamacpp").advice == ("fewer bits: a GGUF of 8 bits takes about 33.5 GB",)
    with_memory(monkeypatch, 61 * 10**9)
    assert "fewer conversations" not in guess().advice[0]
    with_memory(monkeypatch, 62 * 10**9)
    assert guess().advice[0] == "fewer conversations at once: --concurrency 5"
    with_memory(monkeypatch, 10 * 10**9)
    assert guess().advice[0].startswith("a smaller model")


def test_an_accelerator_too_small_may_share_with_main_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_memory(monkeypatch, 100 * 10**9, card=24 * 10**9)
    made = guess()
    assert made.device == "a card"
    assert made.fits is False
    assert any("--device auto" in line for line in made.advice)
    assert guess(EngineOptions(device="cpu")).fits is True
    assert guess(EngineOptions(bits=4)).fits is True


def test_a_machine_of_unified_memory_counts_its_main_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 100 * 10**9)
    monkeypatch.setattr(memory, "accelerators", lambda: (Accelerator("unified", None, None),))
    assert guess().device == "main memory"
    assert guess().fits is True


def test_a_gguf_file_is_estimated_from_its_header(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    made = estimate(str(path))
    assert made is not None
    assert made.engine == "llamacpp"
    assert made.shape.parameters_total == 100 * 64 + 32 * 64
    assert made.fits is True
    assert made.as_dict()["memory_bytes"] == made.memory_bytes


def test_a_catalog_model_is_estimated_before_it_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDTRUE_CACHE", str(tmp_path))
    embedded = estimate("smollm2-135m")
    omni = estimate("qwen3-omni-30b-a3b", EngineOptions(bits=4))
    assert embedded is not None
    assert omni is not None
    assert embedded.weight_bytes == 98_362_432
    assert 15e9 < (omni.weight_bytes or 0) < 20e9
    assert "not on this machine" in omni.shape.notes[0]


@pytest.mark.parametrize("name", ["scripted:steady", "openai:m@http://h", "hf:nobody/knows"])
def test_what_does_not_run_here_has_no_estimate(name: str) -> None:
    assert estimate(name) is None


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="smollm2-135m"):
        estimate("smollm2-135")


def test_this_machine_has_memory_and_this_process_holds_some() -> None:
    assert memory.available() > 0
    assert 0 < memory.resident() <= (memory.peak_resident() or 0) * 1.05


@pytest.mark.parametrize(
    ("limit", "expected"), [("1000000", 1_000_000 - 900_000 + 300_000), ("max", None)]
)
def test_the_limit_of_a_container_counts_and_cached_files_are_free(
    tmp_path: Path, limit: str, expected: int | None
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("900000")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 200000\nactive_file 100000\n")
    room = memory.available(tmp_path)
    assert room == expected if expected else room > 1_000_000
