"""Hostile text is shown and never obeyed."""

from __future__ import annotations

import html
import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from holdtrue.documents.escape import (
    clip,
    markdown,
    markdown_code,
    one_line,
    printable,
    script_json,
)

text = st.text(st.characters(codec=None), max_size=60)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred", "\\u{1b}[31mred"),
        ("a\u202eb", "a\\u{202e}b"),
        ("zero\u200bwidth", "zero\\u{200b}width"),
        ("tag\U000e0041", "tag\\u{e0041}"),
        ("line\u2028next", "line\\u{2028}next"),
        ("bell\x07 nul\x00 c1\x9b", "bell\\u{7} nul\\u{0} c1\\u{9b}"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("déjà العربية 🧭", "déjà العربية 🧭"),
    ],
)
def test_hidden_characters_are_shown_by_their_code_point(hostile: str, shown: str) -> None:
    assert printable(hostile) == shown


@given(text)
@settings(deadline=None, derandomize=True, max_examples=200)
def test_nothing_printable_can_move_the_cursor_or_turn_the_direction(raw: str) -> None:
    for character in printable(raw):
        assert (
            character in "\n\t"
            or unicodedata.category(character)[0] != "C"
            or (unicodedata.category(character) == "Cn")
        )
    assert "\n" not in one_line(raw)


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[text](javascript:alert(1))",
        "![x](http://example.org/x.png)",
        "| a | b |",
        "# heading",
        "- item",
        "1. item",
        "> quote",
        "```fence",
        "$x^2$",
        "http://example.org",
        "www.example.org",
        "me@example.org",
        "**bold** _it_ ~~gone~~",
        "&lt; &#60;",
    ],
)
def test_markdown_renders_hostile_text_as_itself(hostile: str) -> None:
    parser = MarkdownIt("js-default", {"html": True})  # tables, strikethrough, raw HTML
    rendered = parser.render(markdown(hostile))
    assert not re.search(r"://|www\.|@", markdown(hostile))  # what readers turn into links
    cell = parser.render(f"| a |\n|---|\n| {markdown(hostile)} |")
    for found in (rendered, cell):
        for tag in ("<script", "<img", "<a ", "<h1", "<li", "<em", "<strong", "<del", "<code"):
            assert tag not in found
    assert cell.count("<td") == 1
    assert html.unescape(re.sub(r"</?p>\n?", "", rendered)).strip() == hostile


@given(text)
@settings(deadline=None, derandomize=True, max_examples=200)
def test_a_code_span_holds_any_text(raw: str) -> None:
    span = markdown_code(raw)
    assert "\n" not in span
    assert span == "–" or span[0] == "`" == span[-1]


@given(st.dictionaries(text, st.lists(text, max_size=3), max_size=3))
@settings(deadline=None, derandomize=True, max_examples=200)
def test_json_in_a_script_element_comes_back_and_holds_no_tag(value: dict[str, list[str]]) -> None:
    written = script_json(value)
    assert not set("<>&") & set(written)
    written.encode("utf-8")
    assert json.loads(written) == value


def test_json_in_a_script_element_refuses_not_a_number() -> None:
    with pytest.raises(ValueError, match="JSON"):
        script_json({"x": float("nan")})


def test_clipped_text_is_at_most_as_long_as_asked() -> None:
    assert clip("a" * 50, 10) == "a" * 9 + "…"
    assert clip("short", 10) == "short"
