"""Qwen3-Omni-30B-A3B's text path on a GPU: memory, tokens a second, length of a session.

    python benchmarks/gpu_30b.py [--bits 16 4] [--sessions 1 8 32] [--out FILE]
    python benchmarks/gpu_30b.py --tiny        the same path, a tiny configuration, any machine

The thinker is built from its published configuration with random weights, on the device, and put
through the engine's own batching: five-turn sessions of the protocol's shape, with replies of
exactly --reply tokens. Random weights draw experts more evenly than trained ones, which costs a
small batch somewhat more memory traffic; what is said means nothing. "built in" is the time to
make the weights, not to read 61 GB from a disk.

Without --tiny it needs a CUDA GPU with room for the weights (62 GB in 16 bits; 4 bits end at about
18 GB, but are made from 16-bit tensors layer by layer), and says so where there is none.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from holdtrue.engines import hf_quant, memory
from holdtrue.engines.hf_batching import SlotBatcher
from holdtrue.engines.hf_classes import text_only
from holdtrue.engines.hf_forward import Forward
from holdtrue.engines.hf_loading import import_torch
from holdtrue.engines.hf_requests import Ending
from holdtrue.protocol import Sampling

# Source: config.json of Qwen/Qwen3-Omni-30B-A3B-Instruct, thinker_config.text_config.
PUBLISHED = {
    "hidden_size": 2048,
    "intermediate_size": 768,
    "moe_intermediate_size": 768,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "norm_topk_prob": True,
    "vocab_size": 152_064,
    "max_position_embeddings": 65_536,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 1_000_000.0,
        "mrope_section": [24, 20, 20],
    },
}
PARAMETERS = 30_532_646_912
TINY = {
    **PUBLISHED,
    "hidden_size": 64,
    "moe_intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "vocab_size": 512,
    "max_position_embeddings": 2_048,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10_000.0,
        "mrope_section": [4, 2, 2],
    },
}
SYSTEM_TOKENS, PROMPT_TOKENS, TURNS, WINDOW = 260, 30, 5, 6
NO_GPU = (
    "This benchmark needs a CUDA GPU, and torch sees none here. Nothing was measured.\n"
    "Run it with --tiny to put a tiny model of the same make through the same code on this machine."
)


@dataclass(frozen=True)
class Row:
    """One setting; bytes, seconds, tokens a second over all sessions."""

    bits: int
    sessions: int
    parameters: int
    bits_held: float
    built_seconds: float
    weights_bytes: int
    peak_bytes: int
    tokens_per_second: float
    session_seconds: float
    evaluated_per_session: float


def build(settings: dict[str, Any], device: str, bits: int) -> Any:
    """The thinker's text path with random weights, in 16 or 4 bits."""
    torch = import_torch()
    from transformers import Qwen3OmniMoeThinkerConfig, Qwen3OmniMoeThinkerForConditionalGeneration

    small = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2}
    config = Qwen3OmniMoeThinkerConfig(
        text_config=settings,
        vision_config={**small, "out_hidden_size": settings["hidden_size"]},
        audio_config={"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2},
    )
    config._attn_implementation = "sdpa"
    cls = text_only(Qwen3OmniMoeThinkerForConditionalGeneration)
    with torch.device("meta"):
        model = cls(config).to(torch.bfloat16 if device != "cpu" else torch.float32)
    _fill(torch, model, device, bits)
    model.eval()
    return model


def _fill(torch: Any, model: Any, device: str, bits: int) -> None:
    """Give every weight random numbers on the device, one module at a time."""
    random = torch.Generator(device=device).manual_seed(20261123)
    for module in list(model.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            fresh = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
            if name == "weight" and parameter.dim() == 1:
                fresh.fill_(1.0)  # norms
            else:
                fresh.normal_(0, 0.02, generator=random)
            setattr(module, name, torch.nn.Parameter(fresh, requires_grad=False))
        if bits == 4:
            hf_quant.quantize_experts(module, device, recurse=False)
    if bits == 4:
        _quantize_linears(torch, model, device)
    # Rotary tables are buffers: made anew, since those made on no device hold nothing.
    rotary = model.model.language_model.rotary_emb
    fresh = type(rotary)(model.config.get_text_config()).to(device)
    model.model.language_model.rotary_emb = fresh


def _quantize_linears(torch: Any, model: Any, device: str) -> None:
    """What bitsandbytes does as the engine loads: every linear layer but the last, in NF4."""
    import bitsandbytes as bnb

    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is not torch.nn.Linear or name == "lm_head":
                continue
            weight = bnb.nn.Params4bit(child.weight.data, requires_grad=False, quant_type="nf4")
            sizes = (child.in_features, child.out_features)
            linear = bnb.nn.Linear4bit(
                *sizes, bias=False, compute_dtype=child.weight.dtype, device="meta"
            )
            linear.weight = weight.to(device)
            setattr(module, name, linear)


async def measure(model: Any, *, sessions: int, reply: int) -> tuple[float, float, float]:
    """Tokens a second over all sessions, seconds of a session, prompt tokens evaluated in one."""
    context = min(4_096, model.config.get_text_config().max_position_embeddings)
    ending = Ending(frozenset(), (), context, str)
    batcher = SlotBatcher(Forward(model, context), ending, rows=sessions)
    random = np.random.default_rng(7)
    vocabulary = model.config.get_text_config().vocab_size
    system = random.integers(0, vocabulary, SYSTEM_TOKENS).tolist()
    prompts = random.integers(0, vocabulary, (sessions, TURNS, PROMPT_TOKENS)).tolist()
    sampling = Sampling(max_tokens=reply)

    async def session(number: int) -> float:
        started = time.monotonic()
        history: list[list[int]] = []
        for turn in range(TURNS):
            kept = [token for message in history[-WINDOW:] for token in message]
            tokens = [*system, *kept, *prompts[number][turn]]
            said = await batcher.ask(tokens, sampling, seed=100 * number + turn)
            history += [prompts[number][turn], said.tokens]
        return time.monotonic() - started

    try:
        await batcher.ask(system[:32], Sampling(max_tokens=4), seed=1)  # warm up
        evaluated = batcher.evaluated_tokens
        started = time.monotonic()
        lengths = await asyncio.gather(*(session(number) for number in range(sessions)))
        seconds = time.monotonic() - started
    finally:
        batcher.close()
    spoken = sessions * TURNS * reply
    new = (batcher.evaluated_tokens - evaluated) / sessions
    return spoken / seconds, float(np.mean(lengths)), new


def run(
    settings: dict[str, Any], device: str, bits: int, counts: list[int], reply: int
) -> list[Row]:
    """Build one model and measure it with each number of sessions."""
    torch = import_torch()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    started = time.monotonic()
    model = build(settings, device, bits)
    built = time.monotonic() - started
    parameters, held = hf_quant.weight_figures(model)
    rows = []
    for count in counts:
        speed, seconds, evaluated = asyncio.run(measure(model, sessions=count, reply=reply))
        peak = (
            torch.cuda.max_memory_allocated()
            if device == "cuda"
            else memory.peak_resident() or memory.resident()
        )
        rows.append(
            Row(
                bits=bits,
                sessions=count,
                parameters=parameters,
                bits_held=round(8 * held / parameters, 2),
                built_seconds=built,
                weights_bytes=held,
                peak_bytes=peak,
                tokens_per_second=speed,
                session_seconds=seconds,
                evaluated_per_session=evaluated,
            )
        )
    del model
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    return rows


def table(rows: list[Row], title: str) -> str:
    lines = [
        title,
        "",
        "| bits (held) | sessions | built in | weights | peak memory | tokens/s | a session "
        "| prompt tokens evaluated a session |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.bits} ({row.bits_held}) | {row.sessions} | {row.built_seconds:.1f} s "
        f"| {row.weights_bytes / 1e9:.3g} GB | {row.peak_bytes / 1e9:.3g} GB "
        f"| {row.tokens_per_second:.0f} | {row.session_seconds:.1f} s "
        f"| {row.evaluated_per_session:.0f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bits", type=int, nargs="+", choices=(16, 4), default=[16, 4])
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--reply", type=int, default=150, help="tokens of each reply")
    parser.add_argument("--tiny", action="store_true", help="a tiny configuration, on any machine")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args(arguments)
    torch = import_torch()
    on_gpu = torch.cuda.is_available()
    if not on_gpu and not given.tiny:
        print(NO_GPU, file=sys.stderr)
        return 3
    device = "cuda" if on_gpu else "cpu"
    settings = TINY if given.tiny else PUBLISHED
    rows: list[Row] = []
    for bits in given.bits:
        rows += run(settings, device, bits, given.sessions, given.reply)
    where = torch.cuda.get_device_name() if on_gpu else f"CPU, {platform.machine()}"
    what = "a tiny configuration" if given.tiny else "the published configuration"
    print(table(rows, f"{what}, random weights; {where}; torch {torch.__version__}"))
    if given.out:
        given.out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
