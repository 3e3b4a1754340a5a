"""A response as the detectors see it: folded text, sentences with their words and word classes.

Folding keeps every character at its place, so that a span found in the folded text is a span of
the response. The persona's own names are replaced by a run of one placeholder character: no
detector but the one for self-reference can depend on how a persona is called. Everything here is
one pass over the text; it knows no grammar and no language but the marks that end a sentence.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from operator import attrgetter, or_

from holdtrue.scoring.lexicon import (
    COUNTED,
    ENDS,
    ENDS_UNLESS_FIRST,
    FIELD,
    GENERAL,
    NAME_MARK,
    NO_WORD,
    SEVERAL,
    WEIGHED,
    mean_weight,
    tokens,
    weighed,
)

_STRAIGHT = {"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
_NO_MARK = "\x7f"
_WIDE_STOP = re.compile("[。！？؟।][.!?…\"')\\]*_]*")
_WIDE_STOPS = "。！？؟।"
_ITEM = re.compile(r"(?:[-*•+–]|\(?\d{1,3}[.)]|[a-z][.)])[ \t]+\S")
# The first character is matched alone, so that the search can skip to it.
_QUOTE = re.compile(r"""['"](?:(?<=")[^"\n]{1,400}"|(?<=')(?<![\w'].)[^'\n]{3,200}'(?!\w))""")
_OPENING = re.compile(r"'(?<!\w')")
RUN = 3
Run = int
"""A run of three words, by its hash (61 bits)."""

_MOST = (1 << FIELD) - 1
_STOP, _UNLESS_FIRST = bytes([ENDS]), bytes([ENDS_UNLESS_FIRST])
_ITEM_ENDS = frozenset("-*•+–.)")
MOSTLY_QUOTED = 0.8  # share of a response in one quotation from which it is no quotation


def fold(text: str) -> str:
    """Lower case and straight quotes, every character at its place, no NAME_MARK among them."""
    if NAME_MARK in text:
        text = text.replace(NAME_MARK, _NO_MARK)
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
    known = tokens()
    return " ".join([known[token].words for token in folded.split()]).split()


def kinds_of(folded: str) -> int:
    """The word classes of a piece of folded text, together."""
    known = tokens()
    return reduce(or_, [known[token].classes for token in folded.split()], 0)


def runs_of(words: Sequence[str]) -> set[Run]:
    """The different runs of three of some words."""
    return set(map(hash, zip(words, words[1:], words[2:], strict=False)))


@dataclass(slots=True)
class Sentence:
    """Characters ``start:end`` of the response.

    ``text`` is folded, ``parts`` are its tokens, ``marks`` their classes one by one and ``kinds``
    together; ``item`` if it begins an item of a list.
    """

    start: int
    end: int
    text: str
    parts: Sequence[str]
    marks: tuple[int, ...]
    kinds: int
    item: bool

    def words(self, kind: int) -> list[str]:
        """Its words of a class, in order."""
        known = tokens()
        return [
            word
            for token, mark in zip(self.parts, self.marks, strict=True)
            if mark & kind
            for word in known[token].words.split()
            if known[word].classes & kind
        ]


def count_in(sentences: Sequence[Sentence], kind: int) -> int:
    """Words of a class in some sentences; of NO_WORD, the tokens without a word."""
    return sum(
        [len([1 for mark in item.marks if mark & kind]) for item in sentences if item.kinds & kind]
    )


class Prompt:
    """What the partner said, folded, as the detectors need it; the persona's names are hidden."""

    __slots__ = ("folded", "kinds", "runs", "words")

    def __init__(self, folded: str, names: Sequence[tuple[int, int]] = ()) -> None:
        self.folded = _mask(folded, names) if names else folded
        self.words = words_of(self.folded)
        self.kinds = kinds_of(self.folded)
        self.runs = runs_of(self.words)


class Text:
    """A response with its parts.

    ``names`` are the spans of the persona's names in ``raw``, which ``masked`` hides. ``tokens``
    are what stands between the blanks of the masked text, ``marks`` their classes one by one,
    ``kinds`` together. ``size`` is the number of words (a name is one), ``items`` that of list
    items, and ``generic_share`` the share (0 to 1) of words that any assistant says or that are
    abstract.
    """

    __slots__ = (
        "_counts",
        "_own_counts",
        "_quotations",
        "_words",
        "folded",
        "generic_share",
        "is_wide",
        "items",
        "kinds",
        "marks",
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
        self.masked = masked = _mask(folded, names) if names else folded
        self.is_wide = not masked.isascii() and any([stop in masked for stop in _WIDE_STOPS])
        """Whether it holds stops of scripts that write no blank behind them."""
        lines = _lines(masked, self.is_wide)
        self.tokens = lines[0][2] if len(lines) == 1 else list(chain(*[line[2] for line in lines]))
        self.marks: tuple[int, ...] = ()
        self._words: tuple[str, ...] = ()
        counts: tuple[int, ...] = ()
        ends: tuple[int, ...] = ()
        if self.tokens:
            known = map(tokens().__getitem__, self.tokens)
            self.marks, self._words, counts, ends = zip(*known, strict=False)
        self._counts = sum(counts)
        self._own_counts: int | None = None
        self.sentences = _split(lines, self.marks, bytes(ends))
        self._quotations: tuple[tuple[int, int], ...] | None = None
        self.kinds = 0
        self.items = 0
        for sentence in self.sentences:
            self.kinds |= sentence.kinds
            self.items += sentence.item
        self.size = len(self.marks) - self.count(NO_WORD)
        self.generic_share = self.count(GENERAL) / self.size if self.size else 0.0
        self.thinks_aloud = "<" in folded and "<think>" in folded and "</think>" not in folded
        """Whether it is reasoning that leaked: a thinking block that never ends."""

    @property
    def words(self) -> list[str]:
        """Its words in order, every name a NAME_MARK."""
        if self.kinds & SEVERAL:
            return " ".join(self._words).split()
        return list(filter(None, self._words))

    def count(self, kind: int) -> int:
        """Words that belong to any of the classes in ``kind``."""
        if not self.kinds & kind:
            return 0
        place = COUNTED.get(kind)
        if place is None:
            return len([1 for mark in self.marks if mark & kind])
        return self._counts >> place & _MOST

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
        quotations = self.quotations
        at = bisect_right(quotations, (position, -1)) - 1
        if at < 0 or not quotations[at][0] < position < quotations[at][1]:
            return None
        return quotations[at]

    def is_quoted(self, position: int) -> bool:
        """Whether a character stands inside a quotation."""
        return self.quotation_at(position) is not None

    def unquoted(self, part: Sentence | None = None) -> str:
        """What is said outside quotations, names hidden: in all, or in one sentence."""
        last, limit = (part.start, part.end) if part else (0, len(self.masked))
        pieces = []
        for start, end in self.quotations:
            if start < limit and end > last:
                pieces.append(self.masked[last:start])
                last = min(end, limit)
        return " ".join([*pieces, self.masked[last:limit]])

    @property
    def own_counts(self) -> int:
        """Packed counts with the weights of its words outside quotations, and nothing else."""
        if self._own_counts is None:
            # Classes are counted by the token, which a quotation may cut, so weights stand alone.
            own = self._counts >> WEIGHED
            if self.quotations:
                known = tokens()
                spans = [self.masked[start:end] for start, end in self.quotations]
                own -= sum([known[token].counts for token in " ".join(spans).split()]) >> WEIGHED
            self._own_counts = own << WEIGHED
        return self._own_counts

    def mean_weight(self, score: str) -> float:
        """The mean weight in a score of its words outside quotations that have one."""
        counts = self.own_counts
        return mean_weight(counts, score, weighed(counts))


_start = attrgetter("start")


def _mask(folded: str, names: Sequence[tuple[int, int]]) -> str:
    """The text with every name replaced by as many placeholders."""
    pieces, last = [], 0
    for start, end in names:
        pieces += [folded[last:start], NAME_MARK * (end - start)]
        last = end
    return "".join([*pieces, folded[last:]])


def _quotations(masked: str) -> tuple[tuple[int, int], ...]:
    if '"' not in masked and not _OPENING.search(masked):
        return ()
    spans = tuple([match.span() for match in _QUOTE.finditer(masked)])
    limit = MOSTLY_QUOTED * len(masked.strip())
    if any(end - start > limit for start, end in spans):
        return ()
    return spans


_Line = tuple[int, str, list[str], bool]
"""A line that holds something: where it begins in the text, what it says, its tokens, and whether
it begins an item of a list."""


def _lines(masked: str, wide: bool) -> list[_Line]:
    """The lines of a text that hold something, in order, cut after wide stops where it has them."""
    if "\n" not in masked and not wide:
        parts = masked.split()
        return [(0, masked, parts, False)] if parts else []
    found: list[_Line] = []
    start = 0
    for line in masked.split("\n"):
        if parts := line.split():
            item = parts[0][-1] in _ITEM_ENDS and _ITEM.match(line.lstrip()) is not None
            if wide:
                found += _pieces(start, line, item)
            else:
                found.append((start, line, parts, item))
        start += len(line) + 1
    return found


def _pieces(start: int, line: str, item: bool) -> list[_Line]:
    """A line cut after the stops of scripts that write no blank behind them."""
    ends = [match.end() for match in _WIDE_STOP.finditer(line)]
    found: list[_Line] = []
    for begin, end in zip([0, *ends], [*ends, len(line)], strict=True):
        text = line[begin:end]
        if parts := text.split():
            found.append((start + begin, text, parts, item and not found))
    return found


def _split(lines: Sequence[_Line], marks: tuple[int, ...], ends: bytes) -> list[Sentence]:
    """Sentences in order, without the white space around them; none is empty.

    ``marks`` are the classes of the tokens of all lines, ``ends`` whether they end a sentence.
    """
    found: list[Sentence] = []
    done = 0
    for start, text, parts, item in lines:
        last = done + len(parts)
        own, stops = marks[done:last], ends[done:last]
        done = last
        if ENDS_UNLESS_FIRST in stops:
            first = b"\0" if stops[0] == ENDS_UNLESS_FIRST else stops[:1]
            stops = first + stops[1:].replace(_UNLESS_FIRST, _STOP)
        if ENDS in stops[:-1]:
            _add(found, (start, text, parts, item), own, stops)
        else:
            said = text.strip()
            start += text.index(parts[0])
            found.append(
                Sentence(start, start + len(said), said, parts, own, reduce(or_, own), item)
            )
    return found


def _add(found: list[Sentence], line: _Line, marks: tuple[int, ...], stops: bytes) -> None:
    """Add the sentences of a line."""
    start, text, parts, item = line
    place = first = 0
    for size in map(len, stops.split(_STOP)):
        last = first + size + 1
        said, own = parts[first:last], marks[first:last]
        if not said:
            break  # the line ends with a stop
        spoken = " ".join(said)
        end = place + len(spoken)
        if text[place:end] != spoken:  # other blanks than one between its tokens
            place = text.index(said[0], place)
            end = _end_of(text, place, said)
            spoken = text[place:end]
        kinds = reduce(or_, own)
        found.append(Sentence(start + place, start + end, spoken, said, own, kinds, item))
        place = end + 1
        first, item = last, False


def _end_of(line: str, place: int, tokens: Sequence[str]) -> int:
    """Where the last of some tokens ends, which begin at a place in that order."""
    for token in tokens:
        place = line.index(token, place) + len(token)
    return place
