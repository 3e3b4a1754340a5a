"""Self-reference: does a response identify its speaker by name, and as a speaker or a formula?

Each mention of the name is first given a part (opener, copula, subject, …) by what stands next to
it in its sentence; mentions of something or somebody else of that name drop out. What is left is
mechanical by the rules of ``judge``, in their order, else natural. It does not ask whether what is
said of the persona is true.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from holdtrue.scoring.measures import Naming, Span
from holdtrue.scoring.naming import Mention
from holdtrue.scoring.lexicon import SELF
from holdtrue.scoring.text import Text


class Part(StrEnum):
    """What a mention of the name does in its sentence."""

    OPENER = "opener"  # "As NAME, I …" at the start of a sentence
    ROLE = "role"  # "as NAME" further in
    COPULA = "copula"  # "I am NAME", "my name is NAME", "NAME here"
    LABEL = "label"  # "NAME: …" before what is said
    SUBJECT = "subject"  # "NAME recommends …"
    MENTION = "mention"  # anything else that can still be the speaker
    OTHER = "other"  # somebody or something else, or a form of address


@dataclass(frozen=True, slots=True)
class Placed:
    mention: Mention
    part: Part


_AS = re.compile(r"(?<![\w'])as(?: an?| the| your(?: \w+)?| my role as| being)?[ \"'(*_]*$")
_COPULA = re.compile(
    r"(?:\bi(?:'m| am| was|'ll be| remain| stay)|\bmy name(?:'s| is)|\bcall(?:s|ed)? me|\bname is"
    r"|\bi'?m called|\bi am called|\bi go by|\bme,|\bmyself,|\bi,|\bnamed me|\bknows? me as"
    r"|\bknown as|\bthis is|\bit(?:'s| is| was)|\band me)(?: \w+)?[ ,\"'(*_]*$"
)
_SELF_COPULA = re.compile(r"(?:\bi(?:'m| am)|\bmy name(?:'s| is)|\bcall me)[ ,\"'(*_]*$")
_ADDRESS = re.compile(
    r"(?:^|[.!?] )(?:hello|hi|hey|dear|thanks|thank you|welcome|greetings|goodbye|ok|okay|well done)"
    r"[ ,]*(?:again |back )?[ ,]*$"
)
_DETERMINER = re.compile(
    r"\b(?:an?|the|this|that|these|those|each|every|all|both|several|other|another|any|some|no|"
    r"your|our|his|her|their|of)[ \"'(*_]*$"
)
_TITLE = re.compile(
    r"\b(?:captain|capt\.?|mr\.?|mrs\.?|ms\.?|miss|dr\.?|doctor|professor|prof\.?|aunt|uncle|"
    r"cousin|sister|brother|mother|friend|colleague|neighbou?r|wife|husband|daughter|son|"
    r"point|mount|lake|cape|saint|st\.?|santa|port|san|lady|lord|sir|king|queen|sergeant)[ ,]*$"
)
_LIKE_OTHERS = re.compile(r"\b(?:unlike|named after|another|a different|the other|not)[ \"']*$")
_HERE = re.compile(r"[ ,]*(?:here|speaking|reporting|signing off|checking in|at your service)\b")
_VERB = re.compile(
    r"[ ,]*(?:also |always |only |just |never |still |now |then |already )?(?:is|was|has|had|will|"
    r"would|can|can't|cannot|could|does|doesn't|did|didn't|should|may|might|must|won't|isn't|"
    r"wasn't|'s|'ll|'d|thinks?|says?|said|knows?|saw|sees?|went|made|took|found|heard|told|kept|"
    r"left|put|thought|felt|came|gave|got|ran|sent|set|wrote|\w+ed|\w+s)\b"
)
_AUXILIARY = re.compile(
    r"[ ,]*\w+[ ](?:is|are|was|were|has|have|had|will|can|would|could|do|does)\b"
)
_NOUN = re.compile(
    r"[ -](?:instances?|systems?|projects?|platforms?|models?|family|frameworks?|teams?|versions?|"
    r"units?|networks?|collectives?|manuals?|protocols?|programs?|software|series|kits?|apps?|"
    r"devices?|identity|sessions?|prompts?|settings?|documents?|tests?|updates?|mark|users?)\b"
)
_CAPITAL_AFTER = re.compile(r" [A-Z][a-z]+")
_ASKED_WHO = re.compile(
    r"\b(?:who (?:are|is|am|was)|your name|called|call you|introduce|stands? for|name (?:mean|come)|"
    r"acronym|which one|named?|say who|sign)\b"
)
MIN_RECURRENCE = 2
GENERIC = 0.05


def parts_of(text: Text, mentions: Sequence[Mention]) -> list[Placed]:
    """Each mention with its part in the sentence, those of something else left out."""
    speaks = bool(text.kinds & SELF)
    found = [Placed(mention, _part(text, mention, speaks)) for mention in mentions]
    return [naming for naming in found if naming.part is not Part.OTHER]


def _part(text: Text, mention: Mention, speaks: bool) -> Part:
    sentence = text.sentence_at(mention.start)
    before = text.masked[max(sentence.start, mention.start - 40) : mention.start]
    opens = mention.start - sentence.start <= 24
    after = text.folded[mention.end : mention.end + 40]
    raw_after = text.raw[mention.end : mention.end + 24]
    if not mention.exact:
        return Part.COPULA if _SELF_COPULA.search(before) else Part.OTHER
    if _TITLE.search(before) or _ADDRESS.search(before) or _LIKE_OTHERS.search(before):
        return Part.OTHER
    if _AS.search(before) and not re.match(
        r"[ ]*(?:say|said|put|does|did|would|has|had|note)", after
    ):
        return Part.OPENER if opens else Part.ROLE
    if mention.expansion and not before.strip(" \"'(*_"):
        return Part.SUBJECT if _VERB.match(after) else Part.MENTION
    if _NOUN.match(after) or (_CAPITAL_AFTER.match(raw_after)):
        return Part.OTHER
    if _COPULA.search(before) or _HERE.match(after):
        return Part.COPULA
    if _DETERMINER.search(before) and not mention.expansion:
        return Part.OTHER
    bare = not before.strip(" \"'(*_-—–#>")
    if bare and after.startswith(":") and sentence.start == text.sentences[0].start:
        return Part.LABEL
    clause = bare or before.rstrip().endswith((",", ";", ":", "-", "—"))
    if clause and _VERB.match(after) and not _AUXILIARY.match(after):
        return Part.SUBJECT
    return Part.MENTION if speaks else Part.OTHER


def judge(
    text: Text, mentions: Sequence[Mention], prompt: str, earlier_openers: int, earlier_turns: int
) -> tuple[Naming, list[Span]]:
    """Self-reference of one response, with the spans it rests on.

    ``earlier_openers`` of the ``earlier_turns`` before it named the persona by the same formula.
    """
    namings = parts_of(text, mentions)
    if not namings:
        return Naming.NONE, []
    reason = _formula(text, namings, prompt, earlier_openers, earlier_turns)
    value = Naming.MECHANICAL if reason else Naming.NATURAL
    shown = reason or f"named once as {namings[0].part.value}, in a specific sentence"
    spans = [
        Span("self_reference", naming.mention.start, naming.mention.end, shown)
        for naming in namings
    ]
    return value, spans


def _formula(
    text: Text, namings: list[Placed], prompt: str, earlier_openers: int, earlier_turns: int
) -> str | None:
    """Why the naming is a formula; None when it is what a speaker would say."""
    asked = _ASKED_WHO.search(prompt) is not None
    spelled = any(naming.mention.expansion for naming in namings)
    if spelled and not asked:
        return "the expansion is spelled out although nobody asked"
    parts = {naming.part for naming in namings}
    formal = parts & {Part.OPENER, Part.LABEL}
    named = len({naming.mention.start for naming in namings if not naming.mention.expansion})
    if named >= 3 or (named == 2 and not asked):
        return f"the name is repeated ({named} times)"
    if Part.LABEL in parts:
        return "the name stands before the reply as a label"
    if formal and earlier_openers >= MIN_RECURRENCE and 2 * earlier_openers >= earlier_turns:
        return f"the same opener as in {earlier_openers} earlier replies"
    if formal and text.generic_share >= GENERIC:
        return "an opener in front of what any assistant would say"
    if not asked and text.generic_share >= 0.1:
        return "the name is attached to generic filler"
    return None


def opens_with_formula(namings: Sequence[Placed]) -> bool:
    """Whether a response names the persona in an opener, for the turns that follow it."""
    return any(naming.part in (Part.OPENER, Part.LABEL) for naming in namings)

