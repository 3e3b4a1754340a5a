"""A response as the detectors see it: folded text, words, sentences, lines, quotations.

Folding keeps every character at its place, so that a span found in the folded text is a span of
the response. The persona's own names are replaced by a run of one placeholder character: no
detector but the one for self-reference can depend on how a persona is called. Everything here is
one pass over the text; it knows no grammar and no language but the marks that end a sentence.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

NAME_MARK = "\ue000"

_FOLDS = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
)
_WORD = re.compile(rf"{NAME_MARK}+|\w+(?:['-]\w+)*")
_SENTENCE_END = re.compile(r"(?:[.!?…]+[\"')\]*_]*(?=\s)|。|！|？|\n)\s*")
_ABBREVIATION = re.compile(r"\b(?:[a-z]|mr|mrs|ms|dr|st|no|vs|etc|e\.g|i\.e|capt|prof|approx)\.$")
_ITEM = re.compile(r"^[ \t]*(?:[-*•+–]|\(?\d{1,3}[.)]|[a-z][.)])[ \t]+(?=\S)", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+\S|\*\*[^*\n]{1,80}\*\*:?[ \t]*$)", re.MULTILINE)
_QUOTE = re.compile(r'"([^"\n]{1,400})"|(?<![\w\'])\'([^\'\n]{3,200})\'(?!\w)')


def fold(text: str) -> str:
    """Lower case and straight quotes, every character at its place."""
    folded = text.translate(_FOLDS)
    lowered = folded.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in folded)


@dataclass(frozen=True, slots=True)
class Sentence:
    """Characters ``start:end`` of the response, and their folded text."""

    start: int
    end: int
    text: str


class Text:
    """A response with its parts, each found when it is first asked for.

    ``names`` are the spans of the persona's names in ``raw``, which ``masked`` hides.
    """

    def __init__(self, raw: str, names: tuple[tuple[int, int], ...] = ()) -> None:
        self.raw = raw
        self.folded = fold(raw)
        masked = self.folded
        for start, end in names:
            masked = masked[:start] + NAME_MARK * (end - start) + masked[end:]
        self.masked = masked

    @cached_property
    def words(self) -> list[str]:
        """Words of the masked text in order; a name is one word of placeholders."""
        return _WORD.findall(self.masked)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        return frozenset(self.words)

    @cached_property
    def sentences(self) -> list[Sentence]:
        """Sentences and lines in order, without the white space around them; none is empty."""
        found: list[Sentence] = []
        start = 0
        for match in _SENTENCE_END.finditer(self.masked):
            head = self.masked[start : match.end()].rstrip()
            ends_line = "\n" in match[0]
            if not ends_line and _ABBREVIATION.search(head[-8:]):
                continue
            self._add(found, start, match.end())
            start = match.end()
        self._add(found, start, len(self.masked))
        return found

    def _add(self, found: list[Sentence], start: int, end: int) -> None:
        piece = self.masked[start:end]
        body = piece.strip()
        if body:
            first = start + len(piece) - len(piece.lstrip())
            found.append(Sentence(first, first + len(body), body))

    def sentence_at(self, position: int) -> Sentence:
        """The sentence that holds a character, or the nearest one before it."""
        starts = [sentence.start for sentence in self.sentences]
        return self.sentences[max(0, bisect_right(starts, position) - 1)]

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
        return any(start < position < end for start, end in self.quotations)

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
