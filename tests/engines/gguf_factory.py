"""Small GGUF files for tests: with gguf's own writer, and by hand where they must be wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"


def write_gguf(
    path: Path,
    *,
    template: str | None = TEMPLATE,
    experts: tuple[int, int] | None = None,
    context: int = 4_096,
) -> Path:
    """A llama of two layers, eight wide, whose weights nobody should run."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(context)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_token_list([f"t{i}" for i in range(5_000)])
    writer.add_array("short", [1, 2, 3])
    if template is not None:
        writer.add_chat_template(template)
    if experts:
        writer.add_expert_count(experts[0])
        writer.add_expert_used_count(experts[1])
        block = np.zeros((experts[0], 8, 64), dtype=np.float32)
        writer.add_tensor("blk.0.ffn_up_exps.weight", block)
    writer.add_tensor("token_embd.weight", np.zeros((100, 64), dtype=np.float16))
    quantized = gguf.quantize(np.ones((32, 64), dtype=np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("blk.0.attn_q.weight", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def start(tensors: int, keys: int, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


def tensor(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    dims = struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
    return text(name) + dims + struct.pack("<IQ", kind, offset)
