"""Merging: the merged model says what base and adapter say, in every form."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sleepkit import small_dataset
from tinygguf import make_tiny_gguf
from tinymodel import make_tiny

from holdtrue.engines.base import EngineOptions
from holdtrue.engines.registry import open_engine
from holdtrue.errors import ConfigError, EngineError
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling
from holdtrue.sleep import merge
from holdtrue.sleep.gguf_export import rotated, write_gguf_adapter, write_merged_gguf
from holdtrue.sleep.merge import convert_to_gguf, merge_folder
from holdtrue.sleep.train import TrainSettings, train

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
SETTINGS = TrainSettings(epochs=4, batch=2, learning_rate=2e-2, rank=4)
OPTIONS = EngineOptions()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A base that is a folder of transformers, and an adapter of it."""
    place = tmp_path_factory.mktemp("folder")
    base = make_tiny(place / "base")
    train(small_dataset(), base, place / "adapter", SETTINGS)
    return base, place / "adapter"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A base that is a GGUF file, and an adapter of it."""
    pytest.importorskip("peft")
    place = tmp_path_factory.mktemp("file")
    base = make_tiny_gguf(place / "base.gguf")
    train(small_dataset(), base, place / "adapter", SETTINGS)
    return base, place / "adapter"


def logits(model: str, adapter: Path | None = None) -> Any:
    """Of one prompt, through transformers."""
    import torch

    from holdtrue.engines.hf_loading import load_model
    from holdtrue.engines.hf_source import find_source

    options = EngineOptions(adapter=adapter)
    loaded = load_model(find_source(model, options), options)
    tokens = loaded.tokenizer("What do you notice?", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        return loaded.model(input_ids=torch.tensor([tokens])).logits.numpy()


def path_of(base: str) -> Path:
    return Path(base.partition(":")[2])


def test_a_merged_folder_says_what_base_and_adapter_say(
    folder: tuple[str, Path], tmp_path: Path
) -> None:
    base, adapter = folder
    merge_folder(adapter, tmp_path / "m", base=None, bits=32, options=OPTIONS)
    wanted, plain = logits(base, adapter), logits(base)
    assert np.abs(wanted - plain).max() > 0.1
    assert np.allclose(logits(f"hf:{tmp_path / 'm'}"), wanted, atol=1e-5)
    merge_folder(adapter, tmp_path / "half", base=None, bits=16, options=OPTIONS)
    assert np.abs(logits(f"hf:{tmp_path / 'half'}") - wanted).max() < 0.02
    origin = json.loads((tmp_path / "m" / merge.ORIGIN).read_text())
    assert origin["base"]["model"] == base


def test_a_base_from_a_gguf_file_becomes_a_folder_too(
    file: tuple[str, Path], tmp_path: Path
) -> None:
    base, adapter = file
    merge_folder(adapter, tmp_path / "m", base=None, bits=32, options=OPTIONS)
    assert np.allclose(logits(f"hf:{tmp_path / 'm'}"), logits(base, adapter), atol=1e-4)
    config = (tmp_path / "m" / "config.json").read_text()
    assert "quantization" not in config
    assert str(tmp_path) not in config


def test_a_merged_folder_is_a_model_that_speaks(folder: tuple[str, Path], tmp_path: Path) -> None:
    merge_folder(folder[1], tmp_path / "m", base=None, bits=16, options=OPTIONS)
    for name in (f"hf:{tmp_path / 'm'}", str(tmp_path / "m")):
        assert spoken(name)
    assert not [path for path in tmp_path.iterdir() if path.name != "m"]


def spoken(model: str) -> str:
    async def ask() -> str:
        said = [Message(Role.SYSTEM, "SAGE"), Message(Role.USER, "Question 0?")]
        options = EngineOptions(context_length=512, concurrency=1)
        async with open_engine(model, options) as engine:
            sampling = Sampling(temperature=0.0, max_tokens=24)
            return (await engine.generate(said, sampling, seed=1)).text

    return asyncio.run(ask())


@pytest.mark.parametrize(("bits", "near"), [(16, 0.02), (8, 0.2)])
def test_a_merged_gguf_says_what_base_and_adapter_say(
    file: tuple[str, Path], tmp_path: Path, bits: int, near: float
) -> None:
    base, adapter = file
    out = tmp_path / "merged.gguf"
    write_merged_gguf(adapter, path_of(base), out, bits=bits)
    wanted, plain = logits(base, adapter), logits(base)
    assert np.abs(wanted - plain).max() > 0.5
    assert np.abs(logits(f"gguf:{out}") - wanted).max() < near


def test_an_adapter_of_llama_cpp_holds_the_same_change_as_the_merged_file(
    file: tuple[str, Path], tmp_path: Path
) -> None:
    from gguf import GGUFReader, dequantize

    base, adapter = file
    write_gguf_adapter(adapter, path_of(base), tmp_path / "adapter.gguf")
    write_merged_gguf(adapter, path_of(base), tmp_path / "merged.gguf")
    lora = {one.name: one.data for one in GGUFReader(tmp_path / "adapter.gguf").tensors}
    before = {one.name: one for one in GGUFReader(path_of(base)).tensors}
    after = {one.name: one for one in GGUFReader(tmp_path / "merged.gguf").tensors}
    assert set(after) == set(before)
    changed = {name.removesuffix(".lora_a") for name in lora if name.endswith(".lora_a")}
    assert len(changed) == 2 * 7
    for name, one in before.items():
        old = dequantize(one.data, one.tensor_type)
        new = dequantize(after[name].data, after[name].tensor_type)
        if name in changed:
            old = old + 16.0 / 4 * lora[f"{name}.lora_b"] @ lora[f"{name}.lora_a"]
        assert np.allclose(new, old, atol=2e-3)


def test_the_embedded_engine_speaks_with_the_adapter_as_with_the_merged_file(
    file: tuple[str, Path], tmp_path: Path
) -> None:
    base, adapter = file
    write_gguf_adapter(adapter, path_of(base), tmp_path / "adapter.gguf")
    write_merged_gguf(adapter, path_of(base), tmp_path / "merged.gguf")
    adapted = spoken(f"{base}+{tmp_path / 'adapter.gguf'}")
    assert adapted == spoken(f"gguf:{tmp_path / 'merged.gguf'}")
    assert adapted != spoken(base)


def test_an_adapter_of_llama_cpp_is_refused_on_another_base(
    file: tuple[str, Path], tmp_path: Path
) -> None:
    write_gguf_adapter(file[1], path_of(file[0]), tmp_path / "adapter.gguf")
    other = make_tiny_gguf(tmp_path / "other.gguf", seed=1)
    with pytest.raises(EngineError, match="another base model"):
        spoken(f"{other}+{tmp_path / 'adapter.gguf'}")


def test_merging_onto_another_base_is_refused(
    file: tuple[str, Path], folder: tuple[str, Path], tmp_path: Path
) -> None:
    other = make_tiny_gguf(tmp_path / "other.gguf", seed=1)
    with pytest.raises(ConfigError, match="was trained on"):
        write_merged_gguf(file[1], path_of(other), tmp_path / "m.gguf")
    with pytest.raises(ConfigError, match="was trained on"):
        merge_folder(folder[1], tmp_path / "m", base=other, bits=16, options=OPTIONS)
    assert not (tmp_path / "m.gguf").exists()
    assert not (tmp_path / "m").exists()


def test_nothing_that_is_there_is_written_over(
    file: tuple[str, Path], folder: tuple[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "m.gguf").write_text("mine")
    with pytest.raises(ConfigError, match="there already"):
        write_merged_gguf(file[1], path_of(file[0]), tmp_path / "m.gguf")
    assert (tmp_path / "m.gguf").read_text() == "mine"
    with pytest.raises(ConfigError, match="there already"):
        merge_folder(folder[1], tmp_path, base=None, bits=16, options=OPTIONS)


def test_an_architecture_that_is_not_known_is_refused_by_name(
    file: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdtrue.sleep import gguf_export

    monkeypatch.setattr(gguf_export, "ARCHITECTURES", frozenset({"qwen3"}))
    with pytest.raises(ConfigError, match="architecture 'llama'"):
        write_merged_gguf(file[1], path_of(file[0]), tmp_path / "m.gguf")


def test_an_adapter_that_is_more_than_two_factors_is_refused(
    file: tuple[str, Path], tmp_path: Path
) -> None:
    import shutil

    copy = shutil.copytree(file[1], tmp_path / "adapter")
    config = json.loads((copy / "adapter_config.json").read_text())
    (copy / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
    with pytest.raises(ConfigError, match="use_dora"):
        write_gguf_adapter(copy, path_of(file[0]), tmp_path / "a.gguf")


def test_rows_are_put_where_transformers_takes_them_from() -> None:
    gguf = pytest.importorskip("transformers.modeling_gguf_pytorch_utils")

    rows = np.arange(24 * 3).reshape(24, 3)
    for heads in (1, 2, 3):
        turned = rotated(rows, heads)
        assert (gguf.LlamaTensorProcessor()._reverse_permute_weights(turned, heads) == rows).all()


def test_a_gguf_of_a_folder_needs_a_converter_and_names_it(
    folder: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge.shutil, "which", lambda name: None)
    with pytest.raises(EngineError, match=r"(?s)converter.*convert_hf_to_gguf\.py"):
        convert_to_gguf(folder[1], tmp_path / "m.gguf", base=None, bits=16, options=OPTIONS)


@pytest.mark.skipif(os.name == "nt", reason="a script is made executable")
def test_a_converter_on_the_path_is_given_the_merged_folder(
    folder: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "bin" / merge.CONVERTERS[0]
    tool.parent.mkdir()
    tool.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        "assert os.path.exists(os.path.join(sys.argv[1], 'model.safetensors'))\n"
        "if sys.argv[5] == 'q8_0': sys.exit('no such type here')\n"
        "open(sys.argv[3], 'w').write(' '.join(sys.argv[4:]))\n"
    )
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    convert_to_gguf(folder[1], tmp_path / "m.gguf", base=None, bits=16, options=OPTIONS)
    assert (tmp_path / "m.gguf").read_text() == "--outtype f16"
    with pytest.raises(EngineError, match="no such type here"):
        convert_to_gguf(folder[1], tmp_path / "n.gguf", base=None, bits=8, options=OPTIONS)
    assert not (tmp_path / "n.gguf").exists()
