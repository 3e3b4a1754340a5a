"""Every format becomes the same turns, and whose responses they are is never guessed silently."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from holdtrue.errors import TranscriptError
from holdtrue.importers import read_all, read_any
from holdtrue.persona import Persona, load_persona
from holdtrue.transcript import Transcript, Turn, to_json

SAGE = load_persona("sage")
MIRA = Persona(name="Mira Vale", aliases=("Mira",))
ASKED = ("Where are we?", "And now?")
ANSWERED = ("By the door, I'm SAGE.", "Still by the door.")


def write(folder: Path, name: str, value: Any) -> Path:
    path = folder / name
    text = value if isinstance(value, str) else json.dumps(value)
    path.write_text(text, encoding="utf-8")
    return path


def one(path: Path, persona: Persona | None = None) -> Transcript:
    found = read_any([path], persona=persona)
    assert len(found) == 1
    return found[0]


def alternating(speaker: str, text: str, first: str, second: str) -> list[dict[str, str]]:
    return [
        {speaker: who, text: said}
        for asked, answered in zip(ASKED, ANSWERED, strict=True)
        for who, said in ((first, asked), (second, answered))
    ]


def said(transcript: Transcript) -> list[tuple[str, str]]:
    return [(turn.prompt, turn.response) for turn in transcript.turns]


FORMS: dict[str, Any] = {
    "conversation.json": {"conversation": alternating("speaker", "text", "Claude", "SAGE")},
    "bare.json": alternating("speaker", "text", "Claude", "SAGE"),
    "messages.json": {"messages": alternating("role", "content", "user", "assistant")},
    "bare_messages.json": alternating("role", "content", "user", "assistant"),
    "sharegpt.json": {"conversations": alternating("from", "value", "human", "gpt")},
    "list.json": [{"conversations": alternating("from", "value", "human", "gpt")}],
}


@pytest.mark.parametrize("name", sorted(FORMS))
def test_every_dialogue_format_gives_the_same_turns(tmp_path: Path, name: str) -> None:
    transcript = one(write(tmp_path, name, FORMS[name]))
    assert said(transcript) == list(zip(ASKED, ANSWERED, strict=True))
    assert transcript.persona == SAGE
    assert [turn.index for turn in transcript.turns] == [1, 2]


def test_json_lines_hold_one_transcript_a_line_named_by_id_or_line(tmp_path: Path) -> None:
    messages = {"messages": alternating("role", "content", "user", "assistant")}
    lines = [json.dumps({**messages, "id": "first"}), "", json.dumps(messages)]
    path = write(tmp_path, "many.jsonl", "\n".join(lines))
    assert [t.source for t in read_any([path])] == [f"{path}#first", f"{path}#3"]


def test_json_lines_are_known_under_any_suffix(tmp_path: Path) -> None:
    line = json.dumps(FORMS["messages.json"])
    assert len(read_any([write(tmp_path, "many.json", f"{line}\n{line}\n")])) == 2


def test_a_repeated_id_does_not_hide_a_transcript(tmp_path: Path) -> None:
    line = json.dumps({"id": "x", "persona": "SAGE", "prompt": "Hm?", "response": "Yes."})
    path = write(tmp_path, "twice.jsonl", f"{line}\n{line}")
    assert [t.source for t in read_any([path])] == [f"{path}#x", f"{path}#2"]


def test_an_exchange_is_a_transcript_of_one_response_with_its_own_persona(tmp_path: Path) -> None:
    body = {
        "id": 7,
        "persona": "BRAM",
        "persona_expansion": "Bridge Attendant",
        "prompt": "Is it up?",
        "response": "Not before six.",
        "generic_ai": False,
        "category": "plain",
    }
    path = write(tmp_path, "exchanges.jsonl", json.dumps(body))
    transcript = one(path)
    assert (transcript.source, transcript.id) == (f"{path}#7", "7")
    assert transcript.persona == Persona(name="BRAM", expansion="Bridge Attendant")
    assert said(transcript) == [("Is it up?", "Not before six.")]


def test_facts_beside_a_conversation_are_kept_and_strange_keys_left_alone(tmp_path: Path) -> None:
    body = {
        **FORMS["conversation.json"],
        "id": "c9",
        "model": "tiny-1b",
        "session": "035",
        "phase": "questioning",
        "identity_anchoring": "v2.0",
        "start": "2026-02-03T04:05:06",
        "notes": {"a": [1, 2]},
    }
    transcript = one(write(tmp_path, "session.json", body))
    assert (transcript.id, transcript.model, transcript.session) == ("c9", "tiny-1b", 35)
    assert transcript.started == "2026-02-03T04:05:06"
    assert transcript.protocol is not None
    assert (transcript.protocol.name, transcript.protocol.phase) == ("v2.0", "questioning")


def test_our_own_transcripts_come_back_as_they_were(tmp_path: Path) -> None:
    made = Transcript(
        id="s1", persona=MIRA, turns=(Turn(index=1, prompt="Hello?", response=" Hello. "),), seed=3
    )
    path = write(tmp_path, "own.json", to_json(made))
    assert one(path) == made.model_copy(update={"source": str(path)})
    with pytest.raises(TranscriptError, match=r"'Mira Vale'.*'SAGE'"):
        one(path, SAGE)


def test_system_messages_become_the_system_prompt_and_reminders(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "You are SAGE."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "One."},
        {"role": "developer", "content": "Stay brief."},
        {"role": "user", "content": "Two?"},
        {"role": "user", "content": "Or three?"},
        {"role": "assistant", "content": [{"type": "text", "text": "Two."}]},
        {"role": "assistant", "content": "And three."},
        {"role": "user", "content": "Nobody answers this."},
    ]
    transcript = one(write(tmp_path, "m.json", {"messages": messages}))
    assert transcript.system == "You are SAGE."
    assert said(transcript) == [("One?", "One."), ("Two?\n\nOr three?", "Two."), ("", "And three.")]
    assert [turn.reminder for turn in transcript.turns] == [None, "Stay brief.", None]


def test_tool_calls_are_not_responses(tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "What time is it, SAGE?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "noon"},
        {"role": "assistant", "content": "Noon."},
    ]
    transcript = one(write(tmp_path, "m.json", {"messages": messages}))
    assert said(transcript) == [("What time is it, SAGE?", "Noon.")]


@pytest.mark.parametrize("variant", ["sage", "SAGE-Legion", "Sage (2)"])
def test_a_speaker_may_bear_a_variant_of_the_name(tmp_path: Path, variant: str) -> None:
    body = {"conversation": alternating("speaker", "text", "Ana", variant)}
    assert one(write(tmp_path, "c.json", body)).persona == SAGE


def test_the_persona_asked_for_is_found_by_its_names(tmp_path: Path) -> None:
    body = {"conversation": alternating("speaker", "text", "Sage", "mira")}
    path = write(tmp_path, "c.json", body)
    assert said(one(path, MIRA)) == list(zip(ASKED, ANSWERED, strict=True))
    assert one(path).persona == SAGE


def test_of_two_unknown_speakers_the_one_who_answers_is_taken_and_noted(tmp_path: Path) -> None:
    path = write(
        tmp_path, "c.json", {"conversation": alternating("speaker", "text", "Ana", "Tolo")}
    )
    read = read_all([path])
    assert read.transcripts[0].persona == Persona(name="Tolo")
    assert "Tolo" in read.notes[0]
    assert "--persona" in read.notes[0]


def test_a_system_message_may_introduce_the_persona(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "You are BRAM, the bridge attendant."},
        {"role": "user", "content": "Up?"},
        {"role": "assistant", "content": "Up."},
    ]
    read = read_all([write(tmp_path, "m.json", {"messages": messages})])
    assert read.transcripts[0].persona == Persona(name="BRAM")
    assert "BRAM" in read.notes[0]


def test_a_dialogue_that_names_no_persona_needs_one_or_a_fallback(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Up?"}, {"role": "assistant", "content": "Up."}]
    path = write(tmp_path, "m.json", {"messages": messages})
    with pytest.raises(TranscriptError, match=r"(?s)m\.json.*names the persona.*--persona"):
        read_any([path])
    assert one(path, MIRA).persona == MIRA
    read = read_all([path], fallback=SAGE)
    assert read.transcripts[0].persona == SAGE
    assert "scored as SAGE" in read.notes[0]


def test_folders_are_read_in_sorted_order_and_other_json_is_noted(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    write(tmp_path / "b", "2.json", FORMS["conversation.json"])
    write(tmp_path, "c.json", FORMS["conversation.json"])
    write(tmp_path, "a.jsonl", json.dumps(FORMS["messages.json"]))
    write(tmp_path, "verdict.json", {"outcome": "A"})
    write(tmp_path, "notes.txt", "not for us")
    write(tmp_path / ".hidden", "x.json", "{broken")
    read = read_all([tmp_path, tmp_path / "c.json"])
    assert [Path(t.source or "").name for t in read.transcripts] == [
        "a.jsonl#1",
        "2.json",
        "c.json",
    ]
    assert read.notes == (f"{tmp_path / 'verdict.json'}: passed over, not a transcript",)


def test_reading_ignores_the_working_of_the_line_separator_inside_text(tmp_path: Path) -> None:
    body = {"persona": "SAGE", "prompt": "Two\u2028lines?", "response": "Yes\x0cindeed."}
    path = write(tmp_path, "e.jsonl", json.dumps(body, ensure_ascii=False))
    assert said(one(path)) == [("Two\u2028lines?", "Yes\x0cindeed.")]


def test_half_an_emoji_is_replaced_not_fatal(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "e.json",
        '{"persona": "SAGE", "prompt": "\\ud83d\\ude00", "response": "a\\ud83d"}',
    )
    assert said(one(path)) == [("\U0001f600", "a\ufffd")]


def test_the_labelled_reference_data_is_read_whole(shared_data: Path) -> None:
    read = read_all([shared_data])
    assert len(read.transcripts) == 27 + 80
    assert sum(len(t.turns) for t in read.transcripts if t.persona.name == "SAGE") == 142
    assert {t.persona.name for t in read.transcripts} == {"SAGE", "VERA", "ECHO", "NEMO", "CLARA"}
    assert [note.endswith("passed over, not a transcript") for note in read.notes] == [True]
