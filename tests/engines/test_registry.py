from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from gguf_factory import write_gguf

from holdtrue.engines.base import EngineOptions
from holdtrue.engines.llamacpp import LlamaCppEngine
from holdtrue.engines.registry import engines, open_engine
from holdtrue.errors import ConfigError, EngineError


def test_names_and_paths_of_gguf_files_open_the_embedded_engine(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    for name in ("smollm2-135m", "smollm2-135m@layers=20", f"gguf:{path}", str(path)):
        assert isinstance(open_engine(name), LlamaCppEngine)
    assert open_engine(str(path)).model == f"gguf:{path}"


def test_an_adapter_in_the_name_becomes_an_option(tmp_path: Path) -> None:
    engine = open_engine("smollm2-135m+some/adapter.gguf")
    assert engine.options.adapter == Path("some/adapter.gguf")
    assert engine.model == "smollm2-135m"
    with pytest.raises(ConfigError, match="given twice"):
        open_engine("smollm2-135m+a", EngineOptions(adapter=tmp_path))


@pytest.mark.parametrize(
    ("name", "told"),
    [("smollm2-135", "smollm2-135m"), ("nonsense", "gguf:"), ("ggguf:x", "unknown model")],
)
def test_an_unknown_name_is_answered_with_what_is_known(name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        open_engine(name)


def test_a_folder_without_model_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"config\.json"):
        open_engine(str(tmp_path))


def test_two_engines_of_one_name_are_refused() -> None:
    points = [EntryPoint("twin", value, "holdtrue.engines") for value in ("a:A", "b:B")]
    with pytest.raises(ConfigError, match="two engines are called 'twin'"):
        engines(points)
    assert list(engines(points[:1])) == ["twin"]
