from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdtrue.engines.modelname import ModelName, parse_model
from holdtrue.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smollm2-135m", ModelName("smollm2-135m")),
        ("smollm2-135m@layers=20", ModelName("smollm2-135m", {"layers": 20})),
        ("smollm2-135m@bits=8,layers=20", ModelName("smollm2-135m", {"layers": 20, "bits": 8})),
        ("smollm2-135m+sleep/cycle-002", ModelName("smollm2-135m", {}, "sleep/cycle-002")),
        ("m@bits=4+a/b", ModelName("m", {"bits": 4}, "a/b")),
        ("hf:Qwen/Qwen3-4B+a", ModelName("hf:Qwen/Qwen3-4B", {}, "a")),
        ("gguf:x.gguf@bits=8", ModelName("gguf:x.gguf", {"bits": 8})),
        ("openai:m@layers=2@http://h/v1", ModelName("openai:m@layers=2@http://h/v1")),
        ("vllm:a+b@http://h", ModelName("vllm:a+b@http://h")),
        ("scripted:steady", ModelName("scripted:steady")),
    ],
)
def test_a_name_has_a_base_an_ablation_and_an_adapter(text: str, expected: ModelName) -> None:
    assert parse_model(text) == expected


def test_a_file_may_have_the_marks_in_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "odd@bits=4+name.gguf"
    path.touch()
    assert parse_model(str(path)) == ModelName(str(path))
    assert parse_model(f"gguf:{path}") == ModelName(f"gguf:{path}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("m@layer=3", "Did you mean layers?"),
        ("m@bits=0", "from 1 to 32"),
        ("m@bits=4,bits=8", "twice"),
        ("m@layers=many", "whole number"),
        ("m@layers=99999999999999999999", "whole number"),
        ("  ", "empty"),
    ],
)
def test_an_impossible_ablation_is_refused_with_what_is_possible(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_model(text)
    assert told in str(error.value)


@given(
    st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True),
    st.dictionaries(st.sampled_from(["layers", "bits"]), st.integers(1, 32)),
    st.one_of(st.none(), st.from_regex(r"[a-z]+(/[a-z0-9-]+){0,3}", fullmatch=True)),
)
def test_a_name_survives_being_written_and_read(
    base: str, ablation: dict[str, int], adapter: str | None
) -> None:
    name = ModelName(base, ablation, adapter)
    assert parse_model(str(name)) == name


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        said = parse_model(text).base
    except ConfigError as error:
        said = error.message
    assert said
