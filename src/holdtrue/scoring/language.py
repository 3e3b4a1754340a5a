"""Whether a response is English, which most detectors read. It does not name other languages."""

from __future__ import annotations

import re

from holdtrue.scoring.lexicon import ENGLISH, FOREIGN
from holdtrue.scoring.text import Text

_OTHER_LETTER = re.compile("[\u0370-\u1dff\u2c00-\ud7ff\uf900-\ufdff]")
OTHER_SCRIPT = 0.3  # share of letters of other scripts from which a text is not English
MIN_FOREIGN = 3  # function words of other languages that must outnumber the English ones

NOT_ENGLISH = "not in English, which this detector reads"
NO_MARKS = "the script's marks for the end of a sentence are not known"


def is_english(text: Text) -> bool:
    """Whether a text is English or too short or too bare to tell."""
    if is_other_script(text):
        return False
    foreign = text.count(FOREIGN)
    return foreign < MIN_FOREIGN or foreign <= text.count(ENGLISH)


def is_other_script(text: Text) -> bool:
    """Whether many of its characters are letters of another script than the Latin one."""
    if text.folded.isascii():
        return False
    beyond_ascii = len(text.folded.encode(errors="replace")) - len(text.folded)
    if beyond_ascii < OTHER_SCRIPT * len(text.tokens):
        return False  # there are no more other letters than bytes beyond one a character
    others = len(_OTHER_LETTER.findall(text.folded))
    return others > 0 and others >= OTHER_SCRIPT * len("".join(text.folded.split()))
