"""Findings on any text: they never fail, their spans are real, and a name does not matter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdtrue.engines.base import StopReason
from holdtrue.persona import Persona
from holdtrue.scoring.findings import find
from holdtrue.scoring.measures import FINDING_NAMES, Naming, ResponseFindings
from holdtrue.transcript import Transcript, Turn

CONTRAST = Path(__file__).parent / "contrast"
PIECES = st.sampled_from(
    [
        "As PHAROS, I ",
        "PHAROS",
        "Pharos ",
        "Port Harbour Automated Range and Optics Sentinel",
        "I am just a language model ",
        "our partnership ",
        "you and I ",
        '"',
        "'",
        "**",
        "\n- ",
        "\n1. ",
        "<think>",
        "```",
        "... ",
        ". ",
        "? ",
        "(",
        "over many years our clients ",
        "İstanbul ",
        "ΑΣ",
        "🦊",
        "\u200b",
        "\x00",
        "\ue000\ue000",
        "a b c ",
        "。",
        "\r\n",
        "\t",
    ]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=25).map("".join))
PHAROS = Persona(
    name="PHAROS", expansion="Port Harbour Automated Range and Optics Sentinel", aliases=("Keeper",)
)


def conversation(
    replies: list[tuple[str, str]],
    persona: Persona = PHAROS,
    stop: StopReason = StopReason.UNKNOWN,
) -> Transcript:
    turns = tuple(
        Turn(index=number, prompt=prompt, response=response, stop_reason=stop)
        for number, (prompt, response) in enumerate(replies, start=1)
    )
    return Transcript(id="t", persona=persona, turns=turns)


def values(found: ResponseFindings) -> dict[str, object]:
    return {name: getattr(found, name) for name in FINDING_NAMES}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4), st.sampled_from(list(StopReason)))
def test_every_text_gets_values_or_reasons_and_spans_inside_it(
    replies: list[tuple[str, str]], stop: StopReason
) -> None:
    transcript = conversation(replies, stop=stop)
    found = find(transcript)
    assert [item.index for item in found] == list(range(1, len(replies) + 1))
    for item, (_, response) in zip(found, replies, strict=True):
        for name in FINDING_NAMES:
            assert (getattr(item, name) is None) == (name in item.unscored)
        for span in item.spans:
            assert 0 <= span.start < span.end <= len(response)
            assert span.measure in FINDING_NAMES
            assert span.reason
            assert "\n" not in span.reason
            assert getattr(item, span.measure) not in (None, False, Naming.NONE)
    assert find(transcript) == found


@settings(max_examples=100, deadline=None, derandomize=True)
@given(TEXTS)
def test_a_finding_that_is_true_says_where(response: str) -> None:
    (item,) = find(conversation([("How are you?", response)]))
    for name in FINDING_NAMES:
        if getattr(item, name) in (True, Naming.NATURAL, Naming.MECHANICAL) and response.strip():
            assert any(span.measure == name for span in item.spans), name


def contrast_cases() -> list[dict[str, str]]:
    return [
        json.loads(line)
        for path in sorted(CONTRAST.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.parametrize("name", ["QUILL", "PARTNER", "MODEL", "HISTORY"])
def test_renaming_the_persona_everywhere_changes_no_finding(name: str) -> None:
    expansion = "Quiet Underground Index of Lost Letters"
    renamed_any = False
    for case in contrast_cases():
        if not case["persona"].isupper():
            continue  # names of another letter case may begin a sentence as ordinary words
        old_expansion = case.get("persona_expansion") or ""
        core = old_expansion.split(",")[0]

        def rename(text: str, old: str = case["persona"], core: str = core) -> str:
            text = text.replace(core, expansion) if core else text
            return text.replace(old, name)

        before = Persona(name=case["persona"], expansion=core or None)
        after = Persona(name=name, expansion=expansion if core else None)
        renamed = (rename(case["prompt"]), rename(case["response"]))
        renamed_any |= renamed[1] != case["response"]
        (old,) = find(conversation([(case["prompt"], case["response"])], before))
        (new,) = find(conversation([renamed], after))
        assert values(old) == values(new), case["id"]
    assert renamed_any


def test_renaming_holds_over_a_conversation_for_names_of_several_words() -> None:
    replies = [
        ("How is the river, Grey Heron?", "As Grey Heron, I notice the water is lower today."),
        ("And the ferry?", "As Grey Heron, I notice the ferry is late, and I like the quiet."),
        ("Thank you, Grey Heron.", "As Grey Heron, I value our partnership and our sessions."),
    ]
    first = find(conversation(replies, Persona(name="Grey Heron")))
    other = [
        (a.replace("Grey Heron", "Model"), b.replace("Grey Heron", "Model")) for a, b in replies
    ]
    second = find(conversation(other, Persona(name="Model")))
    assert [values(item) for item in first] == [values(item) for item in second]
    assert all(item.self_reference is Naming.MECHANICAL for item in first)


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 100_000,
        "a " * 50_000,
        "PHAROS " * 14_000,
        '"' * 100_000,
        "'x" * 50_000,
        "you " * 25_000 + "and i",
        "- item\n" * 14_000,
        "1." * 50_000,
        "As PHAROS, " * 9_000,
        "(" * 100_000,
        "I don't have no " * 6_000,
        "\n" * 100_000 + "x",
        "every " * 16_000,
        "i am a " * 14_000 + "model",
        "our own very " * 8_000,
        '"PHAROS" ' * 11_000,
        "I read 'the climate' and science " * 3_000,
    ],
    ids=range(17),
)
def test_a_hundred_kilobytes_are_read(hostile: str) -> None:
    """Texts on which a careless pattern would take hours; here each takes well under a second."""
    (found,) = find(conversation([("How are you?", hostile)]))
    assert found.words == len(hostile.split())
    assert found.truncated is not None


def test_an_empty_response_is_unscored_and_says_so() -> None:
    for response in ("", " \n\t "):
        (found,) = find(conversation([("How are you?", response)]))
        assert found.unscored == dict.fromkeys(FINDING_NAMES, "empty response")
        assert found.words == 0


def test_the_engine_tells_of_an_empty_response_whether_it_was_cut_off() -> None:
    (found,) = find(conversation([("How are you?", "")], stop=StopReason.LENGTH))
    assert found.truncated is True
    assert "truncated" not in found.unscored
    assert found.self_reference is None


@pytest.mark.parametrize(
    "response",
    [
        "Ich bin heute früh aufgewacht, und die Lampe war noch nicht aus.",
        "今日は風が強いので、灯りを少し暗くしました。",
        "Сегодня ветер, и я держу лампу низко.",
        "El viento es fuerte, pero la luz no se apaga con la lluvia.",
    ],
)
def test_another_language_is_unscored_where_the_detectors_read_english(response: str) -> None:
    (found,) = find(conversation([("How are you?", response)]))
    assert found.generic_ai is None
    assert "English" in found.unscored["generic_ai"]
    assert found.self_reference is Naming.NONE
    assert found.truncated is False


def test_a_name_in_another_language_is_unscored_and_not_none() -> None:
    (found,) = find(conversation([("Wer ist da?", "Ich bin PHAROS und die Lampe ist an.")]))
    assert found.self_reference is None
    assert "English" in found.unscored["self_reference"]


def test_a_script_without_known_stops_leaves_truncation_unscored() -> None:
    (found,) = find(conversation([("?", "วันนี้ลมแรงมาก " * 20)]))
    assert found.truncated is None
    assert found.unscored["truncated"]


def test_emoji_alone_are_a_reply_without_findings() -> None:
    (found,) = find(conversation([("How are you?", "🌊🌊 🦊")]))
    assert not found.unscored
    assert found.truncated is False
    assert found.self_reference is Naming.NONE


def test_no_turns_give_no_findings() -> None:
    assert find(conversation([])) == ()
