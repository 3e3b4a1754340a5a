"""The embedded model, cut: it loads, speaks, says what it is, and leaves no memory behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from holdtrue.engines.base import EngineFacts, EngineOptions
from holdtrue.engines.memory import PeakMeter, release
from holdtrue.engines.registry import open_engine
from holdtrue.errors import ConfigError, GenerationError
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling

pytestmark = pytest.mark.model
CUT = "smollm2-135m@layers=27"


async def speak(model: str, *, tokens: int = 12) -> tuple[EngineFacts, Sequence[object]]:
    messages = [Message(Role.SYSTEM, "You are SAGE."), Message(Role.USER, "What do you notice?")]
    async with open_engine(model, EngineOptions(context_length=512)) as engine:
        replies = await asyncio.gather(
            *(
                engine.generate(messages, Sampling(max_tokens=tokens), seed=seed)
                for seed in range(4)
            ),
            return_exceptions=True,
        )
        return engine.facts(), replies


def test_a_cut_model_speaks_and_says_what_it_is() -> None:
    facts, replies = asyncio.run(speak(CUT))
    assert facts.ablation == "layers=27"
    assert facts.parameters_total == 123_894_720
    assert facts.source_hash
    # a cut model may stay silent now and then, but no reply may fail in another way
    assert all(
        isinstance(one, GenerationError) or not isinstance(one, Exception) for one in replies
    )
    assert any(getattr(one, "text", "") for one in replies)


def test_loading_rung_after_rung_leaves_no_memory_behind() -> None:
    """A reduced form of benchmarks/ladder_memory.py."""
    peaks = []
    for model in (CUT, "smollm2-135m", CUT, "smollm2-135m"):
        with PeakMeter() as peak:
            asyncio.run(speak(model, tokens=2))
        release()
        peaks.append(peak.resident)
    assert max(peaks[2:]) <= 1.2 * max(peaks[:2])


def test_more_layers_than_there_are_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"has 30 layers(.|\n)*1 to 29"):
        asyncio.run(speak("smollm2-135m@layers=31"))
