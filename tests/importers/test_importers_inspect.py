"""Inspect logs are read without Inspect, within limits, and a real log reads like one made here."""

from __future__ import annotations

import importlib.util
import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdtrue.engines.base import StopReason
from holdtrue.errors import TranscriptError
from holdtrue.importers import archive, read_any
from holdtrue.persona import load_persona
from holdtrue.transcript import Status

HEADER = {"version": 2, "status": "success", "eval": {"model": "lab/tiny"}}


def sample(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": "s1",
        "epoch": 1,
        "messages": [
            {"id": "m0", "role": "system", "content": "You are SAGE."},
            {"id": "m1", "role": "user", "content": "Where?"},
            {"id": "m2", "role": "assistant", "content": "Here."},
            {"id": "m3", "role": "user", "content": "Still?"},
            {"id": "m4", "role": "assistant", "content": "attachment://abc"},
        ],
        "attachments": {"abc": "Still here, and"},
        "events": [
            {"event": "model", "output": {"choices": [choice("m2", "stop")]}},
            {"event": "model", "output": {"choices": [choice("m4", "max_tokens")]}},
            {"event": "score"},
        ],
        "output": {"choices": [choice("m4", "max_tokens")]},
        "metadata": {"session": 12, "seed": 5},
        "started_at": "2026-01-02T03:04:05+00:00",
    }
    return {**body, **changes}


def choice(identity: str, stop: str) -> dict[str, Any]:
    return {"message": {"id": identity}, "stop_reason": stop}


def write(path: Path, members: dict[str, Any], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, value in members.items():
            made.writestr(name, value if isinstance(value, bytes) else json.dumps(value))
    return path


def write_zstandard(path: Path, name: str, packed: bytes, size: int) -> Path:
    """A zip of one zstandard member: stored bytes, then the method patched in both headers."""
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(name, packed)
    raw = bytearray(path.read_bytes())
    central = raw.index(b"PK\x01\x02")
    struct.pack_into("<H", raw, 8, archive.ZSTANDARD)
    struct.pack_into("<H", raw, central + 10, archive.ZSTANDARD)
    struct.pack_into("<I", raw, central + 24, size)
    path.write_bytes(raw)
    return path


def log(path: Path, *samples: dict[str, Any]) -> Path:
    members = {f"samples/{s['id']}_epoch_{s['epoch']}.json": s for s in samples}
    return write(path, {"header.json": HEADER, **members})


def test_a_sample_is_a_transcript_with_its_stop_reasons(tmp_path: Path) -> None:
    path = log(tmp_path / "a.eval", sample())
    (transcript,) = read_any([path])
    assert transcript.source == f"{path}#s1"
    assert (transcript.model, transcript.session, transcript.seed) == ("lab/tiny", 12, 5)
    assert transcript.persona == load_persona("sage")
    assert transcript.system == "You are SAGE."
    assert [(t.prompt, t.response) for t in transcript.turns] == [
        ("Where?", "Here."),
        ("Still?", "Still here, and"),
    ]
    stops = [turn.stop_reason for turn in transcript.turns]
    assert stops == [StopReason.STOP, StopReason.LENGTH]
    assert transcript.started == "2026-01-02T03:04:05+00:00"


def test_metadata_that_means_something_else_is_left_alone(tmp_path: Path) -> None:
    metadata = {"session": "soon", "seed": -1, "phase": 3, "model": ["a"], "persona": "BRAM"}
    (transcript,) = read_any([log(tmp_path / "a.eval", sample(metadata=metadata))])
    assert (transcript.session, transcript.seed, transcript.protocol) == (None, None, None)
    assert (transcript.model, transcript.persona.name) == ("lab/tiny", "BRAM")


def test_several_epochs_have_names_of_their_own(tmp_path: Path) -> None:
    path = log(tmp_path / "a.eval", sample(), sample(epoch=2))
    assert [t.source for t in read_any([path])] == [f"{path}#s1@1", f"{path}#s1@2"]


def test_a_sample_in_error_is_a_failed_session_with_the_turns_it_had(tmp_path: Path) -> None:
    error = {"message": "the server went away", "traceback": "…"}
    failed = sample(messages=sample()["messages"][:4], error=error)
    (transcript,) = read_any([log(tmp_path / "a.eval", failed)])
    assert (transcript.status, transcript.error) == (Status.FAILED, "the server went away")
    assert len(transcript.turns) == 1


def test_a_log_in_json_reads_like_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({**HEADER, "samples": [sample()]}))
    (transcript,) = read_any([path])
    (zipped,) = read_any([log(tmp_path / "a.eval", sample())])
    assert transcript.turns == zipped.turns
    assert transcript.source == f"{path}#s1"


def test_a_zstandard_member_is_read(tmp_path: Path) -> None:
    body = json.dumps({**HEADER, "samples": []}).encode()
    path = write_zstandard(tmp_path / "z.zip", "x.json", zstandard.compress(body), len(body))
    with archive.open_archive(path) as opened:
        assert opened.read("x.json") == body


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"messages": None}, "'messages'.*list, not null"),
        ({"messages": [{"role": "assistant", "content": 5}]}, r"messages\.0\.content"),
        ({"messages": [{"role": "wizard", "content": "a"}]}, "unknown role"),
        ({"messages": [{"role": "user", "content": "SAGE?"}]}, "says nothing"),
    ],
)
def test_a_wrong_sample_is_named_with_its_member(
    tmp_path: Path, change: dict[str, Any], expected: str
) -> None:
    path = log(tmp_path / "a.eval", sample(**change))
    with pytest.raises(TranscriptError, match=expected) as caught:
        read_any([path])
    assert caught.value.where == f"{path}, samples/s1_epoch_1.json"


def test_a_log_without_samples_or_header_says_so(tmp_path: Path) -> None:
    with pytest.raises(TranscriptError, match="holds no samples"):
        read_any([write(tmp_path / "a.eval", {"header.json": HEADER})])
    with pytest.raises(TranscriptError, match="missing from the log"):
        read_any([write(tmp_path / "b.eval", {"samples/s1_epoch_1.json": sample()})])
    members = {"header.json": b"\xff{", "samples/s1_epoch_1.json": sample()}
    with pytest.raises(TranscriptError, match=r"header\.json, line 1: not UTF-8"):
        read_any([write(tmp_path / "c.eval", members)])


def test_a_member_is_never_unpacked_beyond_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBER", 10_000)
    bomb = b" " * 1_000_000
    path = write(tmp_path / "a.eval", {"header.json": bomb, "samples/a.json": b"{}"})
    with pytest.raises(TranscriptError, match="more than 10,000 bytes"):
        read_any([path])
    small = write_zstandard(tmp_path / "z.zip", "x", zstandard.compress(bomb), 5)
    with archive.open_archive(small) as opened, pytest.raises(TranscriptError, match="more than"):
        opened.read("x")


def test_the_sum_of_members_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL", 5_000)
    path = log(tmp_path / "a.eval", *(sample(id=f"s{n}") for n in range(30)))
    with pytest.raises(TranscriptError, match="once unpacked"):
        read_any([path])


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1)
    with pytest.raises(TranscriptError, match="more than 1 members"):
        read_any([log(tmp_path / "a.eval", sample())])


def test_a_wrong_checksum_is_damage_not_data(tmp_path: Path) -> None:
    path = write(tmp_path / "a.eval", {"header.json": HEADER, "samples/a.json": sample()}, 0)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"Still here")
    raw[at : at + 5] = b"Never"
    path.write_bytes(raw)
    with pytest.raises(TranscriptError, match=r"samples/a\.json: is broken: Bad CRC"):
        read_any([path])


DAMAGE = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@DAMAGE
@given(at=st.integers(0, 2_000), junk=st.binary(min_size=1, max_size=6), zstd=st.booleans())
def test_a_damaged_archive_is_read_or_refused(
    tmp_path: Path, at: int, junk: bytes, zstd: bool
) -> None:
    if zstd:
        body = json.dumps(sample()).encode()
        path = write_zstandard(
            tmp_path / "a.eval", "samples/a.json", zstandard.compress(body), len(body)
        )
    else:
        path = log(tmp_path / "a.eval", sample())
    raw = path.read_bytes()
    at %= len(raw)
    path.write_bytes(raw[:at] + junk + raw[at + len(junk) :])
    try:
        found = read_any([path])
    except TranscriptError as error:
        if str(path) not in str(error):
            raise AssertionError("names no file") from error
        return
    assert all(transcript.turns for transcript in found)


EVALUATE = """
import sys
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model

output = ModelOutput.from_content("mockllm/model", "It is SAGE at the " + "very " * 60)
output.choices[0].stop_reason = "max_tokens"
output.usage = ModelUsage(input_tokens=3, output_tokens=4, total_tokens=7)
dataset = [Sample(id="only", input="Who is there?", metadata={"session": 4})]
model = get_model("mockllm/model", custom_outputs=[output])
(log,) = eval(Task(dataset=dataset), model=model, log_dir=sys.argv[1], display="none")
sys.exit(0 if log.status == "success" else 1)
"""


@pytest.mark.extra
def test_a_log_that_inspect_itself_wrote_is_read(tmp_path: Path) -> None:
    if importlib.util.find_spec("inspect_ai") is None:
        pytest.skip("needs inspect-ai")
    subprocess.run([sys.executable, "-c", EVALUATE, str(tmp_path)], check=True)
    (transcript,) = read_any([tmp_path])
    assert (transcript.source or "").endswith(".eval#only")
    assert transcript.turns[0].prompt == "Who is there?"
    assert transcript.turns[0].response == "It is SAGE at the " + "very " * 60
    assert transcript.turns[0].stop_reason is StopReason.LENGTH
    assert (transcript.model, transcript.session) == ("mockllm/model", 4)
