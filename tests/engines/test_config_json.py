from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdtrue.engines import catalog
from holdtrue.engines.config_json import read_shape
from holdtrue.errors import EngineError


def config(kind: str, hidden: int, layers: int, heads: int, kv: int, inner: int, vocabulary: int,
           tied: bool, **more: Any) -> dict[str, Any]:  # fmt: skip
    return {
        "model_type": kind,
        "architectures": [f"{kind}ForCausalLM"],
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "intermediate_size": inner,
        "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
        **more,
    }


def folder(path: Path, body: Any) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(body if isinstance(body, str) else json.dumps(body))
    return path


MOE = {"head_dim": 128, "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768}
WIDE = {"head_dim": 128}
PUBLISHED = {
    "smollm2-135m": (134_515_008, config("llama", 576, 30, 9, 3, 1536, 49152, True)),
    "qwen2.5-0.5b": (494_032_768, config("qwen2", 896, 24, 14, 2, 4864, 151936, True)),
    "qwen2.5-7b": (7_615_616_512, config("qwen2", 3584, 28, 28, 4, 18944, 152064, False)),
    "qwen2.5-14b": (14_770_033_664, config("qwen2", 5120, 48, 40, 8, 13824, 152064, False)),
    "qwen3-0.6b": (596_049_920, config("qwen3", 1024, 28, 16, 8, 3072, 151936, True, **WIDE)),
    "qwen3-8b": (8_190_735_360, config("qwen3", 4096, 36, 32, 8, 12288, 151936, False, **WIDE)),
    "qwen3-30b-a3b": (
        30_532_122_624,
        config("qwen3_moe", 2048, 48, 32, 4, 6144, 151936, False, **MOE),
    ),
    "llama3.2-1b": (1_235_814_400, config("llama", 2048, 16, 32, 8, 8192, 128256, True)),
    "llama3.1-8b": (8_030_261_248, config("llama", 4096, 32, 32, 8, 14336, 128256, False)),
    "gemma3-1b": (
        999_885_952,
        config("gemma3_text", 1152, 26, 4, 1, 6912, 262144, True, head_dim=256),
    ),
    "phi3.5-mini": (3_821_079_552, config("phi3", 3072, 32, 32, 32, 8192, 32064, False)),
    "phi4": (14_659_507_200, config("phi3", 5120, 40, 40, 10, 17920, 100352, False)),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_count_of_weights_is_the_published_one(tmp_path: Path, name: str) -> None:
    published, body = PUBLISHED[name]
    shape = read_shape(folder(tmp_path / "m", body))
    entry = catalog.find(name)
    assert shape.parameters_total == published == entry.parameters
    assert shape.parameters_active == entry.active
    assert shape.weight_bytes == 2 * published
    assert entry.layers and entry.kv_heads and entry.head_dim  # noqa: PT018
    assert shape.kv_bytes_per_token == 4 * entry.layers * entry.kv_heads * entry.head_dim


def test_the_text_model_is_found_inside_an_omni_model(tmp_path: Path) -> None:
    text = config("qwen3_omni_moe_text", 2048, 48, 32, 4, 768, 152064, False, **MOE)
    body = {
        "architectures": ["Qwen3OmniMoeForConditionalGeneration"],
        "model_type": "qwen3_omni_moe",
        "dtype": "bfloat16",
        "thinker_config": {"text_config": text, "vision_config": {"hidden_size": 1152}},
        "talker_config": {"text_config": config("t", 1024, 20, 16, 2, 2048, 3072, False)},
    }
    shape = read_shape(folder(tmp_path / "m", body))
    entry = catalog.find("qwen3-omni-30b-a3b")
    assert shape.architecture == "Qwen3OmniMoeForConditionalGeneration"
    assert shape.parameters_total == entry.parameters
    assert shape.parameters_active == entry.active
    assert 3e9 < (shape.parameters_active or 0) < 3.5e9


@pytest.mark.parametrize(
    ("quantization", "bits"),
    [
        ({"quant_method": "gptq", "bits": 4}, 4),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 8),
        ({"quant_method": "fp8"}, 8),
        ({"quant_method": "mxfp4"}, 4.25),
        ({"quant_method": "x", "config_groups": {"g": {"weights": {"num_bits": 4}}}}, 4),
        ({"quant_method": "something new"}, 16),
    ],
)
def test_the_checkpoints_own_quantization_is_counted(
    tmp_path: Path, quantization: dict[str, Any], bits: float
) -> None:
    published, body = PUBLISHED["qwen2.5-0.5b"]
    shape = read_shape(folder(tmp_path / "m", {**body, "quantization_config": quantization}))
    assert shape.bits == pytest.approx(bits)
    assert shape.weight_bytes == pytest.approx(published * bits / 8, rel=1e-6)


def safetensors(path: Path, shapes: dict[str, list[int]], dtype: str = "BF16") -> None:
    header = {
        name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]}
        for name, shape in shapes.items()
    }
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)


def test_tensors_that_are_there_count_more_than_the_formula(tmp_path: Path) -> None:
    place = folder(tmp_path / "m", PUBLISHED["qwen2.5-0.5b"][1])
    safetensors(place / "model.safetensors", {"a": [10, 10], "b": [7]})
    shape = read_shape(place)
    assert (shape.parameters_total, shape.weight_bytes, shape.bits) == (107, 214, 16)


def test_of_an_omni_checkpoint_only_the_text_path_is_counted(tmp_path: Path) -> None:
    text = config("qwen3_omni_moe_text", 2048, 48, 32, 4, 768, 152064, False, **MOE)
    place = folder(
        tmp_path / "m",
        {"architectures": ["Qwen3OmniMoeForConditionalGeneration"], "thinker_config": text},
    )
    safetensors(place / "model.safetensors", {"thinker.model.w": [100], "talker.w": [900]})
    shape = read_shape(place)
    assert shape.weight_bytes == 200
    assert any("not loaded for text" in note for note in shape.notes)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    place = folder(tmp_path / "m", PUBLISHED["qwen2.5-0.5b"][1])
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (place / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(EngineError, match=r"model-00001-of-00002\.safetensors is missing"):
        read_shape(place)
    index = {"weight_map": {"a": "../../secret"}}
    (place / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(EngineError, match="no model has"):
        read_shape(place)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a model's configuration"),
        ('{"hidden_size": 1e300, "num_hidden_layers": 1}', "no model has"),
        ('{"hidden_size": ' + "9" * 5_000 + "}", "not valid JSON"),
        ('{"num_hidden_layers": -3}', "no model has"),
        (" " * 5_000_000, "larger than"),
    ],
)
def test_hostile_configurations_are_refused(tmp_path: Path, body: str, told: str) -> None:
    with pytest.raises(EngineError, match=told):
        read_shape(folder(tmp_path / "m", body))


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, struct.pack("<Q", 4) + b"[[[[", b"\2" * 99])
def test_a_damaged_safetensors_header_is_refused(tmp_path: Path, content: bytes) -> None:
    place = folder(tmp_path / "m", PUBLISHED["qwen2.5-0.5b"][1])
    (place / "model.safetensors").write_bytes(content)
    with pytest.raises(EngineError, match="sound"):
        read_shape(place)


def test_a_folder_without_configuration_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"Give the folder that holds the model's config\.json"):
        read_shape(tmp_path)


KEYS = st.sampled_from(
    ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "text_config",
     "thinker_config", "quantization_config", "num_experts", "architectures", "dtype", "head_dim",
     "mlp_only_layers", "tie_word_embeddings", "kv_lora_rank", "bits", "weights", "config_groups"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**12) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=8),
    max_leaves=15,
)


@settings(max_examples=300)
@given(st.dictionaries(KEYS, JSON))
def test_any_configuration_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, body: dict[str, Any]
) -> None:
    place = tmp_path_factory.getbasetemp() / "fuzzed"
    try:
        shape = read_shape(folder(place, body))
    except EngineError:
        return
    assert shape.parameters_total is None or shape.parameters_total >= 0
