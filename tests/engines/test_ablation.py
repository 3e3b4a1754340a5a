"""Ablated copies, made from a tiny GGUF written here, so that every value can be checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from holdtrue.engines import ablation, rounding
from holdtrue.engines.ablation import (
    ablated_file,
    kept_layers,
    planned_size,
    read_ablation,
)
from holdtrue.engines.gguf_header import read_header
from holdtrue.engines.rounding import round_blocks
from holdtrue.errors import ConfigError, EngineError

LAYERS = 6


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDTRUE_CACHE", str(tmp_path / "cache"))


def write_model(
    path: Path, architecture: str = "llama", *, seed: int = 0, kind: str = "F32"
) -> Path:
    """Six layers of two matrices and a norm, an embedding; the norm of layer n is filled with n."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_array(f"{architecture}.attention.head_count_kv", [1, 2, 3, 4, 5, 6])
    writer.add_token_list(["a", "b", "c"])
    writer.add_file_type(0)

    def matrix(name: str, rows: int, columns: int) -> None:
        values = rng.normal(size=(rows, columns)).astype(np.float32)
        raw = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(name, gguf.quants.quantize(values, raw), raw_dtype=raw)

    matrix("token_embd.weight", 8, 64)
    for layer in range(LAYERS):
        matrix(f"blk.{layer}.attn_q.weight", 4, 64)
        matrix(f"blk.{layer}.ffn_gate_inp.weight", 2, 64)
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", np.full(64, layer, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tensors(path: Path) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def values(tensor: Any) -> Any:
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type)


def test_the_middle_is_cut_out_and_the_rest_numbered_anew(tmp_path: Path) -> None:
    base = write_model(tmp_path / "tiny.gguf")
    path = ablated_file(base, layers=3)
    found, original = tensors(path), tensors(base)
    assert [float(found[f"blk.{n}.attn_norm.weight"].data[0]) for n in range(3)] == [0, 4, 5]
    assert "blk.3.attn_norm.weight" not in found
    for new, old in enumerate((0, 4, 5)):
        kept = found[f"blk.{new}.attn_q.weight"].data
        assert np.array_equal(kept, original[f"blk.{old}.attn_q.weight"].data)
    fields = gguf.GGUFReader(path).fields
    assert int(fields["llama.block_count"].contents()) == 3
    assert fields["llama.attention.head_count_kv"].contents() == [1, 5, 6]
    assert fields["tokenizer.ggml.tokens"].contents() == ["a", "b", "c"]


def test_an_ablated_file_says_what_it_is(tmp_path: Path) -> None:
    base = write_model(tmp_path / "tiny.gguf")
    path = ablated_file(base, layers=4, bits=2)
    known = read_ablation(path)
    assert known is not None
    assert known.label == "layers=4,bits=2"
    assert known.kept == (0, 1, 4, 5)
    assert known.base == ablation.sha256_of(base)
    assert "not a trained model" in known.note
    assert "4 levels" in known.note
    # embedding 8x64 and 4 routers 2x64 and 4 norms of 64 at 32 bits, 4 matrices 4x64 at 3 bits
    planned = planned_size(read_header(base), layers=4, bits=2)
    full, rounded = 8 * 64 + 4 * 2 * 64 + 4 * 64, 4 * 4 * 64
    assert known.bits_per_weight == pytest.approx((32 * full + 3 * rounded) / (full + rounded))
    assert planned == (full + rounded, pytest.approx(known.bits_per_weight))
    name = gguf.GGUFReader(path).fields["general.name"].contents()
    assert name == "tiny (ablation: layers=4,bits=2)"
    assert read_ablation(base) is None


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_rounded_weights_take_no_more_levels_than_their_bits_allow(
    tmp_path: Path, bits: int
) -> None:
    base = write_model(tmp_path / "tiny.gguf")
    rounded = values(tensors(ablated_file(base, bits=bits))["blk.2.attn_q.weight"])
    for block in rounded.reshape(-1, 32):
        assert len(np.unique(block)) <= 2**bits


def test_more_bits_come_nearer_to_the_base(tmp_path: Path) -> None:
    base = write_model(tmp_path / "tiny.gguf")
    original = values(tensors(base)["blk.1.attn_q.weight"])
    errors = [
        float(
            np.abs(
                values(tensors(ablated_file(base, bits=b))["blk.1.attn_q.weight"]) - original
            ).mean()
        )
        for b in rounding.BITS
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01 < 0.3 < errors[0]


def test_rounding_leaves_embeddings_routers_and_norms_alone(tmp_path: Path) -> None:
    base = write_model(tmp_path / "tiny.gguf")
    before, after = tensors(base), tensors(ablated_file(base, bits=1))
    for name in ("token_embd.weight", "blk.0.ffn_gate_inp.weight", "blk.5.attn_norm.weight"):
        assert np.array_equal(before[name].data, after[name].data)
        assert before[name].tensor_type == after[name].tensor_type


def test_rounding_a_4_bit_file_to_4_bits_changes_no_weight(tmp_path: Path) -> None:
    base = write_model(tmp_path / "tiny.gguf", kind="Q4_1")
    before, after = tensors(base), tensors(ablated_file(base, bits=4))
    name = "blk.3.attn_q.weight"
    np.testing.assert_allclose(values(before[name]), values(after[name]), atol=2e-3)


def test_the_packing_is_what_gguf_reads_back(tmp_path: Path) -> None:
    base = write_model(tmp_path / "tiny.gguf")
    original = values(tensors(base)["blk.0.attn_q.weight"]).reshape(-1, 32)
    scale, low, level = round_blocks(original, 3)
    read = values(tensors(ablated_file(base, bits=3))["blk.0.attn_q.weight"]).reshape(-1, 32)
    np.testing.assert_allclose(read, low + scale * level, rtol=1e-6)


BLOCKS = arrays.arrays(
    np.float32, (3, 32), elements=st.floats(-100, 100, width=32, allow_subnormal=False)
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(BLOCKS, st.integers(1, 4))
def test_a_fit_is_never_worse_than_the_plain_range(blocks: Any, bits: int) -> None:
    top = 2**bits - 1
    low = blocks.min(axis=1, keepdims=True)
    scale = (blocks.max(axis=1, keepdims=True) - low) / top
    plain = low + scale * np.clip(np.rint((blocks - low) / np.where(scale > 0, scale, 1)), 0, top)
    fitted_scale, fitted_low, level = round_blocks(blocks, bits)
    assert level.max() <= top
    fitted = fitted_low + fitted_scale * level
    # scale and minimum are stored with 11 significant bits, which may cost a little
    slack = 2e-3 * np.abs(blocks).max() + 1e-6
    assert np.sqrt(np.square(blocks - fitted).mean()) <= (
        np.sqrt(np.square(blocks - plain).mean()) + slack
    )


def test_a_copy_is_made_once_and_again_when_the_base_changes(tmp_path: Path) -> None:
    base = write_model(tmp_path / "tiny.gguf")
    first = ablated_file(base, layers=2)
    stamp = first.stat().st_mtime_ns
    assert ablated_file(base, layers=2) == first
    assert first.stat().st_mtime_ns == stamp
    base.unlink()
    assert ablated_file(write_model(base, seed=1), layers=2) != first


def test_a_failed_copy_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write_model(tmp_path / "tiny.gguf")

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gguf.GGUFWriter, "write_tensor_data", full)
    with pytest.raises(EngineError, match="No space left"):
        ablated_file(base, bits=2)
    left = list((tmp_path / "cache" / "ablations").glob("*.gguf"))
    assert left == []


@pytest.mark.parametrize(
    ("total", "layers", "kept"),
    [(30, 24, [*range(12), *range(18, 30)]), (5, 2, [0, 4]), (4, 3, [0, 2, 3]), (3, 1, [2])],
)
def test_kept_layers_are_the_first_and_the_last(total: int, layers: int, kept: list[int]) -> None:
    assert list(kept_layers(total, layers)) == kept


def test_what_cannot_be_ablated_is_refused_with_what_can(tmp_path: Path) -> None:
    base = write_model(tmp_path / "tiny.gguf")
    with pytest.raises(ConfigError, match=r"has 6 layers(.|\n)*Possible: 1 to 5"):
        ablated_file(base, layers=6)
    with pytest.raises(ConfigError, match=r"7 bits(.|\n)*1, 2, 3, 4, 5, 8"):
        ablated_file(base, bits=7)
    with pytest.raises(ConfigError, match="changes layers or bits"):
        ablated_file(base)
    alternating = write_model(tmp_path / "other.gguf", "gemma2")
    with pytest.raises(ConfigError, match="gemma2"):
        ablated_file(alternating, layers=3)
    assert read_ablation(ablated_file(alternating, bits=3)) is not None


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(40))
    with pytest.raises(EngineError, match=r"broken\.gguf"):
        ablated_file(broken, bits=2)
    with pytest.raises(EngineError, match=r"missing\.gguf"):
        ablated_file(tmp_path / "missing.gguf", bits=2)
