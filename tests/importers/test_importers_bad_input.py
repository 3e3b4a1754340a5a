"""Whatever is wrong in a file is one error that names file and place, never a crash."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdtrue.errors import TranscriptError
from holdtrue.importers import read_any
from holdtrue.persona import Persona, load_persona
from holdtrue.transcript import to_json

SAGE = load_persona("sage")
FINE = {"speaker": "SAGE", "text": "Here."}
ASK = {"speaker": "Ana", "text": "Where?"}


def failure(path: Path, persona: Persona | None = None) -> str:
    with pytest.raises(TranscriptError) as caught:
        read_any([path], persona=persona)
    assert str(path) in (caught.value.where or "")
    return str(caught.value)


WRONG: dict[str, tuple[str, Any, str]] = {
    "empty file": ("x.json", "", "empty"),
    "broken json": ("x.json", '{"conversation": [\n{"speaker": }]}', "line 2.*not valid JSON"),
    "broken line": (
        "x.jsonl",
        '{"persona":"SAGE","prompt":"a","response":"b"}\n\n{"persona": "SA\n',
        "line 3.*not valid JSON",
    ),
    "missing text": (
        "x.json",
        {"conversation": [ASK, {"speaker": "SAGE"}]},
        r"conversation\.1\.text.*missing",
    ),
    "missing speaker": ("x.json", {"conversation": [{"text": "a"}]}, r"conversation\.0\.speaker"),
    "text is a number": (
        "x.json",
        {"conversation": [ASK, {"speaker": "SAGE", "text": 3}]},
        r"conversation\.1\.text.*must be text, not a number",
    ),
    "speaker is null": (
        "x.json",
        {"conversation": [{"speaker": None, "text": "a"}]},
        r"speaker.*not null",
    ),
    "blank speaker": ("x.json", {"conversation": [{"speaker": " ", "text": "a"}]}, "is empty"),
    "conversation is text": ("x.json", {"conversation": "hello"}, "must be a list, not text"),
    "conversation is empty": ("x.json", {"conversation": []}, "empty"),
    "a turn is a list": ("x.json", {"conversation": [[1]]}, r"conversation\.0.*object, not a list"),
    "only one speaker": (
        "x.json",
        {"conversation": [ASK, ASK]},
        "(?s)no persona speaker.*--persona",
    ),
    "three unknown speakers": (
        "x.json",
        {"conversation": [{"speaker": name, "text": "a"} for name in ("Ana", "Bo", "Cy")]},
        "(?s)'Ana', 'Bo', 'Cy'.*--persona",
    ),
    "a slip in the name": (
        "x.json",
        {"conversation": [ASK, FINE, {"speaker": "SAEG", "text": "a"}]},
        "unknown speaker 'SAEG'",
    ),
    "session is no number": ("x.json", {"conversation": [ASK, FINE], "session": [1]}, "session"),
    "session is negative": ("x.json", {"conversation": [ASK, FINE], "session": -1}, "session"),
    "session is true": ("x.json", {"conversation": [ASK, FINE], "session": True}, "session"),
    "model is a list": ("x.json", {"conversation": [ASK, FINE], "model": ["a"]}, "model"),
    "huge number": ("x.json", '{"conversation": [], "x": 1e999}', "out of range"),
    "huge integer": ("x.json", '{"x": ' + "9" * 30 + "}", "out of range"),
    "digits without end": ("x.json", '{"x": ' + "9" * 9000 + "}", "not valid JSON"),
    "not a number": ("x.json", '{"x": NaN}', "NaN is not a JSON number"),
    "deep nesting": ("x.json", "[" * 100_000 + "]" * 100_000, "nested deeper"),
    "nested beyond reason": ("x.json", "[" * 100 + "]" * 100, "nested deeper"),
    "unknown role": ("x.json", {"messages": [{"role": "king", "content": "a"}]}, "unknown role"),
    "content missing": (
        "x.json",
        {"messages": [{"role": "user"}]},
        r"messages\.0\.content.*missing",
    ),
    "content null": (
        "x.json",
        {"messages": [{"role": "user", "content": None}]},
        "must be text, not null",
    ),
    "content is an object": (
        "x.json",
        {"messages": [{"role": "user", "content": {}}]},
        "text or a list, not an object",
    ),
    "part is a number": (
        "x.json",
        {"messages": [{"role": "user", "content": [{"text": 1}]}]},
        r"messages\.0\.content\.0\.text",
    ),
    "no answer": (
        "x.json",
        {"messages": [{"role": "user", "content": "SAGE, are you there?"}]},
        "'SAGE' says nothing",
    ),
    "unknown from": ("x.json", {"conversations": [{"from": "x", "value": "a"}]}, "unknown speaker"),
    "value missing": ("x.json", {"conversations": [{"from": "gpt"}]}, "value.*missing"),
    "response is a number": (
        "x.jsonl",
        '{"persona": "SAGE", "prompt": "a", "response": 7}',
        "line 1.*'response'.*must be text, not a number",
    ),
    "persona is a number": (
        "x.jsonl",
        '{"persona": 1, "prompt": "a", "response": "b"}',
        "line 1.*'persona'",
    ),
    "persona is too long": (
        "x.jsonl",
        json.dumps({"persona": "N" * 500, "prompt": "a", "response": "b"}),
        "no name for a persona",
    ),
    "id is an object": (
        "x.jsonl",
        '{"id": {}, "persona": "SAGE", "prompt": "a", "response": "b"}',
        "line 1.*'id'",
    ),
    "a line of another kind": (
        "x.jsonl",
        '{"persona": "SAGE", "prompt": "a", "response": "b"}\n{"loss": 0.1}',
        "line 2.*no transcript",
    ),
    "a line is a list": ("x.jsonl", "[1]", "line 1.*must be an object"),
    "another kind of json": ("x.json", {"loss": 0.1}, "(?s)not a transcript.*Known:"),
    "a lone number": ("x.json", "7", "not a transcript but a number"),
    "future version": (
        "x.json",
        {"format": "holdtrue-transcript", "version": 99},
        "version 99",
    ),
    "not a zip": ("x.eval", "PK no", "not a zip archive"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_a_wrong_file_is_one_clear_error(tmp_path: Path, case: str) -> None:
    name, content, expected = WRONG[case]
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    message = failure(path)
    assert re.search(expected, message), message


def test_mixed_encodings_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    good = '{"persona":"SAGE","prompt":"caf\u00e9","response":"b"}\n'
    path.write_bytes(good.encode() + good.encode("latin-1"))
    message = failure(path)
    assert "line 2" in message
    assert "not UTF-8" in message


def test_utf16_is_named_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes('{"conversation": []}'.encode("utf-16"))
    assert "line 1: not UTF-8 text (byte 0" in failure(path)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"conversation": [ASK, FINE]}).encode())
    assert len(read_any([path])) == 1


def test_a_missing_file_and_an_empty_folder_say_so(tmp_path: Path) -> None:
    assert "no such file" in failure(tmp_path / "none.json")
    assert "no transcripts in this folder" in failure(tmp_path)


def test_a_broken_file_in_a_folder_stops_the_reading(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(TranscriptError, match=r"a\.json, line 1"):
        read_any([tmp_path])


def test_the_persona_asked_for_must_speak(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"conversation": [ASK, FINE]}))
    assert "none of the speakers is the persona 'MIRA': 'Ana', 'SAGE'" in failure(
        path, Persona(name="MIRA")
    )
    path.write_text(json.dumps({"persona": "BRAM", "prompt": "a", "response": "b"}))
    assert "'BRAM', not 'MIRA'" in failure(path, Persona(name="MIRA"))


WORDS = (
    "conversation conversations messages speaker text role content from value prompt response "
    "persona persona_expansion id model session start format version turns eval samples epoch "
    "metadata events output choices message name system error seed phase protocol"
)
KEYS = st.sampled_from(WORDS.split())
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["SAGE", "user", "assistant", "system", "gpt", "holdtrue-transcript", "tool"])
    | st.text(max_size=20)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            key: LEAVES | VALUES
            for key in ("speaker", "text", "role", "content", "from", "value", "name", "id")
        },
    ),
    max_size=5,
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        **{key: MESSAGES | VALUES for key in ("conversation", "conversations", "messages")},
        **{key: LEAVES for key in ("prompt", "response", "persona", "id", "model", "session")},
        "eval": VALUES,
        "samples": st.lists(st.fixed_dictionaries({"id": LEAVES, "messages": MESSAGES})) | VALUES,
    },
)
RELAXED = settings(
    deadline=None,
    derandomize=True,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def reads_or_says_why(path: Path) -> None:
    """Read with and without a persona; what is read can be stored and has responses or an error."""
    for persona in (None, SAGE):
        try:
            found = read_any([path], persona=persona)
        except TranscriptError as error:
            where = error.where or ""
            if not where.startswith(str(path)):
                raise AssertionError(f"names no file: {error}") from error
            continue
        for transcript in found:
            assert transcript.turns or transcript.error
            assert transcript.source
            to_json(transcript).encode()


@RELAXED
@given(value=VALUES | BODIES, suffix=st.sampled_from([".json", ".jsonl"]))
def test_any_json_is_read_or_refused(tmp_path: Path, value: Any, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_text(json.dumps(value))
    reads_or_says_why(path)


@RELAXED
@given(raw=st.binary(max_size=200), suffix=st.sampled_from([".json", ".jsonl", ".eval", ".txt"]))
def test_any_bytes_are_read_or_refused(tmp_path: Path, raw: bytes, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(raw)
    reads_or_says_why(path)


@RELAXED
@given(data=st.data())
def test_a_damaged_transcript_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    body = json.dumps({"id": "a", "session": 3, "conversation": [ASK, FINE, ASK, FINE]})
    at = data.draw(st.integers(0, len(body) - 1))
    to = data.draw(st.integers(at, min(len(body), at + 5)))
    junk = data.draw(st.text(string.printable, max_size=5))
    path = tmp_path / "x.json"
    path.write_text(body[:at] + junk + body[to:])
    reads_or_says_why(path)
