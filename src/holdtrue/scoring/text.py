"""A response as the detectors see it: folded text, sentences with their words and word classes.

Folding keeps every character at its place, so that a span found in the folded text is a span of
the response. The persona's own names are replaced by a run of one placeholder character: no
detector but the one for self-reference can depend on how a persona is called. Everything here is
one pass over the text; it knows no grammar and no language but the marks that end a sentence.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from holdtrue.scoring.lexicon import ABSTRACT, GENERIC, classes

NAME_MARK = "\ue000"

_STRAIGHT = {"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
_WORD = re.compile(rf"{NAME_MARK}+|\w+(?:['-]\w+)*")
_STOP = re.compile(r"[.!?…。！？؟।\n][.!?…\"')\]*_]*")
_WIDE_STOPS = "\n。！？؟।"
_ABBREVIATIONS = frozenset(
    ["mr", "mrs", "ms", "dr", "st", "no", "vs", "etc", "capt", "prof", "approx", "e.g", "i.e"]
)
_ITEM = re.compile(r"^[ \t]*(?:[-*•+–]|\(?\d{1,3}[.)]|[a-z][.)])[ \t]+(?=\S)", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+\S|\*\*[^*\n]{1,80}\*\*:?[ \t]*$)", re.MULTILINE)
_QUOTE = re.compile(r'"([^"\n]{1,400})"|(?<![\w\'])\'([^\'\n]{3,200})\'(?!\w)')


def fold(text: str) -> str:
    """Lower case and straight quotes, every character at its place."""
    if text.isascii():
        return text.lower()
    for curly, straight in _STRAIGHT.items():
        if curly in text:
            text = text.replace(curly, straight)
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


@dataclass(frozen=True, slots=True)
class Sentence:
    """Characters ``start:end`` of the response: folded text, words, their classes one by one
    (``marks``) and together (``kinds``)."""

    start: int
    end: int
    text: str
    words: list[str]
    marks: list[int]
    kinds: int


class Text:
    """A response with its parts.

    ``names`` are the spans of the persona's names in ``raw``, which ``masked`` hides.
    """

    def __init__(self, raw: str, names: tuple[tuple[int, int], ...] = ()) -> None:
        self.raw = raw
        self.folded = fold(raw)
        masked = self.folded
        if names:
            pieces, last = [], 0
            for start, end in names:
                pieces += [masked[last:start], NAME_MARK * (end - start)]
                last = end
            masked = "".join([*pieces, masked[last:]])
        self.masked = masked
        self.sentences = list(self._split())
        self.kinds = 0
        for sentence in self.sentences:
            self.kinds |= sentence.kinds

    def _split(self) -> list[Sentence]:
        """Sentences and lines in order, without the white space around them; none is empty."""
        masked, found, start = self.masked, [], 0
        for match in _STOP.finditer(masked):
            end = match.end()
            if masked[match.start()] not in _WIDE_STOPS:
                if end < len(masked) and not masked[end].isspace():
                    continue
                if masked[match.start()] == "." and _is_abbreviation(masked, match.start()):
                    continue
            _add(found, masked, start, end)
            start = end
        _add(found, masked, start, len(masked))
        return found

    @cached_property
    def words(self) -> list[str]:
        """Words of the masked text in order; a name is one word of placeholders."""
        return [word for sentence in self.sentences for word in sentence.words]

    @cached_property
    def _counts(self) -> Counter[int]:
        return Counter([mark for sentence in self.sentences for mark in sentence.marks])

    def count(self, kind: int) -> int:
        """Words that belong to any of the classes in ``kind``."""
        if not self.kinds & kind:
            return 0
        return sum(number for marks, number in self._counts.items() if marks & kind)

    @cached_property
    def size(self) -> int:
        """Number of words."""
        return sum(self._counts.values())

    @cached_property
    def generic_share(self) -> float:
        """Share of words (0 to 1) that are abstract or part of what any assistant says."""
        return self.count(GENERIC | ABSTRACT) / self.size if self.size else 0.0

    def sentence_at(self, position: int) -> Sentence:
        """The sentence that holds a character, or the nearest one before it."""
        return self.sentences[max(0, bisect_right(self._starts, position) - 1)]

    @cached_property
    def _starts(self) -> list[int]:
        return [sentence.start for sentence in self.sentences]

    @cached_property
    def quotations(self) -> tuple[tuple[int, int], ...]:
        """Spans between quotation marks; none when nearly the whole response is one quotation."""
        if '"' not in self.masked and "'" not in self.masked:
            return ()
        spans = tuple(match.span() for match in _QUOTE.finditer(self.masked))
        if any(end - start > 0.8 * len(self.raw.strip()) for start, end in spans):
            return ()
        return spans

    def is_quoted(self, position: int) -> bool:
        """Whether a character stands inside a quotation."""
        at = bisect_right(self.quotations, (position, -1)) - 1
        return at >= 0 and self.quotations[at][0] < position < self.quotations[at][1]

    @cached_property
    def unquoted_words(self) -> set[str]:
        """The different words outside quotations."""
        pieces, last = [], 0
        for start, end in self.quotations:
            pieces.append(self.masked[last:start])
            last = end
        return set(_WORD.findall(" ".join([*pieces, self.masked[last:]])))

    @property
    def thinks_aloud(self) -> bool:
        """Whether the response is reasoning that leaked: a thinking block that never ends."""
        return "<think>" in self.folded and "</think>" not in self.folded

    @cached_property
    def items(self) -> tuple[int, ...]:
        """Where each line begins that is an item of a bulleted or numbered list."""
        if "\n" not in self.raw:
            return ()
        return tuple(match.start() for match in _ITEM.finditer(self.masked))

    @cached_property
    def headings(self) -> int:
        """Lines that are Markdown headings."""
        return len(_HEADING.findall(self.raw)) if "\n" in self.raw else 0


def kinds_of(folded: str) -> int:
    """The word classes of a piece of folded text, together."""
    table = classes()
    kinds = 0
    for word in _WORD.findall(folded):
        kinds |= table[word]
    return kinds


def words_of(text: str) -> set[str]:
    """The different words of a text, folded."""
    return set(_WORD.findall(fold(text)))


def _add(found: list[Sentence], masked: str, start: int, end: int) -> None:
    piece = masked[start:end]
    body = piece.strip()
    if not body:
        return
    first = start + len(piece) - len(piece.lstrip())
    words = _WORD.findall(body)
    table = classes()
    marks = [table[word] for word in words]
    kinds = 0
    for mark in marks:
        kinds |= mark
    found.append(Sentence(first, first + len(body), body, words, marks, kinds))


def _is_abbreviation(masked: str, stop: int) -> bool:
    """Whether the full stop at ``stop`` belongs to an abbreviation, an initial or a list number."""
    window = masked[max(0, stop - 12) : stop]
    if not window or window[-1].isspace():
        return False
    word = window.split()[-1]
    begin = stop - len(word)
    if word.isdigit():
        line = masked.rfind("\n", max(0, begin - 12), begin) + 1
        return (line > 0 or begin < 12) and not masked[line:begin].strip()
    word = word.lstrip("(\"'")
    return word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word != "i")
