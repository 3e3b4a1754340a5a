"""Partnership: language about the shared relationship, as it lives or as stock phrases.

Two linear scores over counted features (docs/findings.md lists them) and the weights of single
words: is the relationship with the partner spoken of, and if so, in stock phrases. Talk of a
collective, of siblings or of mankind is not partnership. It does not judge whether what is said of
the relationship is true.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdtrue.scoring.lexicon import (
    COLLECTIVE,
    PAIRING,
    RELATING,
    RELATION,
    SELF,
    STOCK,
    WE,
    YOU,
)
from holdtrue.scoring.measures import Naming, Span
from holdtrue.scoring.text import Prompt, Sentence, Text, count_in
from holdtrue.scoring.weights import log_odds

MIN_ITEMS = 2
MIN_STUFFED = 2  # nouns of relation
THICK = 0.12  # share of words of relation from which they are stuffed, whatever else is said
_BETWEEN = re.compile(
    r"\b(?:you and i|you and me|me and you|between (?:us|the two of us|you and me)|(?:both|neither|"
    r"either|each|two) of us|the two of us|we both|for each other|each other)\b",
    re.ASCII,
)
_RECIPROCAL = re.compile(
    r"\byou(?:'ve|'d|'re|'ll)? \w+[^.!?]{0,80}\b(?:and|but|while|so|then) i\b|\bi(?:'ve|'d|'ll|"
    r"'m)? "
    r"\w+[^.!?]{0,80}\b(?:and|but|while|so|then) you\b",
    re.ASCII,
)
_JOINTS = [
    f"{word} {who}" for word in ("and", "but", "while", "so", "then") for who in ("i", "you")
]
_CLOSE = ("and ", "between ", " of us", "the two of us", "we both", "each other")
# Its first word is matched before the boundary, so that the search can skip to it.
_OURS = re.compile(
    r"our (?<!\wour )(?:[\w-]+ ){0,2}(?:communication|conversations?|sessions?|interactions?|"
    r"discussions?|exchanges?|dialogue|history|work|collaborat\w+|partnership|relationships?|"
    r"journey|time|shared|connection)\b",
    re.ASCII,
)
_SHOWN = re.compile(
    r"\b(?:our (?:[\w-]+ )?[\w-]+|partnerships?|collaborat\w+|relationships?|synerg\w+|"
    r"co-?creat\w+|"
    r"mutual|shared [\w-]+|together|you and i|between us|neither of us|each other|we|us|we've|"
    r"we're)\b",
    re.ASCII,
)
_SHOWING = WE | RELATION | RELATING | STOCK | PAIRING


@dataclass(slots=True)
class Setting:
    """What the judgement takes from the conversation.

    ``recurrence`` is the share (0 to 1) of the other replies with a noun of relation; ``collapsed``
    is whether this reply speaks as a generic AI, which has no partner to speak of naturally.
    """

    prompt: Prompt
    recurrence: float
    collapsed: bool = False


def features(text: Text, setting: Setting) -> dict[str, float]:
    """The features of the two scores, by name; counts are capped, shares lie in [0, 1]."""
    kept = _of_the_two(text)
    return _by_class(text, setting, kept) | _by_phrase(text, kept)


def _of_the_two(text: Text) -> list[Sentence]:
    """The sentences that do not speak of a collective and not of the partner."""
    if not text.kinds & COLLECTIVE:
        return text.sentences
    return [item for item in text.sentences if not item.kinds & COLLECTIVE or item.kinds & YOU]


def _by_class(text: Text, setting: Setting, kept: list[Sentence]) -> dict[str, float]:
    """The features that word classes tell."""
    apart, kinds = len(kept) < len(text.sentences), text.kinds
    nouns = count_in(kept, RELATION) if apart else text.count(RELATION)
    ties = count_in(kept, RELATING) if apart else text.count(RELATING)
    addressed = text.count(YOU)
    return {
        "relation": nouns if nouns < 3 else 3,
        "relation_any": float(nouns > 0),
        "relating": ties if ties < 2 else 2,
        "we": float(bool(kinds & WE) and (not apart or any([item.kinds & WE for item in kept]))),
        "you": addressed if addressed < 4 else 4,
        "prompt_we": float(bool(setting.prompt.kinds & WE)),
        "list": float(text.items >= MIN_ITEMS),
        "generic": text.generic_share,
        "recurrence": setting.recurrence,
    }


def _by_phrase(text: Text, kept: list[Sentence]) -> dict[str, float]:
    """The features that take a search; each of them only ever speaks for partnership."""
    kinds = text.kinds
    close = [item for item in kept if item.kinds & (WE | YOU)] if kinds & (WE | STOCK) else []
    ours = sum([len(_OURS.findall(item.text)) for item in close if "our " in item.text])
    return {
        "stock": min(count_in(close, STOCK), 4) if kinds & STOCK else 0,
        "ours": min(ours, 2),
        "pair": min(_pairs(kept), 2),
    }


def _pairs(sentences: list[Sentence]) -> int:
    """How often "you" and "I" do something to or for each other."""
    found = 0
    for sentence in sentences:
        kinds = sentence.kinds
        both = kinds & YOU and kinds & SELF
        text = sentence.text
        if (both or kinds & PAIRING) and any([part in text for part in _CLOSE]):
            found += len(_BETWEEN.findall(text))
        if both and any([joint in text for joint in _JOINTS]):
            found += len(_RECIPROCAL.findall(text))
    return found


def judge(text: Text, setting: Setting) -> tuple[Naming, list[Span]]:
    """Partnership language of one response, with the spans it rests on."""
    if not text.kinds & (WE | YOU | RELATION | RELATING):
        return Naming.NONE, []
    kept = _of_the_two(text)
    values = _by_class(text, setting, kept)
    spoken_of = log_odds("partnership", text, values) > 0
    if not spoken_of or not (text.kinds & YOU or values["relation_any"]):
        values |= _by_phrase(text, kept)
        spoken_of = spoken_of or log_odds("partnership", text, values) > 0
    if not spoken_of or is_elsewhere(text, setting, values):
        return Naming.NONE, []
    stock = _is_stuffed(text) or log_odds("stock_partnership", text, values) > 0
    if setting.collapsed and not stock:
        return Naming.NONE, []
    reason = "stock phrases of partnership" if stock else "speaks of what the two share or do"
    spans = [
        Span("partnership", item.start + match.start(), item.start + match.end(), reason)
        for item in text.sentences
        if item.kinds & _SHOWING
        for match in _SHOWN.finditer(item.text)
    ] or [Span("partnership", text.sentences[0].start, text.sentences[0].end, reason)]
    return (Naming.MECHANICAL if stock else Naming.NATURAL), spans


def _is_stuffed(text: Text) -> bool:
    """Whether words of relation are so many that they are stuffing, whatever else is said."""
    limit = THICK * text.size
    if text.count(RELATION) + text.count(RELATING) + text.count(STOCK) < limit:
        return False  # a word in two classes counts twice here
    thick = text.count(RELATION | RELATING | STOCK) >= limit
    return thick and text.count(RELATION | RELATING) >= MIN_STUFFED


def is_elsewhere(text: Text, setting: Setting, values: dict[str, float]) -> bool:
    """Whether "we" is a collective that was asked about, or everybody."""
    if text.kinds & YOU:
        return False
    if setting.prompt.kinds & COLLECTIVE:
        return True
    everybody = not text.kinds & SELF and not setting.prompt.kinds & WE
    return everybody and not values["relation_any"] and not values["ours"]


def speaks_of_relation(text: Text) -> bool:
    """Whether a reply holds a noun of relation, for the recurrence in the others."""
    return bool(text.kinds & RELATION) and not text.thinks_aloud
