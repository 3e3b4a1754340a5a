from __future__ import annotations

from dataclasses import replace

import pytest
from gguf_factory import write_gguf
from hypothesis import given
from hypothesis import strategies as st

from holdtrue.engines.base import EngineOptions
from holdtrue.engines.gguf_header import GgufHeader, read_header
from holdtrue.engines.llamacpp_layout import CONTEXT, Layout, plan_layout, usable_cores
from holdtrue.errors import ConfigError

PLENTY = 10**12


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> GgufHeader:
    return read_header(write_gguf(tmp_path_factory.mktemp("layout") / "m.gguf"))


@pytest.fixture(scope="module")
def large(header: GgufHeader) -> GgufHeader:
    """The same model with weights that no processor's cache holds."""
    tensor = replace(header.tensors[0], shape=(4_096, 1_000_000), kind=0)
    return replace(header, tensors=(*header.tensors, tensor))


def test_a_large_model_batches_eight_conversations_in_one_server(large: GgufHeader) -> None:
    layout = plan_layout(EngineOptions(), large, cores=2, available=PLENTY)
    assert layout == Layout(1, 8, 2, CONTEXT, replayable=False)


def test_a_small_model_gets_a_replayable_server_a_core(header: GgufHeader) -> None:
    layout = plan_layout(EngineOptions(), header, cores=2, available=PLENTY)
    assert layout == Layout(2, 1, 1, CONTEXT, replayable=True)


def test_more_conversations_than_cores_share_one_server(header: GgufHeader) -> None:
    layout = plan_layout(EngineOptions(concurrency=6), header, cores=2, available=PLENTY)
    assert layout == Layout(1, 6, 2, CONTEXT, replayable=False)


def test_one_conversation_at_a_time_is_replayable(large: GgufHeader) -> None:
    layout = plan_layout(EngineOptions(concurrency=1), large, cores=2, available=PLENTY)
    assert layout == Layout(1, 1, 2, CONTEXT, replayable=True)


def test_reproducible_output_has_servers_of_one_slot_and_one_thread(large: GgufHeader) -> None:
    layout = plan_layout(EngineOptions(reproducible=True), large, cores=4, available=PLENTY)
    assert (layout.servers, layout.slots, layout.threads, layout.replayable) == (4, 1, 1, True)


def test_an_accelerator_promises_no_replay(header: GgufHeader) -> None:
    options = EngineOptions(concurrency=1)
    layout = plan_layout(options, header, cores=2, available=PLENTY, on_accelerator=True)
    assert layout.replayable is False


def test_a_context_beyond_the_models_is_refused(header: GgufHeader) -> None:
    with pytest.raises(ConfigError, match="--context 4096 at most"):
        plan_layout(EngineOptions(context_length=8_192), header, cores=2, available=PLENTY)


@given(st.integers(1, 64), st.integers(0, 10**8), st.booleans())
def test_conversations_are_given_up_before_memory_runs_out(
    header: GgufHeader, cores: int, available: int, reproducible: bool
) -> None:
    options = EngineOptions(reproducible=reproducible)
    layout = plan_layout(options, header, cores=cores, available=available)
    assert 1 <= layout.lanes <= 8
    cache = (header.kv_bytes_per_token or 0) * layout.context * layout.lanes
    assert layout.lanes == 1 or cache + header.weight_bytes <= available
    assert layout.replayable == (layout.slots == 1)


def test_at_least_one_core_is_usable() -> None:
    assert usable_cores() >= 1
