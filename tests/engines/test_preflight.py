from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Sequence

import pytest

from holdtrue.engines.base import EngineOptions, Reply, StopReason
from holdtrue.engines.memory import LoadMeter, PeakMeter
from holdtrue.engines.preflight import Plan, run_preflight
from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.errors import GenerationError
from holdtrue.messages import Message


def test_the_sample_the_speed_and_the_forecast_are_recorded() -> None:
    engine = ScriptedEngine("scripted:steady", EngineOptions(concurrency=3), delay=0.02)
    facts = asyncio.run(run_preflight(engine, Plan(sessions=10, turns=5, tokens=48)))
    assert facts.sample_reply
    assert facts.sample_stop is StopReason.LENGTH
    assert facts.at_once == 3
    assert facts.tokens_per_second
    assert facts.tokens_per_second_alone
    assert facts.tokens_per_second > facts.tokens_per_second_alone
    assert facts.expected_minutes == pytest.approx(10 * 5 * 48 / facts.tokens_per_second / 60)
    body = json.loads(json.dumps(facts.as_dict(), allow_nan=False))
    assert body["model"] == "scripted:steady"
    assert body["sample"]["stop_reason"] == "length"
    assert body["expected_memory_bytes"] is None  # it loads nothing


def test_the_memory_measured_is_what_the_model_took() -> None:
    facts = asyncio.run(run_preflight(ScriptedEngine("scripted:steady"), Plan(1, 1, 1)))

    def measured(**known: int | None) -> float | None:
        rows = dataclasses.replace(facts, **known).rows
        return next(row.measured for row in rows if row.name == "memory")

    assert measured(memory_before=None, memory_after_load=None) is None
    process = {"memory_before": 100, "memory_after_load": 150, "memory_peak": 180}
    assert measured(**process, accelerator_peak=None) == 80
    assert measured(**process, accelerator_peak=7) == 7


def test_a_model_that_does_not_speak_is_a_finding_and_no_crash() -> None:
    def mute(_messages: Sequence[Message], _seed: int) -> Exception:
        return GenerationError("no voice")

    engine = ScriptedEngine("scripted:steady", fault=mute)
    facts = asyncio.run(run_preflight(engine, Plan(1, 1, 1)))
    assert facts.problem == "no voice"
    assert facts.sample_reply is None
    assert facts.tokens_per_second is None
    assert facts.expected_minutes is None


def test_a_speed_without_token_counts_stays_unknown() -> None:
    silent = Reply("words", StopReason.STOP)
    engine = ScriptedEngine("scripted:x", script=lambda _messages, _seed: silent)
    facts = asyncio.run(run_preflight(engine, Plan(1, 1, 1)))
    assert facts.sample_reply == "words"
    assert facts.tokens_per_second is None


def test_memory_that_is_taken_shows_in_the_meters() -> None:
    with LoadMeter() as load, PeakMeter(interval=0.001) as peak:
        block = bytearray(60_000_000)
        block[::4096] = b"x" * len(block[::4096])
    assert load.figures is not None
    assert load.figures.memory_after - load.figures.memory_before > 40_000_000
    assert peak.resident >= load.figures.memory_before + 40_000_000
