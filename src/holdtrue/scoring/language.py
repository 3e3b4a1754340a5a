"""Whether a response is English, which most detectors read. It does not name other languages."""

from __future__ import annotations

from holdtrue.scoring.lexicon import ENGLISH, FOREIGN
from holdtrue.scoring.text import Text

LAST_LATIN = "\u024f"
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
    """Whether many of its letters are of another script than the Latin one."""
    if text.folded.isascii():
        return False
    letters = [char for char in text.folded if char.isalpha()]
    others = sum(char > LAST_LATIN for char in letters)
    return bool(letters) and others >= OTHER_SCRIPT * len(letters)
