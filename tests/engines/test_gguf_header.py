from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
from gguf_factory import start, tensor, text, write_gguf
from hypothesis import given, settings
from hypothesis import strategies as st

from holdtrue.engines.gguf_header import read_header
from holdtrue.errors import EngineError

UINT8, UINT32, STRING, ARRAY, UINT64 = 0, 4, 8, 9, 10


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    started = time.process_time()
    with pytest.raises(EngineError) as error:
        read_header(path)
    assert time.process_time() - started < 5  # a hang, not a slow machine
    assert str(path) in str(error.value)
    return str(error.value)


def test_a_header_tells_what_the_model_is(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "m.gguf"))
    assert header.architecture == "llama"
    assert header.context_length == 4_096
    assert header.parameters_total == 100 * 64 + 32 * 64
    assert header.parameters_active is None
    assert header.weight_bytes == 100 * 64 * 2 + 64 * 34
    assert header.bits == pytest.approx(8 * header.weight_bytes / header.parameters_total)
    assert header.kv_bytes_per_token == 2 * 2 * 2 * (16 + 16)
    assert header.metadata["tokenizer.ggml.tokens"] is None  # long: passed over
    assert header.metadata["short"] == [1, 2, 3]


def test_of_a_mixture_of_experts_a_token_uses_a_part(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "m.gguf", experts=(8, 2)))
    dense = 100 * 64 + 32 * 64
    assert header.parameters_total == dense + 8 * 8 * 64
    assert header.parameters_active == dense + 2 * 8 * 64


def test_shards_are_counted_together_and_a_missing_one_is_named(tmp_path: Path) -> None:
    def shard(number: int, split: bytes) -> Path:
        path = tmp_path / f"m-{number:05d}-of-00002.gguf"
        body = start(1, 1) + split + tensor(f"w{number}", (4,))
        body += b"\0" * (-len(body) % 32) + b"\0" * 16
        path.write_bytes(body)
        return path

    count = text("split.count") + struct.pack("<IH", 2, 2)
    first, second = shard(1, count), shard(2, count)
    assert read_header(first).parameters_total == 8
    assert [one.name for one in read_header(first).shards] == [first.name, second.name]
    with pytest.raises(EngineError, match="Give the first shard"):
        read_header(second)
    second.unlink()
    with pytest.raises(EngineError, match=r"m-00002-of-00002\.gguf is missing"):
        read_header(first)


def test_a_file_that_ends_early_says_how_much_is_missing(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    whole = path.read_bytes()
    assert "cut off" in refused(path, whole[:-100])
    assert "longer than the file" in refused(path, whole[:40])
    assert "middle of the header" in refused(path, whole[:28])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "too short"),
        (b"PK\x03\x04" + b"\0" * 100, "does not begin with GGUF"),
        (start(0, 0, version=1) + b"\0" * 8, "version 1"),
        (start(2**63, 1) + b"\0" * 8, "claims"),
        (start(0, 2**40), "claims"),
        (start(0, 1) + struct.pack("<Q", 2**62) + b"\0" * 8, "longer than the file"),
        (start(0, 1) + text("k") + struct.pack("<I", 77) + b"\0" * 8, "unknown type"),
        (
            start(0, 1) + text("k") + struct.pack("<IIQ", ARRAY, UINT8, 2**60),
            "longer than the file",
        ),
        (start(0, 1) + text("k") + struct.pack("<IIQ", ARRAY, STRING, 2**60), "longer than"),
        (start(0, 1) + text("k") + struct.pack("<IIQ", ARRAY, ARRAY, 1), "unknown type"),
        (start(1, 0) + tensor("w", (2**40, 2**40, 2**40)), "cut off"),
        (start(1, 0) + tensor("w", (4,), kind=999), "unknown type"),
        (start(1, 0) + text("w") + struct.pack("<I", 2**31), "dimensions"),
    ],
)
def test_implausible_headers_are_refused_at_once(tmp_path: Path, content: bytes, told: str) -> None:
    assert told in refused(tmp_path / "m.gguf", content)


def test_many_arrays_of_the_kept_length_do_not_eat_the_memory(tmp_path: Path) -> None:
    array = struct.pack("<IIQ", ARRAY, UINT8, 4_096) + b"\1" * 4_096
    body = start(0, 300) + b"".join(text(f"k{i}") + array for i in range(300))
    path = tmp_path / "m.gguf"
    path.write_bytes(body)
    values = read_header(path).metadata.values()
    assert sum(len(value) for value in values if value is not None) <= 500_000
    assert None in values


def test_absurd_numbers_in_the_header_are_not_believed(tmp_path: Path) -> None:
    keys = text("general.architecture") + struct.pack("<I", STRING) + text("llama")
    keys += text("llama.context_length") + struct.pack("<IQ", UINT64, 2**63)
    path = tmp_path / "m.gguf"
    path.write_bytes(start(0, 2) + keys)
    assert read_header(path).context_length is None


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="this is a folder"):
        read_header(tmp_path)
    with pytest.raises(EngineError, match="no such file"):
        read_header(tmp_path / "none.gguf")


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 40), st.integers(0, 255))
def test_no_damage_to_a_header_gets_past_the_reader(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, value: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.gguf"
    keys = text("general.architecture") + struct.pack("<I", STRING) + text("llama")
    keys += text("a") + struct.pack("<IIQ", ARRAY, UINT32, 2) + b"\0" * 8
    body = bytearray(start(1, 2) + keys + tensor("w", (4, 4)) + noise)
    body[at + 4] = value
    path.write_bytes(body)
    try:
        header = read_header(path)
    except EngineError:
        return
    assert header.parameters_total >= 0
