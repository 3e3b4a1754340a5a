from __future__ import annotations

import os
from pathlib import Path

import pytest
from wheels import write_catalog

from holdtrue.engines import catalog
from holdtrue.engines.filehash import sha256_of
from holdtrue.engines.modelname import ModelName
from holdtrue.engines.registry import open_engine
from holdtrue.errors import ConfigError


def test_the_embedded_model_is_pinned_by_size_and_hash() -> None:
    entry = catalog.find("smollm2-135m")
    assert entry.bytes == 98_362_432
    assert str(entry.sha256).startswith("b179c9523d0e6a0f")
    assert entry.parameters == 134_515_008
    assert catalog.engine_of("smollm2-135m@layers=20") == "llamacpp"


def test_families_from_a_tenth_to_thirty_billion_weights_are_known() -> None:
    families = {entry.family for entry in catalog.entries().values()}
    assert {"SmolLM2", "Qwen2.5", "Qwen3", "Qwen3-Omni", "Llama", "Gemma", "Phi"} <= families
    omni = catalog.find("qwen3-omni-30b-a3b")
    assert 3e9 < (omni.active or 0) < omni.parameters / 9
    assert all(entry.licence for entry in catalog.entries().values())


def test_a_catalog_name_stands_for_its_source() -> None:
    name = catalog.resolve(ModelName("qwen3-4b", {}, "a"))
    assert str(name) == "hf:Qwen/Qwen3-4B+a"
    assert catalog.resolve(ModelName("smollm2-135m")) == ModelName("smollm2-135m")
    assert catalog.engine_of("qwen3-4b") == "transformers"
    assert catalog.engine_of("nothing") is None


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="smollm2-135m"):
        catalog.find("smollm-135")


def test_entries_of_the_user_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "models.toml"
    path.write_text(
        '[[models]]\nname = "mine"\ntitle = "Mine"\nfamily = "Mine"\nlicence = "MIT"\n'
        'parameters = 7\nsource = "scripted:steady"\n'
    )
    monkeypatch.setenv("HOLDTRUE_MODELS", str(path))
    assert catalog.find("mine").weight_bytes(16) == 14
    assert open_engine("mine").facts().engine == "scripted"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ('name = "smollm2-135m"', "already known"),
        ('colour = "red"', "unknown key"),
        ("active = 2000", "more than parameters"),
        ('source = "hf:a/b"', "either source or"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, told: str
) -> None:
    path = write_catalog(tmp_path / "models.toml")
    text = path.read_text()
    if change.startswith("name"):
        text = text.replace('name = "tiny"', change)
    else:
        text = text.replace('title = "Nothing much"', f'title = "t"\n{change}')
    path.write_text(text)
    monkeypatch.setenv("HOLDTRUE_MODELS", str(path))
    with pytest.raises(ConfigError, match=told) as error:
        catalog.names()
    assert "models.toml" in str(error.value)


def test_a_remembered_hash_is_dropped_when_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDTRUE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    os.utime(path, (1_000, 1_000))
    first = sha256_of(path)
    store = tmp_path / "cache" / "hashes.json"
    assert first in store.read_text()
    path.write_bytes(b"two")
    assert sha256_of(path) != first
    store.write_text('{"broken')
    os.utime(path, (1_000, 1_000))
    assert len(sha256_of(path)) == 64
