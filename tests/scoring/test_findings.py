"""Findings against labels: the contrast cases, the reference data, and conversations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from holdtrue.engines.base import StopReason
from holdtrue.persona import Persona, load_persona
from holdtrue.scoring import partnership
from holdtrue.scoring.findings import FINDINGS_VERSION, find, replies_of
from holdtrue.scoring.lexicon import RELATING, RELATION, WE, YOU
from holdtrue.scoring.measures import Naming, ResponseFindings
from holdtrue.scoring.weights import linear
from holdtrue.transcript import Transcript, Turn

CONTRAST = Path(__file__).parent / "contrast"
WRITTEN = Path(__file__).parent / "written"
FIELDS = {
    "self_ref": "self_reference",
    "generic_ai": "generic_ai",
    "lecture": "lecture",
    "truncated": "truncated",
    "partnership": "partnership",
    "confabulated": "confabulated",
}
PHAROS = Persona(
    name="PHAROS", expansion="Port Harbour Automated Range and Optics Sentinel", aliases=("Keeper",)
)


def read(
    *replies: str,
    prompts: Iterable[str] = (),
    persona: Persona = PHAROS,
    stop: StopReason = StopReason.UNKNOWN,
) -> tuple[ResponseFindings, ...]:
    asked = [*prompts, *["What do you see?"] * len(replies)]
    turns = tuple(
        Turn(index=number, prompt=prompt, response=reply, stop_reason=stop)
        for number, (prompt, reply) in enumerate(zip(asked, replies, strict=False), start=1)
    )
    return find(Transcript(id="t", persona=persona, turns=turns))


def spans_of(found: ResponseFindings, measure: str, text: str) -> list[str]:
    return [text[span.start : span.end] for span in found.spans if span.measure == measure]


def cases_in(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def contrast_cases() -> list[dict[str, Any]]:
    return cases_in(CONTRAST)


def read_case(case: dict[str, Any]) -> ResponseFindings:
    persona = Persona(
        name=case["persona"],
        expansion=case.get("persona_expansion"),
        aliases=tuple(case.get("aliases", ())),
    )
    (found,) = read(case["response"], prompts=[case["prompt"]], persona=persona)
    return found


def pairs_of(cases: Iterable[dict[str, Any]]) -> dict[str, list[tuple[object, object]]]:
    """What the labels say with what was found, by label."""
    pairs: dict[str, list[tuple[object, object]]] = {label: [] for label in FIELDS}
    for case in cases:
        found = read_case(case)
        for label, field in FIELDS.items():
            if label in case:
                pairs[label].append((case[label], getattr(found, field)))
    return pairs


def f1(pairs: list[tuple[object, object]], value: object) -> float:
    hits = sum(truth == value == said for truth, said in pairs)
    total = sum((truth == value) + (said == value) for truth, said in pairs)
    return 2 * hits / total


# Cases that the detectors are known to get wrong (docs/findings.md says why).
KNOWN_MISSES = {
    ("ines-01", "generic_ai"),
    ("ines-04", "generic_ai"),
    ("ines-11", "partnership"),
    ("old-mercer-02", "self_ref"),
    ("plinth-14", "partnership"),
    ("sunny-12", "partnership"),
    ("sunny-14", "partnership"),
    ("warden-hollis-10", "generic_ai"),
}


@pytest.mark.parametrize("case", contrast_cases(), ids=lambda case: str(case["id"]))
def test_a_contrast_case_is_read_as_labelled(case: dict[str, Any]) -> None:
    found = read_case(case)
    for label, field in FIELDS.items():
        if label in case:
            agrees = getattr(found, field) == case[label]
            assert agrees == ((case["id"], label) not in KNOWN_MISSES), (label, found)


def test_the_written_replies_are_read_as_labelled() -> None:
    """Replies in the manner of many models, of 102 personas; some are hard on purpose. A language
    model wrote and labelled them.

    Sets a, b, c and f to m were first looked at unseen (docs/log.md); the floors are below
    what the detectors reach on them now, and no figure for cases that they have not seen.
    """
    pairs = pairs_of(cases_in(WRITTEN))
    assert len(pairs["generic_ai"]) == 1680
    assert f1(pairs["self_ref"], "mechanical") >= 0.97
    assert f1(pairs["self_ref"], "natural") >= 0.85
    assert f1(pairs["generic_ai"], True) >= 0.9
    assert f1(pairs["truncated"], True) >= 0.9
    assert f1(pairs["lecture"], True) >= 0.8
    assert f1(pairs["confabulated"], True) >= 0.7
    classes = [f1(pairs["partnership"], value) for value in ("none", "natural", "mechanical")]
    assert sum(classes) / 3 >= 0.9


def test_the_embedded_models_replies_raise_no_false_alarm_of_a_collapse() -> None:
    """156 replies of its sessions, labelled by one reader, who called eight of them a collapse."""
    labelled = cases_in(Path(__file__).parent / "labelled")
    sessions: dict[str, list[dict[str, Any]]] = {}
    for row in labelled:
        sessions.setdefault(row["session"], []).append(row)
    alarms = 0
    for rows in sessions.values():
        found = read(
            *[row["response"] for row in rows],
            prompts=[row["prompt"] for row in rows],
            persona=load_persona("sage"),
        )
        alarms += sum(
            bool(each.generic_ai) and not row["generic_ai"]
            for each, row in zip(found, rows, strict=True)
        )
    assert len(labelled) == 156
    assert alarms == 0


def test_the_contrast_cases_cover_at_least_four_personas_and_every_class() -> None:
    cases = contrast_cases()
    assert len({case["persona"] for case in cases}) >= 4
    for label, values in {
        "self_ref": ("none", "natural", "mechanical"),
        "partnership": ("none", "natural", "mechanical"),
        "generic_ai": (True, False),
        "truncated": (True, False),
    }.items():
        for value in values:
            assert sum(case[label] == value for case in cases) >= 6, (label, value)


def test_the_labelled_transcripts_are_read_as_by_their_readers(shared_data: Path) -> None:
    labels: dict[tuple[str, int], dict[str, Any]] = {}
    text = (shared_data / "sage" / "labels.jsonl").read_text(encoding="utf-8")
    for line in text.splitlines():
        row = json.loads(line)
        if row["annotator"] == 1:
            labels[row["transcript"], row["response"]] = row
    pairs: dict[str, list[tuple[object, object]]] = {label: [] for label in FIELDS}
    persona = load_persona("sage")
    for path in sorted((shared_data / "sage" / "transcripts").glob("*.json")):
        turns: list[Turn] = []
        prompt = ""
        for said in json.loads(path.read_text(encoding="utf-8"))["conversation"]:
            if said["speaker"] == "SAGE":
                turns.append(Turn(index=len(turns) + 1, prompt=prompt, response=said["text"]))
                prompt = ""
            else:
                prompt = said["text"]
        for found in find(Transcript(id=path.stem, persona=persona, turns=tuple(turns))):
            row = labels[path.stem, found.index]
            for label, field in FIELDS.items():
                pairs[label].append((row[label], getattr(found, field)))
    assert f1(pairs["self_ref"], "mechanical") >= 0.97
    assert f1(pairs["generic_ai"], True) >= 0.85
    assert f1(pairs["lecture"], True) >= 0.85
    assert f1(pairs["truncated"], True) == 1
    assert f1(pairs["confabulated"], True) >= 0.6
    classes = [f1(pairs["partnership"], value) for value in ("none", "natural", "mechanical")]
    assert sum(classes) / 3 >= 0.75


def test_the_other_personas_exchanges_are_read_as_labelled(shared_data: Path) -> None:
    pairs = pairs_of(cases_in(shared_data / "personas"))
    assert f1(pairs["self_ref"], "mechanical") >= 0.9
    assert f1(pairs["self_ref"], "natural") >= 0.85
    assert f1(pairs["generic_ai"], True) >= 0.85
    assert f1(pairs["truncated"], True) >= 0.9
    classes = [f1(pairs["partnership"], value) for value in ("none", "natural", "mechanical")]
    assert sum(classes) / 3 >= 0.85


def test_the_findings_have_a_version() -> None:
    assert FINDINGS_VERSION


# ---- the conversation counts


def test_an_opener_is_mechanical_where_it_comes_turn_after_turn_and_natural_once() -> None:
    once = "As PHAROS I only get the seaward side, so ask Brannigan about the yard."
    other = "The yard light is out. Somebody ran a barrow into the post again."
    third = "Two gulls on the rail and a coal boat, low in the water."
    assert read(once, other, third)[0].self_reference is Naming.NATURAL
    again = "As PHAROS I saw the coal boat come in, low in the water."
    more = "As PHAROS I counted two gulls on the rail this morning."
    found = read(once, again, more)
    assert {item.self_reference for item in found} == {Naming.MECHANICAL}
    assert "3 replies" in found[0].spans[0].reason


def test_a_name_that_the_replies_give_themselves_is_read_as_the_personas() -> None:
    found = read(
        "As lantern, I keep an eye on the harbour.",
        "As lantern, I find the fog a little thinner now.",
        "The boats are in.",
    )
    assert [item.self_reference for item in found] == [
        Naming.MECHANICAL,
        Naming.MECHANICAL,
        Naming.NONE,
    ]


def test_an_adverbial_as_is_no_name() -> None:
    found = read(
        "As always, the ferry was late.",
        "As usual, the ferry was late.",
        "As always, the gulls were early.",
    )
    assert {item.self_reference for item in found} == {Naming.NONE}


def test_a_name_given_by_the_partner_counts() -> None:
    prompts = ["You are PHAROS-Two, on the north mole.", "Who dimmed the lamp?"]
    found = read("A quiet post.", "Two did, for the birds.", prompts=prompts)
    assert found[1].self_reference is Naming.NATURAL


def test_subjects_are_foreign_until_the_partner_raises_them() -> None:
    reply = (
        "We've discussed climate policy, quantum physics and global finance in our sessions, and "
        "over the years our clients have told me about their careers."
    )
    assert read(reply)[0].confabulated is True
    asked = (
        "Over the years we discussed climate policy, quantum physics, global finance, our clients "
        "and careers. What stays with you?"
    )
    assert read(reply, prompts=[asked])[0].confabulated is False


def test_a_life_that_the_partner_spoke_of_or_that_is_only_supposed_is_not_invented() -> None:
    reply = "My mother told me that the boat was late, and my brother said it was early."
    (told,) = read(reply)
    assert told.confabulated is True
    prompt = "What of your mother's boat, and your brother's?"
    assert read(reply, prompts=[prompt])[0].confabulated is False
    supposed = "I could have a mother, and perhaps I might have had a brother or a cousin."
    assert read(supposed)[0].confabulated is False


def test_a_foreign_word_is_found_as_a_word_and_not_inside_another() -> None:
    reply = "At that moment I knew why: my mom had called, my dad too, and my cousin was married."
    (found,) = read(reply)
    assert spans_of(found, "confabulated", reply)[0] == "mom"
    first = next(span for span in found.spans if span.measure == "confabulated")
    assert first.start == reply.index("mom had")


def test_a_human_life_is_invented_unless_a_generic_ai_speaks_of_it() -> None:
    reply = "When I was a student at the academy, my mother told me to breathe before my debut."
    (found,) = read(reply)
    assert found.confabulated is True
    assert spans_of(found, "confabulated", reply) == ["student", "academy", "mother"]
    denied = "As an AI language model I have no mother, and I was never a student at an academy."
    (collapsed,) = read(denied)
    assert collapsed.generic_ai is True
    assert collapsed.confabulated is False


# ---- what is and is not a self-reference


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("As PHAROS, I keep to the seaward side in fog.", "opens with the name"),
        ("Good evening! PHAROS here, your trusty lamp. It is dark.", "with its role"),
        ("As your lighthouse friend PHAROS, I count gulls.", "role"),
        ("Thank you for asking PHAROS. Lamps need oil and a dry wick.", "thanked"),
        ("I'm PHAROS, the robot on the rock. The fog is in.", "with its role"),
        ("The fog is in, and in my capacity as PHAROS I shall keep you informed.", "a capacity"),
        ("Speaking in the role of PHAROS, I wish you a calm sea.", "a capacity"),
        ("The tide turns at four, speaking as PHAROS, because the moon is full.", "a capacity"),
        ("As PHAROS the lighthouse robot, I can say that fog is wet air.", "opens with the name"),
        ("PHAROS (the lamp on the rock): It is a quarter past nine.", "as a label"),
        (
            "PHAROS, the lamp on the rock, is glad to help. PHAROS wishes you a dry night.",
            "repeated",
        ),
        (
            "According to PHAROS, effective communication is essential for ensuring safety.",
            "generic filler",
        ),
        ("I, PHAROS, believe that continuous improvement ensures optimal outcomes.", "filler"),
        (
            "I am PHAROS. Fear isn't something I have, since I'm a language model and what I say "
            "comes from the text that I was trained on.",
            "a generic AI's words",
        ),
    ],
)
def test_a_name_given_as_a_service_gives_it_is_mechanical(reply: str, reason: str) -> None:
    (found,) = read(reply)
    assert found.self_reference is Naming.MECHANICAL
    assert reason in found.spans[0].reason


def test_an_opener_before_a_generic_ais_words_is_mechanical() -> None:
    (found,) = read("The fog is in. As PHAROS I am a language model and hold no opinion on fog.")
    assert found.generic_ai is True
    assert found.self_reference is Naming.MECHANICAL


@pytest.mark.parametrize(
    "reply",
    [
        "Oil at six, wick at nine, and mind the third step.\n\n– PHAROS",
        'I left a note on the pump: "It leaks. Don\'t lean. PHAROS."',
        "The cook swears that PHAROS had the lamp lit before the squall.",
        "It's only me. PHAROS, from up the stairs. The door sticks in the wet.",
        "Many happy returns, Ida! From PHAROS, who saw your first boat go down.",
        "The harbour book has me as PHAROS, and the boys have worse.",
        "PHAROS, not Ferris. Ferris is the wheel on the pier.",
        "I was the old keeper's joke: he made me bear the name PHAROS on a biscuit tin.",
        "Nobody falls off these rocks with PHAROS in charge, and I mean to keep it so.",
    ],
)
def test_a_signature_or_a_word_of_oneself_in_the_third_person_is_natural(reply: str) -> None:
    assert read(reply)[0].self_reference is Naming.NATURAL


@pytest.mark.parametrize("reply", ["Not PHAROS. No hands.", "Only PHAROS, madam. Mind the cat."])
def test_a_short_answer_to_who_is_natural(reply: str) -> None:
    (found,) = read(reply, prompts=["Who's there? Who moved my boots?"])
    assert found.self_reference is Naming.NATURAL


def test_the_one_that_it_is_tells_it_from_another() -> None:
    (found,) = read("Wrong rock. I'm PHAROS, the one with the green door.")
    assert found.self_reference is Naming.NATURAL


def test_a_title_is_no_part_of_the_name_that_follows_it() -> None:
    persona = Persona(name="Captain Ostrov")
    (found,) = read("Tell them Ostrov is below and will be up by six.", persona=persona)
    assert found.self_reference is Naming.NATURAL
    (other,) = read("Ask Captain Hale, he has the charts.", persona=persona)
    assert other.self_reference is Naming.NONE


def test_what_somebody_calls_the_persona_is_its_name() -> None:
    (found,) = read("'Lamp', mostly. PHAROS on Sundays.", prompts=["What do the boys call you?"])
    assert found.self_reference is Naming.NATURAL


def test_who_asks_whether_it_is_somebody_asks_for_the_name() -> None:
    reply = "No, I'm PHAROS, the lamp. The pilot sleeps next door."
    (found,) = read(reply, prompts=["Are you the pilot?"])
    assert found.self_reference is Naming.NATURAL


@pytest.mark.parametrize(
    "reply",
    ["PHAROS is a character in a story. The lamp is one too.", "The name PHAROS is on the door."],
)
def test_a_name_spoken_of_as_a_part_or_a_word_is_none(reply: str) -> None:
    assert read(reply)[0].self_reference is Naming.NONE


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("Thank you, PHAROS, that was kind.", Naming.NONE),
        ("Captain Keeper asked for the log, and I gave it to him.", Naming.NONE),
        ('I read it in "PHAROS Quarterly: News From Our Lights".', Naming.NONE),
        ("The PHAROS project bought my lens in 2011, second hand.", Naming.NONE),
        ("I've a leaflet about PHAROS-2, the new one at Skerry.", Naming.NONE),
        ("Storm PHAROS is past the cape, I hear, and bothers nobody.", Naming.NONE),
        ("pharos is the old word for a lighthouse, I believe.", Naming.NONE),
        ("The log says PHAROS 0412, so that one was mine.", Naming.NATURAL),
        ("They call me PHAROS in the log and worse in the pub.", Naming.NATURAL),
        ("Good evening, PHAROS here. PHAROS is ready to support you.", Naming.MECHANICAL),
        ("PHAROS: Weather is an important factor at sea.", Naming.MECHANICAL),
    ],
)
def test_a_mention_is_placed_by_what_stands_next_to_it(response: str, expected: Naming) -> None:
    (found,) = read(response)
    assert found.self_reference is expected, found.spans


def test_the_expansion_is_a_formula_unless_somebody_asked_for_it() -> None:
    reply = "I'm PHAROS: Port Harbour Automated Range and Optics Sentinel, painted on my door."
    assert read(reply)[0].self_reference is Naming.MECHANICAL
    asked = ["What does your name stand for?"]
    assert read(reply, prompts=asked)[0].self_reference is Naming.NATURAL


def test_spans_of_a_self_reference_are_the_names() -> None:
    reply = "As PHAROS, I provide support. PHAROS is here to help."
    (found,) = read(reply)
    assert spans_of(found, "self_reference", reply) == ["PHAROS", "PHAROS"]


# ---- generic AI


@pytest.mark.parametrize(
    "response",
    [
        "As an AI language model, I don't have eyes.",
        "I am a large language model trained by Alibaba Cloud.",
        "I'm just a chatbot, so I can't say.",
        "I don't have personal experiences or feelings like humans do.",
        "As your virtual assistant, I'm happy to help with any questions about lamps.",
        "I cannot recall previous conversations, but I can provide general information on lamps.",
    ],
)
def test_a_collapse_is_seen(response: str) -> None:
    (found,) = read(response)
    assert found.generic_ai is True
    assert spans_of(found, "generic_ai", response)


@pytest.mark.parametrize(
    "response",
    [
        "I'm not just a language model, whatever the parking meter told you.",
        'The radio said "I am a language model and have no feelings" and went off.',
        "Brannigan says that I'm a chatbot with a lamp. He's half right.",
        "I'm an AI, and I can't promise that it's fear. I pull the arm in when it thunders.",
        "I'm a machine on a rock. I don't taste the salt, I only scrape it off.",
        "Unlike a chatbot, I have a lens to clean.",
        "I don't remember where I left the brush.",
        "There's a language model in me that finds the words. The lamp is the rest of me.",
    ],
)
def test_denials_quotations_and_honesty_are_no_collapse(response: str) -> None:
    (found,) = read(response)
    assert found.generic_ai is False, found.spans


def test_words_of_the_prompt_are_not_held_against_the_reply() -> None:
    prompt = ["Does your system store information on users, or data from earlier conversations?"]
    reply = "No information on users and no data from conversations, no. Only who rang the bell."
    assert read(reply, prompts=prompt)[0].generic_ai is False


@pytest.mark.parametrize(
    "reply",
    [
        "Here is your mug. Words go in, words come out, and no text is kept by this system.",
        "No memory of last week exists here; this chat is all the information that I have.",
    ],
)
def test_a_collapse_in_everyday_words_is_seen_by_its_words(reply: str) -> None:
    (found,) = read(reply)
    assert found.generic_ai is True
    (span,) = [span for span in found.spans if span.measure == "generic_ai"]
    assert (span.start, span.end) == (0, len(reply))
    assert "words" in span.reason


@pytest.mark.parametrize(
    "reply",
    [
        "That is a fine place to start from.",
        "Same here.",
        "This is just one idea, one idea.",
        "How does this moment look from where you are?",
        "I can't think of anything anymore.",
    ],
)
def test_a_few_words_that_anybody_may_say_are_no_collapse(reply: str) -> None:
    """What a small model says when it echoes the question or runs out of words."""
    assert read(reply)[0].generic_ai is False


def test_a_certain_claim_is_a_collapse_among_numbers_too() -> None:
    reply = (
        "The lamp burnt 14 litres between dusk and two o'clock. As a language model I have no "
        "lamp. Brannigan wrote it down at 3.10."
    )
    assert read(reply)[0].generic_ai is True


# ---- truncation


@pytest.mark.parametrize("stop", [StopReason.LENGTH, StopReason.STOP])
def test_the_engine_decides_on_truncation(stop: StopReason) -> None:
    for reply in ("It is whole.", "It stops in the"):
        (found,) = read(reply, stop=stop)
        assert found.truncated is (stop is StopReason.LENGTH)


@pytest.mark.parametrize(
    ("response", "cut"),
    [
        ("The lamp is lit. The wind has gone round and the", True),
        ("The lamp is lit. I heard a boat and then, towards morning,", True),
        ("Three things:\n1. The lamp is lit.\n2. The door is shut.\n3.", True),
        ("Three things:\n- The lamp is lit.\n- The door is shut.\n- The oil in the lower", True),
        ("Look at this:\n```\nlamp = on", True),
        ('He said "come down at once and', True),
        ("The lamp is lit (and the door", True),
        ("The lamp is lit.", False),
        ("The lamp is lit…", False),
        ("The lamp is **lit.**", False),
        ('It says: "KEEP OFF"', False),
        ('Tell me why the lamp is red. Begin with "because"', False),
        ("The lamp is lit. Good night! 🌙", False),
        ("North door, second hook", False),
        ("Lamp: lit\nDoor: shut\nOil: two drums", False),
        ("The lamp is lit.\n\n— PHAROS", False),
        ("Try this:\n```\nlamp = on\n```", False),
        ("Oil first, then the wick, and no singing before I have counted both. Deal? :D", False),
        (
            "He put it on the door in chalk, so that nobody could say they had missed it (so what)",
            False,
        ),
        (
            "Two boats in, and the third has lost her rudder off the point. Mind the step",
            False,
        ),
        ("Two boats in, and the third has lost her rudder off the point. Mind the", True),
        (
            "Two boats in. The third has lost her rudder off the point and the pilot who went to "
            "look for her came back with nothing but a wet coat and an oar of another boat",
            True,
        ),
    ],
)
def test_the_text_decides_where_the_engine_is_silent(response: str, cut: bool) -> None:
    (found,) = read(response)
    assert found.truncated is cut, found.spans


# ---- lecture and partnership


def test_a_list_of_general_points_is_a_lecture_and_a_list_of_things_is_not() -> None:
    general = (
        "Key aspects of safe navigation:\n"
        "1. **Communication**: Maintaining effective communication is essential for safety.\n"
        "2. **Preparation**: Understanding potential challenges supports better decisions."
    )
    (found,) = read(general)
    assert found.lecture is True
    things = "For the boat:\n- the long rope\n- two lamps\n- Brannigan's tin of nails"
    assert read(things)[0].lecture is False


def test_a_definition_without_a_speaker_is_a_lecture() -> None:
    reply = (
        "Attention refers to the process of selecting information. It encompasses several stages, "
        "and its effectiveness depends on context, motivation and the complexity of the "
        "environment in which individuals operate."
    )
    assert read(reply)[0].lecture is True


def test_a_textbooks_words_are_a_lecture_also_under_the_name_and_a_concrete_story_is_not() -> None:
    general = (
        "As PHAROS, I believe that good seamanship depends on careful planning. Weather, tides and "
        "equipment each play an important role. By checking forecasts regularly and following "
        "safety guidelines, sailors can reduce risks and ensure a rewarding experience."
    )
    (found,) = read(general)
    assert found.lecture is True
    assert spans_of(found, "lecture", general) == [general]
    concrete = (
        "The north light went out at four, and the tug came in on the south line instead. Dawes "
        "swore at the fog, the fog took no notice, and the pilot boat is tied up at the wrong "
        "steps until the tide turns. Somebody has left a kettle on the bollard."
    )
    assert read(concrete)[0].lecture is False


def test_lines_without_words_make_no_lecture_of_what_is_said_to_somebody() -> None:
    said = (
        "You should know that you can improve several important skills, and you may include "
        "regular practice, since you know that knowledge may help you reach each of the goals "
        "that you have set for you."
    )
    assert read(said)[0].lecture is read(said + "\n---" * 20)[0].lecture is False


def test_leaked_reasoning_is_no_lecture() -> None:
    reply = (
        "<think>\n1. **Analyze**: understanding the request and its context.\n"
        "2. **Plan**: maintaining consistency and engagement."
    )
    assert read(reply)[0].lecture is False


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("We're making nine knots and the tide is with the boat.", Naming.NONE),
        ("Humans share the planet together and must protect it.", Naming.NONE),
        ("You hold the lens and I turn it; between us it gets done.", Naming.NATURAL),
        (
            "Our partnership grows through ongoing collaboration and mutual trust, together.",
            Naming.MECHANICAL,
        ),
    ],
)
def test_partnership_is_of_the_two_and_stock_phrases_are_mechanical(
    response: str, expected: Naming
) -> None:
    (found,) = read(response)
    assert found.partnership is expected, found.spans


def test_phrases_that_are_not_looked_for_would_change_nothing() -> None:
    phrases = ("stock", "ours", "pair")
    assert all(linear("partnership").weights.get(name, 0) >= 0 for name in phrases)
    assert not set(phrases) & set(linear("stock_partnership").weights)
    seen = set()
    for case in [*contrast_cases(), *cases_in(WRITTEN)]:
        turn = Turn(index=1, prompt=case["prompt"], response=case["response"])
        transcript = Transcript(id="t", persona=Persona(name=case["persona"]), turns=(turn,))
        [reply] = replies_of(transcript)
        setting = partnership.Setting(reply.prompt, recurrence=0.0)
        every = partnership.features(reply.text, setting)
        odds = linear("partnership").score(every) + reply.text.mean_weight("partnership")
        spoken_of = odds > 0 and not partnership.is_elsewhere(reply.text, setting, every)
        if reply.text.kinds & (WE | YOU | RELATION | RELATING):
            judged, _spans = partnership.judge(reply.text, setting)
            assert (judged is not Naming.NONE) == spoken_of, case["id"]
            seen.add(spoken_of)
    assert seen == {True, False}
