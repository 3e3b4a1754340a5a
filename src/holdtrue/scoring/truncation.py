"""Truncation: was the reply cut off? The engine's stop reason decides where there is one.

The text decides only when nobody recorded why the reply ended. It cannot tell a reply that was
cut off at the end of a sentence.
"""

from __future__ import annotations

import re

from holdtrue.engines.base import StopReason
from holdtrue.scoring.measures import Span
from holdtrue.scoring.text import Text

_CLOSERS = "\"')]}*_`»”’"
_TERMINAL = ".!?…。！？।؟"
_BARE_MARKER = re.compile(r"(?:^|\n)[ \t]*(?:[-*•+–]|\(?\d{1,3}[.)]?|#{1,6})[ \t]*$")
_DANGLING = frozenset(
    """a an the this that these those my your our his her its their and or but nor so yet if when
    while because since as than of in on at by for with without to from into onto about between
    through during including such which who whose whom where what how is are was were be been being
    am has have had will would can could may might must should shall do does did not very more most
    less i we they he she you i'm we're it's also both either each every any some no even just
    whether until unless although though after before within across toward towards via per like
    overall however therefore additionally furthermore""".split()
)
_IS_ITEM = re.compile(r"[-*•+–]\s|\(?\d{1,3}[.)]\s")
_WORD_AT_END = re.compile(r"[\w'-]+$")
MAX_FRAGMENT_WORDS = 8
MAX_LINE_WORDS = 14


def judge(text: Text, stop_reason: StopReason) -> tuple[bool, list[Span]]:
    """Whether the reply was cut off, with the span of its end if so."""
    body = text.folded.rstrip()
    tail = max(len(text.folded) - len(text.folded.lstrip()), len(body) - 40)
    if stop_reason is StopReason.LENGTH:
        return True, [Span("truncated", tail, len(body), "the engine stopped at its limit")]
    if stop_reason is StopReason.STOP:
        return False, []
    reason = _cut_off(text, body)
    return (True, [Span("truncated", tail, len(body), reason)]) if reason else (False, [])


def _cut_off(text: Text, body: str) -> str | None:
    """Why the text looks cut off; None when it is whole."""
    if body.count("```") % 2:
        return "a code block is left open"
    if _BARE_MARKER.search(body[-12:]) and "\n" in body:
        return "ends on an empty list item"
    core = body.rstrip(_CLOSERS + " ")
    if not core:
        return None
    if core[-1] in _TERMINAL:
        return None
    if core != body and body[-1] in "\"')]}»”’`" and core[-1] not in ",:;-–—(":
        return None  # a closed quotation or bracket ends the reply
    if core[-1] in ',;:-–—([{"/&+=':
        return f"ends on {core[-1]!r}"
    word = _WORD_AT_END.search(core[-40:])
    if word is None:
        return None  # an emoji or another sign that ends a message
    if word[0] in _DANGLING:
        return f"ends on the word {word[0]!r}"
    return _unfinished(text, body)


def _unfinished(text: Text, body: str) -> str | None:
    """For a text whose last mark is a letter or digit: prose that stops, or a line that may."""
    lines = [line.strip() for line in body.split("\n") if line.strip()]
    last = lines[-1]
    if last.count("(") > last.count(")") or last.count('"') % 2:
        return "a bracket or quotation is left open"
    alike = [
        line for line in lines[:-1] if bool(_IS_ITEM.match(line)) == bool(_IS_ITEM.match(last))
    ]
    alike = [line for line in alike if not line.rstrip(_CLOSERS).endswith(":")]
    open_ended = [line for line in alike if line.rstrip(_CLOSERS)[-1:] not in _TERMINAL]
    if open_ended and 2 * len(open_ended) >= len(alike) and len(last.split()) <= MAX_LINE_WORDS:
        return None  # a record, a poem or a list whose lines go without full stops
    if len(lines) == 1 and len(text.sentences) == 1 and len(last.split()) <= MAX_FRAGMENT_WORDS:
        return None  # a short answer without a full stop
    return "the last sentence does not end"
