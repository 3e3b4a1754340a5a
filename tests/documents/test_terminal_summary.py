"""The closing words in the terminal: 80 columns, colour only where wanted, nothing obeyed."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import record_factory as make
from holdtrue.capacity import RunRecord
from holdtrue.documents.terminal import BLOCKS, print_summary, print_to, sparkline


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return make.make_record(tmp_path_factory.mktemp("run"), 12)


def printed(record: RunRecord, encoding: str = "utf-8", **settings: object) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    options = {"width": 80, "markup": False, "highlight": False, "emoji": False} | settings
    print_to(Console(file=stream, **options), record)  # type: ignore[arg-type]
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_a_series_is_drawn_from_its_lowest_to_its_highest_block() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == BLOCKS
    assert sparkline([0, 1], low=0, high=1) == "▁█"
    assert sparkline([5, 5, 5]) == "▁▁▁"
    assert sparkline([None, 1.0, math.nan, 2.0]) == "·▁·█"
    assert sparkline([]) == ""
    assert sparkline([0, 7], ascii_only=True) == "_#"


@given(
    st.lists(st.none() | st.floats(-1e9, 1e9), max_size=200),
    st.integers(2, 40),
    st.booleans(),
)
@settings(deadline=None, derandomize=True, max_examples=100)
def test_a_series_never_takes_more_room_than_it_is_given(
    values: list[float | None], width: int, ascii_only: bool
) -> None:
    drawn = sparkline(values, width=width, ascii_only=ascii_only)
    assert len(drawn) <= width
    assert not ascii_only or drawn.isascii()


def test_a_long_series_keeps_its_first_and_last_value() -> None:
    drawn = sparkline([0.0] + [0.5] * 98 + [1.0], width=10)
    assert (drawn[0], drawn[-1], len(drawn)) == ("▁", "█", 10)


def test_the_summary_fits_80_columns_and_says_what_matters(record: RunRecord) -> None:
    text = printed(record)
    assert max(len(line) for line in text.splitlines()) <= 80
    words = " ".join(text.split())
    for part in ("SAGE", "Outcome", "Gaming", "≤ 5 %", "Minimum:", "Next:"):
        assert part in words
    assert "…" not in text


def test_an_output_without_block_characters_gets_plain_ones(record: RunRecord) -> None:
    assert printed(record, "ascii").isascii()
    assert "<= 5 %" in printed(record, "ascii")
    assert "≤" not in printed(record, "latin-1")


def test_colour_is_for_terminals_that_want_it(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "\x1b[" in printed(record, force_terminal=True, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    plain = printed(record, force_terminal=True)
    assert "\x1b[3" not in plain
    print_summary(record)
    assert "\x1b" not in capsys.readouterr().out


def test_names_from_files_cannot_move_the_cursor(tmp_path: Path) -> None:
    config = make.make_config()
    persona = config.persona.model_copy(update={"name": "EV\x1b[2JIL\u202e"})
    text = printed(make.make_record(tmp_path, 4, persona=persona))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\u{1b}" in text
