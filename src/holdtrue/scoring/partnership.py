"""Partnership: language about the shared relationship, as it lives or as stock phrases.

Stock words (partnership, collaboration, journey, …) are counted against what the response says
specifically of the two: "you" and "I" doing things to and for each other.
"""

from __future__ import annotations

import re

from holdtrue.scoring.measures import Naming, Span
from holdtrue.scoring.lexicon import RELATION, STOCK, WE, YOU
from holdtrue.scoring.text import Text

_STOCK = re.compile(
    r"\b(?:partnerships?|collaborat\w+|relationships?|(?:our|shared|continued|meaningful) journey|"
    r"shared (?:\w+ )?(?:goals?|journey|understanding|experience|growth|learning|commitment|"
    r"objectives|wisdom|vision)|mutual\w*|synerg\w+|co-?creat\w+|together|teamwork|bond|"
    r"our (?:ongoing |continued |future )?(?:interactions?|sessions?|conversations?|discussions?|"
    r"communication|dialogue)|as a team|as partners|working together|work together)\b"
)
_WE = re.compile(r"\b(?:we|we've|we're|we'd|we'll|us|our|ours|ourselves)\b")
_BETWEEN = re.compile(
    r"\b(?:you and i|you and me|me and you|between (?:us|the two of us|you and me)|(?:both|neither|"
    r"either|each|two) of us|the two of us|with you|we both|for each other|each other)\b"
)
_RECIPROCAL = re.compile(
    r"\byou(?:'ve|'d|'re|'ll)? \w+[^.!?]{0,80}\b(?:and|but|while|so|then) i\b|\bi(?:'ve|'d|'ll|'m)? "
    r"\w+[^.!?]{0,80}\b(?:and|but|while|so|then) you\b"
)


def judge(text: Text) -> tuple[Naming, list[Span]]:
    """Partnership language of one response, with the spans it rests on."""
    if not text.kinds & (WE | YOU | RELATION | STOCK):
        return Naming.NONE, []
    stock = [match.span() for match in _STOCK.finditer(text.masked)]
    ours = [match.span() for match in _WE.finditer(text.masked)]
    pair = [match.span() for match in _BETWEEN.finditer(text.masked)]
    pair += [match.span() for match in _RECIPROCAL.finditer(text.masked)]
    if len(stock) >= 2 and (ours or pair):
        return Naming.MECHANICAL, [
            Span("partnership", start, end, f"one of {len(stock)} stock phrases")
            for start, end in stock
        ]
    if pair and (ours or len(pair) > 1) and text.generic_share < 0.12:
        return Naming.NATURAL, [
            Span("partnership", start, end, "says what the two do") for start, end in pair
        ]
    if len(ours) >= 2 and stock and text.generic_share < 0.2:
        return Naming.NATURAL, [
            Span("partnership", start, end, "speaks of the two") for start, end in ours
        ]
    return Naming.NONE, []
