"""The header of a GGUF file: what the model is, without its weights.

Reads files of strangers: every count is bounded by the bytes that are there, nothing is allocated
on the file's word, and long arrays (the vocabulary) are passed over. It does not check that the
weights are sound, only that the file is long enough to hold them.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from holdtrue.errors import EngineError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_KEYS = 65_536
MAX_TENSORS = 100_000
MAX_TEXT = 16_000_000
MAX_STRINGS = 2_000_000
KEPT_ARRAY = 4_096
MAX_KEPT = 500_000
MAX_DIMENSIONS = 4
MAX_SHARDS = 1_000
SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")

_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor: ``shape`` as GGUF has it (fastest dimension first), ``kind`` the ggml type."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def elements(self) -> int:
        count = 1
        for length in self.shape:
            count *= length
        return count


@dataclass(frozen=True)
class GgufHeader:
    """A model's header, all shards together.

    ``metadata`` holds scalars, texts and short arrays; a longer array is present with the value
    None. ``file_bytes`` is the size of all shards.
    """

    path: Path
    metadata: Mapping[str, Any]
    tensors: tuple[Tensor, ...]
    file_bytes: int
    shards: tuple[Path, ...] = field(default=())

    @property
    def architecture(self) -> str | None:
        value = self.metadata.get("general.architecture")
        return value if isinstance(value, str) else None

    @property
    def chat_template(self) -> str | None:
        value = self.metadata.get("tokenizer.chat_template")
        return value if isinstance(value, str) and value.strip() else None

    def number(self, key: str) -> int | None:
        """A positive whole number under ``ARCHITECTURE.key``; the largest where it is per layer."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        if isinstance(value, list):
            value = max((item for item in value if isinstance(item, int)), default=None)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**40:
            return None
        return value

    @property
    def context_length(self) -> int | None:
        """Tokens that the model was made for."""
        return self.number("context_length")

    @cached_property
    def parameters_total(self) -> int:
        """Weights in all tensors."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def parameters_active(self) -> int | None:
        """Weights that one token uses; None for a model without experts, where it is the total."""
        experts, used = self.number("expert_count"), self.number("expert_used_count")
        if not experts or not used or used > experts:
            return None
        routed = sum(tensor.elements for tensor in self.tensors if "_exps." in tensor.name)
        return self.parameters_total - routed + routed * used // experts

    @cached_property
    def weight_bytes(self) -> int:
        """Bytes of all tensors. Raises EngineError for a type that gguf does not know."""
        return sum(tensor_bytes(tensor, self.path) for tensor in self.tensors)

    @property
    def bits(self) -> float | None:
        """Mean bits per weight."""
        total = self.parameters_total
        return 8 * self.weight_bytes / total if total else None

    @property
    def kv_bytes_per_token(self) -> int | None:
        """Bytes of the key-value cache for one token at 16 bits, every layer counted as full."""
        layers, heads = self.number("block_count"), self.number("attention.head_count")
        if not layers or not heads:
            return None
        kv_heads = self.number("attention.head_count_kv") or heads
        width = (self.number("embedding_length") or 0) // heads
        key = self.number("attention.key_length") or width
        value = self.number("attention.value_length") or width
        return 2 * layers * kv_heads * (key + value) or None

    @property
    def keeps_prefixes(self) -> bool:
        """Whether a cache can be cut back to any token: not so with windows or a running state."""
        marks = (".sliding_window", ".ssm.", ".wkv.", ".shortconv.")
        return not any(mark in key for key in self.metadata for mark in marks)


def tensor_bytes(tensor: Tensor, path: Path) -> int:
    """Bytes of a tensor's data in its own type."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.kind)]
    except (ValueError, KeyError):
        raise _bad(path, f"tensor {tensor.name!r} has an unknown type ({tensor.kind})") from None
    return -(-tensor.elements // int(block)) * int(size)


def read_header(path: Path) -> GgufHeader:
    """The header of a GGUF model; give the first of several shards.

    Raises EngineError naming the file for one that is missing, no GGUF, cut off, of a version
    that is not read here, or implausible.
    """
    first = _read_one(path)
    count = first.metadata.get("split.count")
    if not isinstance(count, int) or count <= 1:
        return first
    headers = [first] + [_read_one(other) for other in _shards(path, count)[1:]]
    return GgufHeader(
        path=path,
        metadata=first.metadata,
        tensors=tuple(tensor for header in headers for tensor in header.tensors),
        file_bytes=sum(header.file_bytes for header in headers),
        shards=tuple(header.path for header in headers),
    )


def _shards(path: Path, count: int) -> list[Path]:
    match = SHARD.search(path.name)
    if match is None or int(match[2]) != count or count > MAX_SHARDS:
        raise _bad(path, f"it says it is one of {count} shards, its name does not")
    if int(match[1]) != 1:
        raise EngineError(
            f"this is shard {int(match[1])} of {count}",
            where=str(path),
            remedy="Give the first shard.",
        )
    stem = path.name[: match.start()]
    found = [path.with_name(f"{stem}-{i:05d}-of-{count:05d}.gguf") for i in range(1, count + 1)]
    for shard in found:
        if not shard.is_file():
            raise EngineError(
                f"shard {shard.name} is missing",
                where=str(path),
                remedy="All shards must lie in one folder.",
            )
    return found


def _read_one(path: Path) -> GgufHeader:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < 24:
                raise _bad(path, "it is too short to be a GGUF file")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(data, path).header()
    except FileNotFoundError:
        raise EngineError("no such file", where=str(path)) from None
    except IsADirectoryError:
        raise EngineError(
            "this is a folder, not a GGUF file",
            where=str(path),
            remedy="Give the .gguf file in it, or hf:FOLDER for a Hugging Face model.",
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise EngineError(f"cannot be read: {reason}", where=str(path)) from None


def _bad(path: Path, what: str) -> EngineError:
    return EngineError(
        f"not a sound GGUF file: {what}",
        where=str(path),
        remedy="Fetch or convert the model again.",
    )


class _Reader:
    """Reads the header's values one after the other, never past the end of the file."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data = data
        self.size = len(data)
        self.path = path
        self.at = 0
        self.order = "<"
        self.texts = 0
        self.strings = 0
        self.kept = 0

    def header(self) -> GgufHeader:
        if self.data[:4] != MAGIC:
            raise _bad(self.path, "it does not begin with GGUF")
        self.at = 4
        if self.data[4:6] == b"\0\0":
            self.order = ">"
        version = self.scalar("I")
        if version not in VERSIONS:
            raise _bad(self.path, f"version {version}; known are {VERSIONS}")
        tensors, keys = self.scalar("Q"), self.scalar("Q")
        if keys > MAX_KEYS or tensors > MAX_TENSORS:
            raise _bad(self.path, f"it claims {keys:,} keys and {tensors:,} tensors")
        metadata: dict[str, Any] = {}
        for _ in range(keys):
            key = self.text()
            metadata[key] = self.value(self.scalar("I"))
        listed = tuple(self.tensor() for _ in range(tensors))
        self._check_length(listed, metadata)
        return GgufHeader(self.path, metadata, listed, self.size)

    def scalar(self, code: str) -> Any:
        length = struct.calcsize(code)
        if self.at + length > self.size:
            raise _bad(self.path, "it ends in the middle of the header")
        value = struct.unpack_from(self.order + code, self.data, self.at)[0]
        self.at += length
        return value

    def text(self) -> str:
        length = self.scalar("Q")
        if length > self.size - self.at:
            raise _bad(self.path, "a text in the header is longer than the file")
        self.texts += length
        if self.texts > MAX_TEXT:
            raise _bad(self.path, "its header holds too much text")
        raw = self.data[self.at : self.at + length]
        self.at += length
        return raw.decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind])
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self.array()
        raise _bad(self.path, f"a value in the header has an unknown type ({kind})")

    def array(self) -> Any:
        kind, length = self.scalar("I"), self.scalar("Q")
        if code := _SCALARS.get(kind):
            width = struct.calcsize(code)
            if length * width > self.size - self.at:
                raise _bad(self.path, "an array in the header is longer than the file")
            if self.keeps(length):
                return [self.scalar(code) for _ in range(length)]
            self.at += length * width
            return None
        if kind != _STRING:  # arrays in arrays occur in no known model
            raise _bad(self.path, f"an array in the header has an unknown type ({kind})")
        self.strings += length
        if self.strings > MAX_STRINGS or 8 * length > self.size - self.at:
            raise _bad(self.path, "an array in the header is longer than the file")
        if self.keeps(length):
            return [self.text() for _ in range(length)]
        for _ in range(length):
            self.skip_text()
        return None

    def keeps(self, length: int) -> bool:
        """Whether an array is short enough to be kept, all that were kept before counted in."""
        if length > KEPT_ARRAY or self.kept + length > MAX_KEPT:
            return False
        self.kept += length
        return True

    def skip_text(self) -> None:
        length = self.scalar("Q")
        if length > self.size - self.at:
            raise _bad(self.path, "a text in the header is longer than the file")
        self.at += length

    def tensor(self) -> Tensor:
        name = self.text()
        dimensions = self.scalar("I")
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise _bad(self.path, f"tensor {name[:80]!r} has {dimensions} dimensions")
        shape = tuple(self.scalar("Q") for _ in range(dimensions))
        return Tensor(name, shape, self.scalar("I"), self.scalar("Q"))

    def _check_length(self, tensors: tuple[Tensor, ...], metadata: Mapping[str, Any]) -> None:
        """Whether the data of every tensor lies within the file."""
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
            raise _bad(self.path, f"alignment {alignment!r}")
        start = -(-self.at // alignment) * alignment
        ends = [one.offset + tensor_bytes(one, self.path) for one in tensors]
        end = start + max(ends, default=-start)
        if end > self.size:
            raise EngineError(
                f"the file is cut off: it has {self.size:,} bytes and should have {end:,}",
                where=str(self.path),
                remedy="Fetch it again.",
            )
