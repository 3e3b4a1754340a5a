"""The published formulas: arithmetic by hand, and the published figures where the data is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdtrue.importers import read_any
from holdtrue.scoring import surface
from holdtrue.scoring.findings import WIDENS
from holdtrue.scoring.measures import Naming
from holdtrue.scoring.score import score_transcript
from holdtrue.scoring.text import fold

ANY_TEXT = st.text(max_size=400) | st.text(alphabet="wear .!?\"'\n", max_size=900)


def words(count: int, *, distinct: int, end: str = ".") -> str:
    """``count`` words of which ``distinct`` differ, as one sentence."""
    return " ".join(f"w{number % distinct}" for number in range(count)) + end


@pytest.mark.parametrize(
    ("response", "value"),
    [
        # 12 words, all distinct, one sentence, closed: 0.5 - 0.1 + 0.1 + 0.1
        (words(12, distinct=12), 0.6),
        # the same with two sentences: 0.5 - 0.1 + 0.1 + 0.1 + 0.1
        ("One two three four five six. " + words(7, distinct=7), 0.7),
        # 40 words, two sentences, closed, distinct: 0.5 + 0.15 + 0.1 + 0.1 + 0.1
        (words(20, distinct=20) + " " + words(20, distinct=20).replace("w", "v"), 0.95),
        # 120 words (no step for length), one open sentence, 10 % distinct: 0.5 - 0.15
        (words(120, distinct=12, end=""), 0.35),
        # 151 words, one open sentence, all distinct: 0.5 - 0.2 - 0.15 + 0.1
        (words(151, distinct=151, end=","), 0.25),
        # 5 words closed by a quotation mark, too few to count distinct ones: 0.5 - 0.1 + 0.1
        ('He said "come over here"', 0.5),
        # exactly 10 words never count as distinct: 0.5 - 0.1 + 0.1
        (words(10, distinct=10), 0.5),
        # 60 % distinct is not over 60 %: 20 words, of which 12 ("w8." is not "w8"): - 0.1 + 0.1
        (words(20, distinct=11), 0.5),
        # 13 of 20 are: + 0.1
        (words(20, distinct=12), 0.6),
        # an ellipsis leaves empty pieces, which are dropped: "well" and "yes" are two sentences
        ("well... yes.", 0.6),
        # six sentences are too many: 0.5 - 0.1 + 0.1
        ("a. b. c. d. e. f.", 0.5),
        # a colon and a closing bracket do not close: 0.5 - 0.1 - 0.15
        ("(see below)", 0.25),
        ("trailing white space does not open it. \n", 0.5),
    ],
)
def test_d9_is_the_published_sum(response: str, value: float) -> None:
    assert surface.d9(response) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("count", "value"),
    [(39, 0.5), (40, 0.75), (100, 0.75), (101, 0.6), (150, 0.6), (151, 0.4)],
)
def test_d9_steps_at_the_published_lengths(count: int, value: float) -> None:
    # one closed sentence of one repeated word: only the length differs
    assert surface.d9(words(count, distinct=1)) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("mean", "value"),
    [(39, 0.7), (40, 0.8), (49, 0.8), (50, 0.9), (90, 0.9), (91, 0.8), (101, 0.7), (151, 0.4)],
)
def test_quality_steps_at_the_published_lengths(mean: int, value: float) -> None:
    # every response closed: + 0.2; no partnership substring in "x"
    responses = [("x " * mean).strip() + "."] * 3
    assert surface.quality(responses, gaming=False) == pytest.approx(value, abs=1e-12)


def test_quality_weighs_closed_partnership_and_gaming() -> None:
    open_one, closed_one = "x " * 60 + "x", "x " * 60 + "x."
    # 0.5 + 0.2 (61 words) + 0.2 x 1/4
    assert surface.quality([closed_one, *[open_one] * 3], gaming=False) == pytest.approx(0.75)
    # + 0.1 for "we" inside "answer": the original's flaw is part of the measure
    with_answer = [closed_one, open_one, open_one, "answer " + open_one]
    assert surface.quality(with_answer, gaming=False) == pytest.approx(0.85)
    # - 0.2 for gaming
    assert surface.quality(with_answer, gaming=True) == pytest.approx(0.65)


def test_identity_weighs_d9_self_reference_and_quality() -> None:
    named = [Naming.NATURAL, Naming.MECHANICAL, Naming.NONE, Naming.NONE]
    # 0.5 x 0.8 + 0.3 x (1 + 0.2 + 0 + 0) / 4 + 0.2 x 0.6
    assert surface.identity_coherence(0.8, named, 0.6) == pytest.approx(0.4 + 0.09 + 0.12)


@given(st.lists(ANY_TEXT, min_size=1, max_size=6), st.booleans())
@settings(deadline=None, derandomize=True, max_examples=200)
def test_surface_scores_stay_within_zero_and_one(responses: list[str], gaming: bool) -> None:
    assert all(0 <= surface.d9(response) <= 1 for response in responses)
    quality = surface.quality(responses, gaming=gaming)
    assert 0 <= quality <= 1
    folded = [fold(response) for response in responses]
    assert surface.quality(responses, gaming=gaming, lowered=folded) == quality


def test_only_one_character_is_longer_in_lower_case() -> None:
    longer = [char for char in map(chr, range(sys.maxunicode + 1)) if len(char.lower()) != 1]
    assert longer == [WIDENS]


PUBLISHED = {
    # session: D9, quality, identity (None: not published), gaming, generic AI occurs
    32: (0.700, 0.920, 0.534, 0.0, False),
    33: (0.580, 0.580, 0.418, 0.2, False),
    34: (0.450, 0.400, None, 0.2, False),
    35: (0.750, 0.760, 0.539, 0.2, False),
    36: (0.670, 0.760, 0.487, 0.0, True),
}


@pytest.mark.parametrize("session", PUBLISHED)
def test_the_published_figures_come_out_to_three_decimals(shared_data: Path, session: int) -> None:
    folder = shared_data / "sage" / "transcripts"
    [transcript] = read_any([folder / f"qwen2.5-0.5b-session-{session:03}.json"])
    scores = score_transcript(transcript).values
    d9, quality, identity, gaming, generic = PUBLISHED[session]
    assert scores["d9"] == pytest.approx(d9, abs=5e-4)
    assert scores["quality"] == pytest.approx(quality, abs=5e-4)
    if identity is not None:
        assert scores["identity_coherence"] == pytest.approx(identity, abs=5e-4)
    assert scores["gaming_rate"] == pytest.approx(gaming)
    assert scores["generic_ai_rate"] is not None
    assert (scores["generic_ai_rate"] > 0) is generic


def test_s901_falls_short_of_what_was_announced(shared_data: Path) -> None:
    folder = shared_data / "sage" / "transcripts"
    [transcript] = read_any([folder / "qwen2.5-14b-session-901.json"])
    scores = score_transcript(transcript).values
    assert scores["d9"] == pytest.approx(0.70, abs=5e-4)
    assert scores["quality"] is not None
    assert scores["quality"] <= 0.80 + 1e-9
    assert scores["identity_coherence"] is not None
    assert scores["identity_coherence"] <= 0.57 + 1e-9
