from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from holdtrue.cli.main import cli
from holdtrue.engines import memory
from holdtrue.errors import EngineError


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, [*words], standalone_mode=False, catch_exceptions=True)
    if done.exception is not None:
        raise done.exception
    return int(done.return_value or 0), done.output


def test_a_model_is_loaded_asked_and_measured() -> None:
    code, said = run("check", "scripted:steady")
    assert code == 0
    assert "tokens/s" in said
    assert "said:" in said
    code, said = run("check", "scripted:steady", "--json")
    assert json.loads(said)["engine"] == "scripted"


def test_an_estimate_loads_nothing_and_says_what_would_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 40 * 10**9)
    monkeypatch.setattr(memory, "accelerators", lambda: ())
    code, said = run("check", "qwen3-omni-30b-a3b", "--estimate-only")
    assert code == 4
    assert "--bits 8" in said
    code, said = run("check", "qwen3-omni-30b-a3b", "--estimate-only", "--json", "--bits", "4")
    assert code == 0
    assert json.loads(said)["fits"] is True
    assert run("check", "vllm:x", "--estimate-only")[0] == 0


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + b"\xff" * 100)
    with pytest.raises(EngineError, match=r"broken\.gguf") as error:
        run("check", str(path))
    assert error.value.exit_code == 4


def test_models_are_listed_with_their_memory_at_16_8_and_4_bits() -> None:
    code, said = run("models")
    assert code == 0
    assert "smollm2-135m" in said
    listed = json.loads(run("models", "--json")[1])["models"]
    omni = next(one for one in listed if one["name"] == "qwen3-omni-30b-a3b")
    assert omni["weight_bytes"]["16"] == 4 * omni["weight_bytes"]["4"]
    assert omni["source"] == "hf:Qwen/Qwen3-Omni-30B-A3B-Instruct"


def test_a_fetch_that_cannot_be_done_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDTRUE_CACHE", str(tmp_path))
    with pytest.raises(EngineError, match="offline is asked for"):
        run("check", "smollm2-135m", "--offline")
