"""Ladder files and lists of models: axes, names, tracks, sizes, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holdtrue.errors import ConfigError
from holdtrue.ladder.rungs import LadderFile, RungEntry, drafts
from holdtrue.ladder.sizes import Size, size_of
from holdtrue.tomlfile import load_toml
from ladderkit import make, rung


def names(**values: Any) -> list[str]:
    return [one.name for one in drafts(LadderFile(**values), default_protocol="v2.0")]


def test_axes_are_multiplied_out() -> None:
    found = drafts(
        LadderFile(
            models=("gguf:a-1b.gguf", "gguf:a-3b.gguf"),
            quantizations=("stored", 4),
            protocols=("v1.0", "v2.0"),
        ),
        default_protocol="v2.0",
    )
    assert len(found) == 8
    assert [one.name for one in found[:4]] == [
        "1B-v1.0",
        "1B-v2.0",
        "1B-bits4-v1.0",
        "1B-bits4-v2.0",
    ]
    assert found[2].model == "gguf:a-1b.gguf@bits=4"
    assert found[2].load_bits is None


def test_a_quantization_is_a_way_of_loading_for_transformers_models() -> None:
    found = drafts(
        LadderFile(models=("hf:org/model-7B",), quantizations=(4, 8)), default_protocol="v2.0"
    )
    assert [(one.name, one.model, one.load_bits) for one in found] == [
        ("7B-4bit", "hf:org/model-7B", 4),
        ("7B-8bit", "hf:org/model-7B", 8),
    ]


def test_models_of_one_size_are_called_by_their_names() -> None:
    assert names(models=("ollama:qwen2.5:0.5b", "hf:org/other-0.5B")) == [
        "ollama-qwen2.5-0.5b",
        "hf-org-other-0.5B",
    ]


def test_ablations_and_adapters_stand_in_the_names() -> None:
    assert names(models=("smollm2-135m@layers=20,bits=3", "smollm2-135m")) == [
        "135M-layers20-bits3",
        "135M",
    ]
    assert names(models=("smollm2-135m",), adapters=("none", "sleep/cycle-002")) == [
        "135M",
        "135M-cycle-002",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "no rung"),
        ({"models": ("scripted:a", "scripted:a")}, "two rungs are equal"),
        ({"models": ("scripted:a",), "quantizations": (4,)}, "cannot be chosen here"),
        ({"models": ("hf:a/b-1B",), "quantizations": (3,)}, "cannot be loaded in 3 bits"),
        ({"models": ("a.gguf@bits=2",), "quantizations": (4,)}, "names other bits"),
        ({"models": tuple(f"scripted:{n}" for n in range(201))}, "more than 200"),
        (
            {"rung": [{"model": "scripted:a", "name": "x"}, {"model": "scripted:b", "name": "X"}]},
            "two rungs are called X: scripted:a and scripted:b",
        ),
    ],
)
def test_what_is_no_ladder_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        names(**values)


def test_equal_rungs_under_two_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two rungs are equal"):
        make(tmp_path, rung("steady", 1, name="a"), rung("steady", 2, name="b"))


def test_tracks_tell_protocols_adapters_and_families_apart(tmp_path: Path) -> None:
    ladder = make(
        tmp_path,
        rung("steady", 1, name="a", family="F"),
        rung("steady", 1, name="b", family="F", protocol="v1.0"),
        rung("gaming", 1, name="c", family="G", adapter=str(tmp_path)),
        families_apart=True,
    )
    assert [one.track for one in ladder.rungs] == ["v2.0, F", "v1.0, F", "v2.0, with adapter, G"]


def test_rungs_without_a_size_need_another_order(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"steady(.|\n)*--cost listed"):
        make(tmp_path, models=("scripted:steady",))
    assert make(tmp_path, models=("scripted:steady",), cost="listed").rungs[0].size == Size()


def test_unknown_models_are_refused_before_anything_is_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no-such-model"):
        make(tmp_path, models=("no-such-model",))


def test_a_file_names_its_mistake(tmp_path: Path) -> None:
    path = tmp_path / "ladder.toml"
    path.write_text('schema = 1\nmodels = ["a"]\n[[rung]]\nmodel = "b"\nparametres = 3\n')
    with pytest.raises(ConfigError, match=r"line 5(.|\n)*parametres(.|\n)*parameters"):
        load_toml(path, LadderFile)
    path.write_text("schema = 1\nbudget = 0\n")
    with pytest.raises(ConfigError, match="budget"):
        load_toml(path, LadderFile)


def test_cost_is_active_parameters_times_bits() -> None:
    assert Size(parameters=30_000_000_000, active=3_000_000_000, bits=8).cost == pytest.approx(3.0)
    assert Size(parameters=1_000_000_000, bits=4).cost == pytest.approx(0.5)
    assert Size(parameters=1_000_000_000).cost == pytest.approx(2.0)
    assert Size().cost is None


def test_sizes_are_read_from_names_only_as_a_guess() -> None:
    found = size_of("ollama:qwen3:30b-a3b")
    assert (found.parameters, found.source) == (30_000_000_000, "name")
    assert size_of("openai:Qwen3-30B-A3B@http://localhost:1/v1").active == 3_000_000_000
    assert size_of("ollama:llama").source == "unknown"


def test_an_entry_overrides_what_is_known(tmp_path: Path) -> None:
    ladder = make(tmp_path, rung("steady", 7_000, active=1_000_000_000, weight_bits=4.5))
    size = ladder.rungs[0].size
    assert (size.active, size.bits, size.source) == (1_000_000_000, 4.5, "given")
    assert RungEntry(model="x").quantization == "stored"
