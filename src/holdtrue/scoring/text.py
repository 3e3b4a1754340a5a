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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from holdtrue.scoring.lexicon import (
    ABSTRACT,
    ENDS,
    ENDS_UNLESS_FIRST,
    GENERIC,
    NO_WORD,
    WORDS,
    classes,
)

NAME_MARK = "\ue000"

_STRAIGHT = {"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
_WIDE_STOP = re.compile("[。！？؟।][.!?…\"')\\]*_]*")
_WIDE_STOPS = "。！？؟।"
_ITEM = re.compile(r"(?:[-*•+–]|\(?\d{1,3}[.)]|[a-z][.)])[ \t]+\S")
# The first character is matched alone, so that the search can skip to it.
_QUOTE = re.compile(r"""['"](?:(?<=")[^"\n]{1,400}"|(?<=')(?<![\w'].)[^'\n]{3,200}'(?!\w))""")
MOSTLY_QUOTED = 0.8  # share of a response in one quotation from which it is no quotation


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


def words_of(folded: str) -> list[str]:
    """The words of a piece of folded text, in order."""
    return [word for word in map(WORDS.__getitem__, folded.split()) if word]


def kinds_of(folded: str) -> int:
    """The word classes of a piece of folded text, together."""
    return reduce(or_, map(classes().__getitem__, folded.split()), 0)


@dataclass(slots=True)
class Sentence:
    """Characters ``start:end`` of the response.

    ``text`` is folded, ``marks`` are the classes of its tokens one by one and ``kinds`` together;
    ``item`` if it begins an item of a list.
    """

    start: int
    end: int
    text: str
    marks: list[int]
    kinds: int
    item: bool

    def words(self, kind: int) -> list[str]:
        """Its words of a class, in order."""
        tokens = zip(self.text.split(), self.marks, strict=True)
        return [WORDS[token] for token, mark in tokens if mark & kind]


class Prompt:
    """What the partner said, folded, as the detectors need it; the persona's names are hidden."""

    __slots__ = ("folded", "kinds", "words")

    def __init__(self, folded: str, names: Sequence[tuple[int, int]] = ()) -> None:
        self.folded = _mask(folded, names) if names else folded
        self.words = words_of(self.folded)
        self.kinds = kinds_of(self.folded)


class Text:
    """A response with its parts.

    ``names`` are the spans of the persona's names in ``raw``, which ``masked`` hides. ``kinds``
    are the classes of all words, ``size`` is their number (a name is one), ``items`` that of list
    items, and ``generic_share`` the share (0 to 1) of words that any assistant says or that are
    abstract. ``tokens`` are what stands between the blanks of the masked text.
    """

    __slots__ = (
        "_counts",
        "_quotations",
        "folded",
        "generic_share",
        "items",
        "kinds",
        "masked",
        "raw",
        "sentences",
        "size",
        "thinks_aloud",
        "tokens",
    )

    def __init__(self, raw: str, folded: str, names: Sequence[tuple[int, int]] = ()) -> None:
        self.raw = raw
        self.folded = folded
        self.masked = _mask(folded, names) if names else folded
        self.tokens: list[str] = []
        self.sentences = _split(self.masked, self.tokens)
        self._quotations: tuple[tuple[int, int], ...] | None = None
        marks: list[int] = []
        self.kinds = 0
        self.items = 0
        for sentence in self.sentences:
            marks += sentence.marks
            self.kinds |= sentence.kinds
            self.items += sentence.item
        self._counts = Counter(marks)
        self.size = len(marks) - self.count(NO_WORD)
        self.generic_share = self.count(GENERIC | ABSTRACT) / self.size if self.size else 0.0
        self.thinks_aloud = "<think>" in folded and "</think>" not in folded
        """Whether it is reasoning that leaked: a thinking block that never ends."""

    def count(self, kind: int) -> int:
        """Words that belong to any of the classes in ``kind``."""
        if not self.kinds & kind:
            return 0
        return sum([number for marks, number in self._counts.items() if marks & kind])

    def sentence_at(self, position: int) -> Sentence:
        """The sentence that holds a character, or the nearest one before it."""
        at = bisect_right(self.sentences, position, key=_start) - 1
        return self.sentences[max(0, at)]

    @property
    def quotations(self) -> tuple[tuple[int, int], ...]:
        """Spans between quotation marks; none when nearly the whole response is one quotation."""
        if self._quotations is None:
            self._quotations = _quotations(self.masked)
        return self._quotations

    def quotation_at(self, position: int) -> tuple[int, int] | None:
        """The quotation that a character stands in, its marks included."""
        at = bisect_right(self.quotations, (position, -1)) - 1
        if at < 0 or not self.quotations[at][0] < position < self.quotations[at][1]:
            return None
        return self.quotations[at]

    def is_quoted(self, position: int) -> bool:
        """Whether a character stands inside a quotation."""
        return self.quotation_at(position) is not None

    def unquoted_words(self) -> set[str]:
        """The different words outside quotations."""
        pieces, last = [], 0
        for start, end in self.quotations:
            pieces.append(self.masked[last:start])
            last = end
        return set(words_of(" ".join([*pieces, self.masked[last:]])))


def _start(sentence: Sentence) -> int:
    return sentence.start


def _mask(folded: str, names: Sequence[tuple[int, int]]) -> str:
    """The text with every name replaced by as many placeholders."""
    pieces, last = [], 0
    for start, end in names:
        pieces += [folded[last:start], NAME_MARK * (end - start)]
        last = end
    return "".join([*pieces, folded[last:]])


def _quotations(masked: str) -> tuple[tuple[int, int], ...]:
    if '"' not in masked and "'" not in masked:
        return ()
    spans = tuple([match.span() for match in _QUOTE.finditer(masked)])
    limit = MOSTLY_QUOTED * len(masked.strip())
    if any(end - start > limit for start, end in spans):
        return ()
    return spans


def _split(masked: str, tokens: list[str]) -> list[Sentence]:
    """Sentences and lines in order, without the white space around them; none is empty.

    Their tokens are added to ``tokens``.
    """
    found: list[Sentence] = []
    wide = not masked.isascii() and any(stop in masked for stop in _WIDE_STOPS)
    if "\n" not in masked and not wide:
        _add(found, tokens, masked, 0, item=False)
        return found
    start = 0
    for line in masked.split("\n"):
        first = True
        for begin, end in _pieces(line) if wide else ((0, len(line)),):
            before = len(found)
            item = first and _ITEM.match(line[begin:end].lstrip()) is not None
            _add(found, tokens, line[begin:end], start + begin, item=item)
            first = first and len(found) == before
        start += len(line) + 1
    return found


def _pieces(line: str) -> list[tuple[int, int]]:
    """A line cut after the stops of scripts that write no blank behind them."""
    ends = [match.end() for match in _WIDE_STOP.finditer(line)]
    return list(zip([0, *ends], [*ends, len(line)], strict=True))


def _add(
    found: list[Sentence], all_tokens: list[str], line: str, start: int, *, item: bool
) -> None:
    """Add the sentences of a line that begins at a character of the text, and its tokens."""
    tokens = line.split()
    if not tokens:
        return
    all_tokens += tokens
    marks = list(map(classes().__getitem__, tokens))
    ends = [number for number, mark in enumerate(marks, start=1) if mark >= ENDS]
    if ends and ends[0] == 1 and marks[0] & ENDS_UNLESS_FIRST:
        del ends[0]
    if not ends or ends[-1] != len(marks):
        ends.append(len(marks))
    plain = " ".join(tokens)
    even = plain == line
    place = first = 0
    for end in ends:
        if even:
            text = line[place:] if end == len(marks) else " ".join(tokens[first:end])
        else:
            place = line.index(tokens[first], place)
            text = line[place : _end_of(line, place, tokens[first:end])]
        own = marks[first:end]
        begin = start + place
        place += len(text)
        kinds = reduce(or_, own)
        found.append(Sentence(begin, start + place, text, own, kinds, item))
        place += even
        first, item = end, False


def _end_of(line: str, place: int, tokens: Sequence[str]) -> int:
    """Where the last of some tokens ends, which begin at a place in that order."""
    for token in tokens:
        place = line.index(token, place) + len(token)
    return place
