from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdtrue.engines.base import StopReason
from holdtrue.errors import TranscriptError
from holdtrue.persona import Persona
from holdtrue.protocol import Sampling
from holdtrue.transcript import Transcript, Turn, from_dict, from_json, read_transcript, to_json

PIM = Persona(name="Pim")


def transcript(*said: tuple[str, str], **kwargs: object) -> Transcript:
    turns = tuple(Turn(index=i, prompt=p, response=r) for i, (p, r) in enumerate(said, start=1))
    return Transcript(id="t", persona=PIM, turns=turns, **kwargs)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40)), max_size=4))
def test_what_is_written_is_read_back_equal_to_the_character(said: list[tuple[str, str]]) -> None:
    made = transcript(
        *[
            (p.encode("utf-8", "ignore").decode(), r.encode("utf-8", "ignore").decode())
            for p, r in said
        ]
    )
    assert from_json(to_json(made), source="x") == made


def test_a_newer_version_is_refused_with_a_remedy() -> None:
    body = json.loads(to_json(transcript()))
    body["version"] = 99
    with pytest.raises(TranscriptError) as caught:
        from_dict(body, source="f.json")
    assert caught.value.where == "f.json"
    assert "newer" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"turns": [{"index": 0, "prompt": "a", "response": "b"}]}, "turns.0.index"),
        ({"turns": [{"index": 1, "prompt": "a"}]}, "turns.0.response"),
        ({"seed": -1}, "seed"),
        ({"surprise": 1}, "surprise"),
        ({"persona": {"name": ""}}, "persona.name"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], key: str) -> None:
    body = {**json.loads(to_json(transcript(("a", "b")))), **change}
    with pytest.raises(TranscriptError, match=key.replace(".", r"\.")):
        from_dict(body, source="f.json")


def test_broken_json_deep_nesting_and_wrong_encoding_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    for content in (b"{", b"[" * 100_000, b"\xff\xfe{}", b"null", b"3"):
        path.write_bytes(content)
        with pytest.raises(TranscriptError) as caught:
            read_transcript(path)
        assert caught.value.where == str(path)
    with pytest.raises(TranscriptError, match="no such file"):
        read_transcript(tmp_path / "missing.json")


def test_a_session_repeated_at_temperature_zero_is_one_draw() -> None:
    cold = Sampling(temperature=0)
    one = transcript(("a", "b"), sampling=cold, seed=1)
    assert one.draw == transcript(("a", "b"), sampling=cold, seed=2).draw
    warm = Sampling(temperature=0.7)
    first = transcript(("a", "b"), sampling=warm, seed=1)
    assert first.draw != transcript(("a", "b"), sampling=warm, seed=2).draw
    assert first.draw == transcript(("a", "other reply"), sampling=warm, seed=1).draw


def test_an_arm_changes_with_persona_model_and_sampling_and_not_with_the_seed() -> None:
    base = transcript(("a", "b"), model="m", seed=1, sampling=Sampling())
    assert base.arm == transcript(("x", "y"), model="m", seed=2, sampling=Sampling()).arm
    assert base.arm != transcript(model="n", sampling=Sampling()).arm
    assert base.arm != transcript(model="m", sampling=Sampling(temperature=0.1)).arm
    other = Transcript(id="t", persona=Persona(name="Pam"), model="m", sampling=Sampling())
    assert base.arm != other.arm


def test_an_unrecorded_stop_reason_is_unknown() -> None:
    assert transcript(("a", "b")).turns[0].stop_reason is StopReason.UNKNOWN
