"""Truncation: was the reply cut off? The engine's stop reason decides where there is one.

The text decides only when nobody recorded why the reply ended. It cannot tell a reply that was
cut off at the end of a sentence.
"""

from __future__ import annotations

import re

from holdtrue.engines.base import StopReason
from holdtrue.scoring.lexicon import NAME_MARK
from holdtrue.scoring.measures import Span
from holdtrue.scoring.text import Text

_CLOSERS = "\"')]}*_`»”’"
_CLOSERS_OR_BLANK = _CLOSERS + " "
_QUOTES = "\"'"
_OPENERS = "\"'(*_«“‘"
_TERMINAL = ".!?…。！？।؟"
_BARE_MARKER = re.compile(r"(?:^|\n)[ \t]*(?:[-*•+–]|\(?\d{1,3}[.)]?|#{1,6})[ \t]*$", re.ASCII)
_DANGLING = frozenset(
    [
        *("a", "an", "the", "my", "your", "our", "his", "her", "its", "their", "these", "every"),
        *("and", "or", "but", "nor", "because", "than", "if", "while", "although", "though"),
        *("of", "from", "into", "between", "such", "including", "which", "whose", "very", "as"),
    ]
)
_DANGLING_LINE = re.compile(
    r"\b(?:to|with|for|by|at|in|on|is|are|was|were|that|who|where|when|about|has|have|can|will|not|"
    r"(?:the|an?|my|your|its|their|this) (?:old|new|main|small|large|big|little|long|short|great|"
    r"good|"
    r"entire|own|various|several|upper|lower|inner|outer|young|next|whole|same|remaining|early|high|"
    r"low|deep|narrow|wide))$",
    re.ASCII,
)
_EMOTICON = re.compile(r"(?:^|[\s.!?\"'])(?:[:;=]['-]?[()dpo3|]|<3|xd)$")
_IS_ITEM = re.compile(r"[-*•+–]\s|\(?\d{1,3}[.)]\s", re.ASCII)
_WORD = re.compile(r"[\w'-]+")
_SIGNED = re.compile(rf"(?:[,:—–-]|\n)\s*{NAME_MARK}+(?:, [^.!?\n]{{1,40}})?$", re.ASCII)
_ADDRESS = re.compile(r"(?:\S*\n)*(?:https?://|www\.)\S+$", re.ASCII)
_SPOKEN = re.compile(
    r"(?:[,:\n]|^|\b(?:says?|said|reads?|wrote|writes|called|named|is|was))\s*[\"'(*_]*$",
    re.ASCII,
)
MAX_SHORT_WORDS = 15  # a reply this short may go without a full stop
MAX_CARELESS_WORDS = 20  # so may one this short, if its last word can end a sentence
MAX_BRIEF_WORDS = 40  # and one this short, if so is its last sentence
MAX_LAST_WORDS = 8
LONGEST_LAST = 40  # characters of the last word
LAST_WORDS = 30  # characters that hold the last two words
MAX_LINE_WORDS = 14  # a line this short may be one of a list or record


def judge(text: Text, stop_reason: StopReason) -> tuple[bool, list[Span]]:
    """Whether the reply was cut off, with the span of its end if so."""
    if stop_reason is StopReason.STOP:
        return False, []
    body = text.masked.rstrip()
    limit = stop_reason is StopReason.LENGTH
    reason = "the engine stopped at its limit" if limit else _cut_off(text, body)
    if reason is None:
        return False, []
    start = len(text.masked) - len(text.masked.lstrip())
    return True, [Span("truncated", max(start, len(body) - 40), len(body), reason)]


def _cut_off(text: Text, body: str) -> str | None:
    """Why the text looks cut off; None when it is whole."""
    if "`" in body and body.count("```") % 2:
        return "a code block is left open"
    if "\n" in body and _BARE_MARKER.search(body[-12:]):
        return "ends on an empty list item"
    core = body.rstrip(_CLOSERS_OR_BLANK)
    if not core or core[-1] in _TERMINAL:
        return None
    if _EMOTICON.search(body[-5:]) or _ADDRESS.match(body[body.rfind(" ") + 1 :]):
        return None
    if core[-1] in ',;:-–—([{"/&+=':
        return f"ends on {core[-1]!r}"
    if body.endswith("`") or (NAME_MARK in body[-90:] and _SIGNED.search(body[-90:])):
        return None
    if _ends_quoting(text, body):
        return None
    backwards = _WORD.match(core[: -LONGEST_LAST - 1 : -1])
    if backwards is None:
        return None  # an emoji or another sign that ends a message
    word = backwards[0][::-1]
    if word in _DANGLING and body[-1] not in _QUOTES:
        return f"ends on the word {word!r}"
    return _unfinished(text, body)


def _ends_quoting(text: Text, body: str) -> bool:
    """Whether the reply ends with something read out, whose own stop is the reply's."""
    if body[-1] not in _QUOTES or not text.quotations or text.quotations[-1][1] != len(body):
        return False
    opened = text.quotations[-1][0]
    return _SPOKEN.search(body[max(0, opened - 20) : opened]) is not None


def _is_careless(text: Text) -> bool:
    """Whether no sentence of several begins with a capital: then none needs a full stop."""
    if any([text.raw[each.start].isupper() for each in text.sentences]):
        return False
    said = [text.raw[each.start : each.end].lstrip(_OPENERS)[:1] for each in text.sentences]
    cased = [first for first in said if first.islower() or first.isupper()]
    return len(cased) > 1 and all(map(str.islower, cased))


def _ends_briefly(text: Text) -> bool:
    """Whether the last of several sentences is a short one."""
    return len(text.sentences) > 1 and len(text.sentences[-1].marks) <= MAX_LAST_WORDS


def _unfinished(text: Text, body: str) -> str | None:
    """For a text whose last mark is a letter or digit: prose that stops, or a line that may."""
    lines = [line for line in body.split("\n") if line.strip()]
    last = lines[-1].strip()
    if last.count("(") > last.count(")") or last.count('"') % 2:
        return "a bracket or quotation is left open"
    if len(lines) == 1 and text.size <= MAX_SHORT_WORDS:
        return None  # a short answer without a full stop
    if not _DANGLING_LINE.search(last[-LAST_WORDS:]):
        if body[-1] in _QUOTES or body[-1] == ")":
            return None  # a quotation or aside that closes the reply
        if len(last.split()) <= MAX_LINE_WORDS and _goes_without_stops(lines):
            return None  # a record, a poem or a list whose lines go without full stops
        if len(lines) == 1 and text.size <= MAX_BRIEF_WORDS and _ends_briefly(text):
            return None  # a chat message whose last words go without a full stop
        if (text.size <= MAX_CARELESS_WORDS and body.isascii()) or _is_careless(text):
            return None
    return "the last sentence does not end"


def _goes_without_stops(lines: list[str]) -> bool:
    """Whether at least half of the lines before the last that are like it, items of a list or
    not, go without a full stop."""
    item = _IS_ITEM.match(lines[-1].strip()) is not None
    alike = [
        line.rstrip(_CLOSERS_OR_BLANK)[-1:]
        for line in lines[:-1]
        if (_IS_ITEM.match(line.lstrip()) is not None) == item
    ]
    alike = [mark for mark in alike if mark != ":"]
    open_ended = sum(mark not in _TERMINAL for mark in alike)
    return open_ended > 0 and 2 * open_ended >= len(alike)
