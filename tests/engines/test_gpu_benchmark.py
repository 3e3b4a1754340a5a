"""The GPU benchmark: its configuration is the published one, and its tiny form runs anywhere."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.extra
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = ROOT / "benchmarks" / "gpu_30b.py"
    spec = importlib.util.spec_from_file_location("gpu_30b", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["gpu_30b"] = module
    spec.loader.exec_module(module)
    return module


def test_the_published_configuration_has_the_published_number_of_weights(
    benchmark: ModuleType,
) -> None:
    from transformers import (
        Qwen3OmniMoeThinkerConfig,
        Qwen3OmniMoeThinkerForConditionalGeneration,
    )

    from holdtrue.engines import catalog
    from holdtrue.engines.hf_classes import text_only
    from holdtrue.engines.transformers import active_parameters

    config = Qwen3OmniMoeThinkerConfig(text_config=benchmark.PUBLISHED)
    with torch.device("meta"):
        model = text_only(Qwen3OmniMoeThinkerForConditionalGeneration)(config)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == benchmark.PARAMETERS == catalog.find("qwen3-omni-30b-a3b").parameters
    assert active_parameters(model, count) == catalog.find("qwen3-omni-30b-a3b").active


@pytest.mark.parametrize("bits", [16, 4])
def test_the_tiny_form_goes_the_whole_way(
    benchmark: ModuleType, bits: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if bits == 4:
        pytest.importorskip("bitsandbytes")
    out = tmp_path / "figures.json"
    arguments = ["--tiny", "--bits", str(bits), "--sessions", "1", "3", "--reply", "6"]
    assert benchmark.main([*arguments, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "a tiny configuration" in shown
    rows = json.loads(out.read_text())
    assert [row["sessions"] for row in rows] == [1, 3]
    assert all(row["tokens_per_second"] > 0 for row in rows)
    assert rows[0]["evaluated_per_session"] >= benchmark.SYSTEM_TOKENS + 5 * benchmark.PROMPT_TOKENS
    assert rows[1]["evaluated_per_session"] < rows[0]["evaluated_per_session"]
    held = rows[0]["bits_held"]
    if bits == 4:
        assert held < 16
        kinds = {
            type(module).__name__ for module in benchmark.build(benchmark.TINY, "cpu", 4).modules()
        }
        assert {"Linear4bit", "ParametrizationList"} <= kinds


def test_without_a_gpu_it_says_so_and_measures_nothing(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert benchmark.main([]) == 3
    captured = capsys.readouterr()
    assert "needs a CUDA GPU" in captured.err
    assert captured.out == ""
