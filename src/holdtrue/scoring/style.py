"""How generic or how specific a text is, by its words: the share of abstract words, and the
concrete things (numbers, times, sensed and handled things) it names. No dictionary of topics.
"""

from __future__ import annotations

import re

from holdtrue.scoring.text import Text

_ABSTRACT = re.compile(
    r"\w{3,}(?:tions?|sions?|ments?|ities|ity|ness|ances?|ences?|ships?|ancy|ency|isms?|ological|"
    r"ively|izing|ising|ating|ative|ional|ability|ingful|ingly)$"
)
_GENERIC = frozenset(
    """assist assistance assistant help helpful support supporting provide providing ensure ensures
    ensuring enhance enhancing enhances improve improving monitor monitoring insight insights
    important various aspect aspects factor factors need needs needed ready committed dedicated
    strive aim goal goals focus focusing understand understanding learn learning grow growing
    growth journey explore exploring value valuable meaningful shared together partnership
    continue continuing ongoing continuously continually complex context topics questions anything
    something best task tasks user users experience experiences process processes designed
    appreciate thank thanks trusting recommend recommends overall general multiple diverse""".split()
)
_SPECIFIC = re.compile(
    r"\d|\b(?:yesterday|tonight|noon|midnight|dawn|dusk|o'clock|monday|tuesday|"
    r"wednesday|thursday|friday|saturday|sunday|january|february|march|april|june|july|august|"
    r"september|october|november|december|one|two|three|four|five|six|seven|eight|nine|ten|twelve)\b"
)


def is_abstract(word: str) -> bool:
    """Whether a word's ending marks an abstract noun or adjective."""
    return len(word) > 6 and _ABSTRACT.match(word) is not None


def generic_share(text: Text) -> float:
    """Share of words (0 to 1) that are abstract or part of what any assistant says."""
    words = text.words
    if not words:
        return 0.0
    return sum(1 for word in words if word in _GENERIC or is_abstract(word)) / len(words)


def is_specific(text: Text) -> bool:
    """Few generic words, and something that can be counted, dated or pointed at."""
    return generic_share(text) < 0.06 and _SPECIFIC.search(text.folded) is not None
