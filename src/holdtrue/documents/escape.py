"""Hostile text made safe for where it is shown: a terminal, Markdown, HTML, a script element.

Nothing here shortens or judges text; it only makes sure that what somebody wrote is shown and
never obeyed. HTML itself is escaped by Jinja's autoescape and, in the page, by ``textContent``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
_MARKDOWN = str.maketrans(
    {
        **{character: f"\\{character}" for character in "\\`*_[]~$|"},
        "<": "&lt;",
        ">": "&gt;",
        "&": "&amp;",
        "@": "&#64;",
    }
)


def printable(text: str) -> str:
    r"""``text`` with control, escape and bidirectional characters shown instead of obeyed.

    A hidden character becomes its code point, as in ``\u{202e}``. Line feeds and tabs stay.
    """
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in _HIDDEN:
        return character
    return f"\\u{{{ord(character):x}}}"


def one_line(text: str) -> str:
    """``text`` made printable, with every run of white space folded into one space."""
    return " ".join(printable(text).split())


def clip(text: str, limit: int) -> str:
    """The first ``limit`` characters, with an ellipsis where something was left out."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def markdown(text: str) -> str:
    """``text`` as one line of Markdown that renders as itself, in a paragraph or a table cell.

    Emphasis, code, links, HTML, mathematics, automatic links and, at the start, headings, lists
    and quotes are all defused.
    """
    line = one_line(text).translate(_MARKDOWN)
    line = re.sub(r"(?i)(?<=[a-z])://", "&#58;//", line)
    line = re.sub(r"(?i)\bwww\.", lambda found: f"{found[0][:-1]}&#46;", line)
    if numbered := re.match(r"(\d+)([.)])(?=\s|$)", line):
        return f"{numbered[1]}\\{line[numbered.end() - 1 :]}"
    return f"\\{line}" if line[:1] in ("#", "+", "-", "=") and line else line


def markdown_code(text: str) -> str:
    """``text`` as a code span, whatever backticks it holds; safe inside a table cell."""
    line = one_line(text).replace("|", "\\|")
    if not line:
        return "–"
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line[0] == "`" or line[-1] == "`" else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def script_json(value: Any) -> str:
    """JSON that may stand inside a ``script`` element: it cannot close or open a tag.

    Not-a-number raises ValueError: an unknown value is null.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return json_shown(text)


def json_shown(text: str) -> str:
    """JSON ``text`` with hidden characters as its own escapes, which changes no value.

    They may not turn the text that a reader sees, and a lone surrogate cannot be written as UTF-8.
    """
    return re.sub(r"[^\n -~]", _json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    character = found[0]
    if unicodedata.category(character) not in _HIDDEN:
        return character
    return json.dumps(character)[1:-1]
