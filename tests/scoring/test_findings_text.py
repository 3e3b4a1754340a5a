"""How a response is taken apart: folding, sentences, names, word classes, weights."""

from __future__ import annotations

import json
from importlib import resources
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdtrue.persona import Persona
from holdtrue.scoring import lexicon
from holdtrue.scoring.lexicon import NAME_MARK
from holdtrue.scoring.naming import core_expansion, names_of
from holdtrue.scoring.text import Text, fold, words_of
from holdtrue.scoring.weights import linear


def sentences(text: str) -> list[str]:
    return [text[part.start : part.end] for part in Text(text, fold(text)).sentences]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=300))
def test_folding_keeps_every_character_at_its_place(text: str) -> None:
    assert len(fold(text)) == len(text)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet="ab .!?\n\"'-1…。", max_size=120))
def test_sentences_cover_all_that_is_not_white_space(text: str) -> None:
    parts = Text(text, fold(text)).sentences
    assert all(part.start < part.end for part in parts)
    assert all(a.end <= b.start for a, b in pairwise(parts))
    kept = "".join(text[part.start : part.end] for part in parts)
    assert "".join(kept.split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("At 3.8 degrees it froze.", ["At 3.8 degrees it froze."]),
        ("Mr. Hale came, e.g. on Monday. He left.", ["Mr. Hale came, e.g. on Monday.", "He left."]),
        ("A list:\n1. Rope\n2. Lamp", ["A list:", "1. Rope", "2. Lamp"]),
        ('He said "Go." Then he went.', ['He said "Go."', "Then he went."]),
        ("灯り。風。", ["灯り。", "風。"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_items_of_lists_are_told_from_sentences() -> None:
    text = "Bring:\n- rope\n* lamp\n  3) oil\nand 4 men.\n-- no item"
    parts = Text(text, fold(text)).sentences
    assert [part.item for part in parts] == [False, True, True, True, False, False]


@pytest.mark.parametrize(
    ("name", "expansion", "core"),
    [
        ("VRA", "Vent and Root Assistant, a greenhouse robot", "Vent and Root Assistant"),
        ("ORLA", "Overnight Rounds Listening Aide", "Overnight Rounds Listening Aide"),
        ("Bit", "a fox spirit, the player's friend", "a fox spirit"),
        ("TALLY", "Tram yard: the night desk", "Tram yard"),
    ],
)
def test_the_expansion_is_what_the_name_stands_for(name: str, expansion: str, core: str) -> None:
    assert core_expansion(name, expansion) == core


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I am PHAROS-Two.", ["PHAROS-Two"]),
        ('As PHAROS "Two," I wait.', ['PHAROS "Two,"']),
        ("PHAROS's lamp, in PHAROSIAN style.", ["PHAROS"]),
        ("Pharos is an island.", ["Pharos"]),
        ("the pharoses", []),
        ("the Old  Keeper", ["Old  Keeper"]),
        ("a Port Harbour Automated\nRange", ["Port Harbour Automated\nRange"]),
    ],
)
def test_names_are_found_with_variants_and_word_bounds(text: str, found: list[str]) -> None:
    persona = Persona(
        name="PHAROS", expansion="Port Harbour Automated Range", aliases=("Old Keeper",)
    )
    mentions = names_of(persona, [], []).find(text, fold(text))
    assert [text[mention.start : mention.end] for mention in mentions] == found


def test_a_name_with_signs_of_patterns_is_taken_literally() -> None:
    persona = Persona(name="C.L.(A)*+", aliases=("a|b",))
    mentions = names_of(persona, [], []).find(
        "I am C.L.(A)*+ or a|b, not CxLx.", "i am c.l.(a)*+ or a|b"
    )
    assert len(mentions) == 2


def test_word_classes_are_found_with_marks_at_the_word_and_forgotten_in_bounds() -> None:
    table = lexicon.tokens()
    assert table["partnership,"].classes & lexicon.RELATION
    assert table['("we'].classes & lexicon.WE
    assert table["governance—climate"].classes & lexicon.SUBJECT
    assert table["governance—climate"].words == "governance climate"
    assert table["12.5"].classes & lexicon.SPECIFIC
    assert table["illumination"].classes & lexicon.ABSTRACT & ~lexicon.GENERAL
    assert table["illumination"].classes & lexicon.GENERAL
    assert table["reeds"].classes & lexicon.PLURAL
    assert not table["was"].classes & lexicon.PLURAL
    assert table["—"].classes & lexicon.NO_WORD
    for number in range(120_000):
        assert table[f"zz{number}"].classes == 0
    assert len(table) <= 100_000
    assert table["partnership"].classes & lexicon.RELATION
    long = "z" * 100_000
    assert table[long].words == long
    assert long not in table


@given(
    st.sampled_from(["reeds", "partnership", "could", "i", "dr", "12", "état", "governance", "²"]),
    st.text(alphabet=".,;:!?…\"'()[]*_-–—~@", max_size=4),
    st.text(alphabet=".,;:!?…\"'()[]*_-–—~@", max_size=4),
)
def test_a_word_is_the_same_with_marks_at_it(word: str, before: str, after: str) -> None:
    table = lexicon.tokens()
    table.pop(f"{before}{word}{after}", None)
    bare, marked = table[word], table[f"{before}{word}{after}"]
    assert marked[:-1] == bare[:-1]
    assert words_of(f"{before}{word}{after}") == [word]


@given(st.text(alphabet="Iweyou reeds partnership 12 could the \n.-—", max_size=200))
def test_a_texts_counts_are_those_of_its_tokens(raw: str) -> None:
    text = Text(raw, fold(raw))
    table = lexicon.tokens()
    for kind in (*lexicon.COUNTED, lexicon.SELF, lexicon.RELATION | lexicon.STOCK):
        told = sum(bool(table[token].classes & kind) for token in text.masked.split())
        assert text.count(kind) == told


def test_linear_scores_count_absent_features_as_nothing() -> None:
    model = linear("confabulation")
    assert model.score({}) == model.bias
    assert model.score({"years": 1.0}) == pytest.approx(model.bias + model.weights["years"])
    with pytest.raises(KeyError):
        linear("no such score")


def test_a_mark_in_the_text_itself_stands_for_no_name() -> None:
    raw = f"{NAME_MARK} hello{NAME_MARK}there"
    text = Text(raw, fold(raw))
    assert NAME_MARK not in text.masked
    assert len(text.masked) == len(raw)
    assert text.words == ["hello", "there"]
    assert len(text.tokens) == len(raw.split())


# ---- weights of words

SPOKEN = st.lists(
    st.sampled_from(
        [
            "no",
            "text",
            "chat",
            "the",
            "lamp",
            "I'm",
            "we",
            '"please"',
            '"good"/"bad"',
            "(assistant)",
            "'happy'",
            "'tis",
            "chat's'",
            "help'_text'",
            'no"chat"text',
        ]
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(SPOKEN, st.sampled_from(lexicon.WORD_SCORES))
def test_a_mean_weight_is_that_of_the_words_outside_quotations(said: list[str], score: str) -> None:
    text = Text(" ".join(said), fold(" ".join(said)))
    source = resources.files("holdtrue") / "data" / "weights" / "word_weights.json"
    table = json.loads(source.read_text(encoding="utf-8"))["words"]
    place = lexicon.WORD_SCORES.index(score)
    own = [table[word][place] for word in words_of(text.unquoted()) if word in table]
    expected = sum(own) / (len(own) + lexicon.WEIGHT_PRIOR)
    assert text.mean_weight(score) == pytest.approx(expected, abs=1e-6)


def test_what_is_quoted_has_no_weight() -> None:
    quoted = Text('"no chat text"/"assistant" the lamp', '"no chat text"/"assistant" the lamp')
    plain = Text("the lamp", "the lamp")
    assert quoted.quotations
    assert quoted.mean_weight("collapse") == pytest.approx(plain.mean_weight("collapse"))


def test_the_weights_file_names_its_scores_in_order_and_has_the_personas_name() -> None:
    source = resources.files("holdtrue") / "data" / "weights" / "word_weights.json"
    body = json.loads(source.read_text(encoding="utf-8"))
    assert tuple(body["scores"]) == lexicon.WORD_SCORES
    assert body["words"][lexicon.NAME_KEY][0] < 0  # who names itself has not dropped out
    largest = max(abs(weight) for each in body["words"].values() for weight in each)
    assert largest * lexicon.HUNDREDTHS < lexicon.WEIGHT_OFFSET
