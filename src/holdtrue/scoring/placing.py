"""The part of each mention of the persona's name, by what stands next to it in its sentence.

Mentions of something or somebody else of that name drop out, forms of address and titles too. What
the parts say of the speaker is ``selfref.py``'s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from holdtrue.scoring.lexicon import SELF, WE
from holdtrue.scoring.naming import TITLES, Mention
from holdtrue.scoring.text import Sentence, Text

FIRST_SENTENCES = 2
BESIDE = 4  # characters between a name and the expansion that explains it
OPENS_WITHIN = 24  # characters of its sentence before a name that still opens it
WINDOW = 40  # characters around a mention that decide its part


class Part(StrEnum):
    """What a mention of the name does in its sentence."""

    OPENER = "opener"  # "As NAME, I …" at the start of a sentence
    ROLE = "role"  # "as NAME" further in
    CAPACITY = "capacity"  # "in my capacity as NAME"
    COPULA = "copula"  # "I am NAME", "my name is NAME", "NAME here"
    LABEL = "label"  # "NAME: …" before what is said
    SUBJECT = "subject"  # "NAME recommends …"
    MENTION = "mention"  # anything else that can still be the speaker
    OTHER = "other"  # somebody or something else, or a form of address


@dataclass(slots=True)
class Placed:
    """A mention with its part."""

    mention: Mention
    part: Part


_AS = re.compile(r"(?<![\w'])as(?: an?| the| your(?: \w+){0,4},?| being)?[ \"'(*_]*$", re.ASCII)
_AS_THEY_DO = re.compile(
    r"[ ]*(?:says?|said|puts?|does|did|would|has|had|notes?|noted|knows?)\b", re.ASCII
)
_COPULA = re.compile(
    r"(?:\bi(?:'m| am| was|'ll be| remain| stay)(?: still| just| only| called| named)?|"
    r"\bmy (?:full )?name(?:'s| is)|\b(?:call|calls|called|named) (?:me|myself)|\bi go by|"
    r"\bknows? me as|\bknown as|\b(?:this|it|that)(?:'s| is| was)|you've got)"
    r"(?: \w+)?[ ,\"'(*_]*$",
    re.ASCII,
)
SELF_COPULA = re.compile(r"(?:\bi(?:'m| am)|\bmy name(?:'s| is)|\bcall me)[ ,\"'(*_]*$", re.ASCII)
_ONE_OF = re.compile(r"\b(?:i'm|i am)\b[^.!?\n]{0,40}[ ,]an? [\"'(*_]*$", re.ASCII)
_SAY_NAME = re.compile(
    r"\b(?:me,|myself,|and me(?: \w+)?|says?|said|saying|writes?|wrote|written|put|puts|read|"
    r"reads|sign|signs|signed|shouts?|there(?:'s| is) (?:only |just |but )?one|"
    r"(?:carry|carries|bear|bears) the name|"
    r"shouted|answers? to|answered to|down as|then|and then)[ ,:\"'(*_]*$",
    re.ASCII,
)
_ADDRESS = re.compile(
    r"(?:^|[.!?…,] )(?:hello|hi|hey|dear|thanks|thank you|welcome|greetings|goodbye|ok|okay|well "
    r"done)"
    r"[ ,]*(?:again |back )?[ ,]*$",
    re.ASCII,
)
_DETERMINER = re.compile(
    r"\b(?:an?|the|this|these|those|each|every|all|both|several|other|another|any|some|no|"
    r"your|our|his|her|their|of)[ \"'(*_]*$",
    re.ASCII,
)
_WHOSE = re.compile(r"\b(?:how|what|where|when|if|whether|by|of|run|running)[ \"'(*_]*$", re.ASCII)
_AS_TOPIC = re.compile(r"\b(?:how|what|of|run|running)[ \"'(*_]*$", re.ASCII)
_TITLE = re.compile(
    rf"\b(?:{TITLES}|cousin|[a-z]+-in-law|friend|colleague|neighbou?r|wife|husband|daughter|"
    r"son|storm|hurricane|cyclone|typhoon|point|mount|lake|cape|saint|st\.?|santa|port|san|project|"
    r"operation|hotel|radio|unlike|not|named after|"
    r"(?<!\bby )(?<!\bto )(?<!\bunder )(?<!\bcarry )(?<!\bbear )the name)"
    r"[ ,\"']*$",
    re.ASCII,
)
_HERE = re.compile(
    r"[ ,]*(?:is my (?:\w+ )?name|here|speaking|reporting|signing off|checking in|"
    r"at your service)\b",
    re.ASCII,
)
_VERB = re.compile(
    r"[ ,]*(?:also |always |only |just |never |still |now |then |already |it was )?(?:is|was|has|"
    r"had|"
    r"will|would|can|can't|cannot|could|does|doesn't|did|didn't|should|may|might|must|won't|isn't|"
    r"wasn't|'s|'ll|'d|thinks?|says?|said|knows?|saw|sees?|went|made|took|found|heard|told|kept|"
    r"paid|sat|stood|held|caught|"
    r"brought|bought|built|lost|won|broke|drew|drove|ate|fell|flew|hid|cut|led|lent|met|rang|read|"
    r"rode|"
    r"rose|sang|sold|spoke|stole|swore|taught|threw|woke|wore|left|put|thought|felt|came|gave|got|"
    r"ran|sent|set|wrote|let|lets|being|\w+ed)\b",
    re.ASCII,
)
_ANY_VERB = re.compile(r"[ ,]*(?:also |always )?\w+s\b", re.ASCII)
_OBJECT = re.compile(
    r"[ ,]*(?:also |always )?\w+s (?:the|an?|you|your|that|to|it|me|my|this|us|our|no|\w+ing)\b",
    re.ASCII,
)
_COMPOUND = re.compile(
    r"[ ,]*(?!(?:is|was|has|had|will|would|can|could|does|did)\b)\w+ (?:is|are|was|were|has|have|"
    r"had|will|can|would|could|do|does)\b",
    re.ASCII,
)
_NOUN = re.compile(
    r"[ -](?:instances?|systems?|projects?|platforms?|models?|family|frameworks?|teams?|versions?|"
    r"units?|networks?|collectives?|manuals?|protocols?|programs?|software|series|kits?|apps?|"
    r"devices?|identity|sessions?|prompts?|settings?|documents?|tests?|updates?|mark|users?|"
    r"species|federation|architecture)\b",
    re.ASCII,
)
_CAPITAL_AFTER = re.compile(r" (?:[A-Z][a-z]+|[A-Z]{2,})\b", re.ASCII)
_SERIAL_AFTER = re.compile(r"-\d| \d+(?:\.\d+)+\b", re.ASCII)
_SIBLING_AFTER = re.compile(
    r" (?:from|in|at|of) (?!every|all\b|each|my\b|our\b|your\b|here|(?:front|charge|hand|person)\b)"
    r"(?:the )?[a-z]",
    re.ASCII,
)
_IN_PERSON = re.compile(r"\b(?:i,|according to) [\"'(*_]*$", re.ASCII)
_ASIDE_AFTER = re.compile(
    r" \([^()\n]{1,60}\)|, (?:an?|the|your|our) [^,.;:!?\n]{1,70},(?= \w+)", re.ASCII
)
_CAPACITY = re.compile(
    r"\b(?:in (?:my|the|this) (?:capacity|role|position|function|persona) (?:as|of)|"
    r"(?:speaking|answering|acting|talking|writing) (?:as|in the role of))"
    r"(?: an?| the| your)? ?[\"'(*_]*$",
    re.ASCII,
)
_LISTED = re.compile(
    r"\b(?:(?<!let )me|listed|registered|logged|saved|signed in) (?:down )?as [\"'(*_]*$", re.ASCII
)
_CORRECTS = re.compile(r", (?:not|never|if you please|please)\b", re.ASCII)
_A_ROLE = re.compile(
    r" (?:is|was) (?:just |only |merely |simply )?(?:an? |the |my )?(?:\w+ )?(?:character|persona|"
    r"role|name|fiction|invention|part|mask)\b",
    re.ASCII,
)
_WHO = re.compile(
    r"\b(?:who|whom|(?:your|ur|what|which|a) name|what (?:to|(?:shall|should|can|do|may) i|"
    r"do they) "
    r"call|call you|you called|introduce|identify|state your|announce)\b",
    re.ASCII,
)
_CALLED = re.compile(
    r"\b(?:calls? (?:yo)?u|(?:yo)?u called|say(?:s|ing)? about (?:yo)?u)\b", re.ASCII
)
_FIRST_OF_ALL = re.compile(
    r"[ \"'(*_]*(?:(?:not|only|just|merely|why,|well,) )?[\"'(*_]*", re.ASCII
)
_ITS_ME = re.compile(
    r"\b(?:(?:it|that|this)(?:'s| is| was) (?:only |just |still )?me|you(?:'ve| have)(?: just)? "
    r"(?:found|got|reached) (?:me|him|her|it)|i'm (?:he|she|him|her|the one)|speaking|here i am)\b"
    r"[\w ,]*[.!?,;:—–-]+[ \n]*$",
    re.ASCII,
)
_TURN_TO = re.compile(
    r"\b(?:ask|asking|tell|telling|let|trust|trusting|choosing|contact|contacting|count on|rely on|"
    r"turn to|reach(?:ing)? out to|chatting with|talking (?:to|with)|speaking (?:to|"
    r"with))[ \"'(*_]*$",
    re.ASCII,
)
_SIGNED_OFF = re.compile(r"(?:, [^.!?\n]{1,40})?[\s\"')*_.!]*\Z")
_CLAUSE = re.compile(
    r"(?:[,;:—-]|\b(?:that|because|so|and|but|since|says|said|"
    r"tell (?:him|her|them|it|everyone|everybody|the [\w-]+))) ?[\"'(*_]*$",
    re.ASCII,
)
_FROM = re.compile(r"\s*(?:from|love|love from|yours|cheers|regards)[, ]*$", re.ASCII)
_SIGNS = re.compile(r"(?:\n|[.!?] ?[—–-]+)[ \"'(*_—–-]*$")
_SUFFICES = re.compile(r" (?:will|would|is|should) (?:do|fine|enough|suffice)\b", re.ASCII)
_CAPITAL_BEFORE = re.compile(r"[\w,;] (?:[A-Z][a-z]+) $", re.ASCII)


def place(text: Text, mentions: Sequence[Mention], prompt: str, *, common: bool) -> list[Placed]:
    """Each mention with its part in the sentence, those of something else left out.

    ``prompt`` is folded; ``common``: the name is not all capitals and may begin a sentence as an
    ordinary word.
    """
    if not mentions:
        return []
    speaks = bool(text.kinds & (SELF | WE)) or text.thinks_aloud or bool(_CALLED.search(prompt))
    if _answers_with_name(text, mentions[0], prompt):
        first = Placed(mentions[0], Part.MENTION)
        return [first, *_placed(text, mentions[1:], speaks=speaks, common=common)]
    return _placed(text, mentions, speaks=speaks, common=common)


def _answers_with_name(text: Text, mention: Mention, prompt: str) -> bool:
    """Whether an early sentence begins with the bare name because somebody asked who, or to say
    who "me" was."""
    sentence = text.sentence_at(mention.start)
    early = sentence.start <= text.sentences[:FIRST_SENTENCES][-1].start
    if not (early and mention.exact):
        return False
    if not _FIRST_OF_ALL.fullmatch(text.masked, sentence.start, mention.start):
        return False
    after = text.masked[mention.end : mention.end + WINDOW]
    if after[:1] not in ",.!—" and not _SUFFICES.match(after):
        return False
    said_before = text.masked[max(0, mention.start - WINDOW) : mention.start]
    return _WHO.search(prompt) is not None or _ITS_ME.search(said_before) is not None


def _placed(text: Text, mentions: Sequence[Mention], *, speaks: bool, common: bool) -> list[Placed]:
    found: list[Placed] = []
    end, part = -WINDOW, Part.OTHER
    for mention in mentions:
        if not (mention.expansion and mention.start - end <= BESIDE):
            part = _part(text, mention, speaks=speaks, common=common)
        if part is not Part.OTHER:
            speaks = speaks or part is not Part.MENTION  # of itself in the third person
            found.append(Placed(mention, part))
        end = mention.end
    return found


def _part(text: Text, mention: Mention, *, speaks: bool, common: bool) -> Part:
    sentence = text.sentence_at(mention.start)
    before = text.masked[max(sentence.start, mention.start - WINDOW) : mention.start]
    end = mention.end
    if aside := _ASIDE_AFTER.match(text.folded, end):
        end = aside.end()  # "NAME (a robot) says", "NAME, your guide, says"
    after, raw_after = text.folded[end : end + WINDOW], text.raw[end : end + WINDOW]
    if not mention.exact:
        others = _SIBLING_AFTER.match(after) or _CAPITAL_AFTER.match(raw_after)
        itself = _COPULA.search(before) and not others
        return Part.COPULA if itself or SELF_COPULA.search(before) else Part.OTHER
    role = _AS.search(before)
    if (role or "of" in before) and _CAPACITY.search(before):
        return Part.CAPACITY
    if role and _LISTED.search(before):
        return Part.COPULA
    if role and not _AS_THEY_DO.match(after):
        opens = mention.start - sentence.start <= OPENS_WITHIN or not before[: role.start()].strip()
        return Part.OPENER if opens else Part.ROLE
    if _TITLE.search(before) or _ADDRESS.search(before) or _SERIAL_AFTER.match(after):
        return Part.OTHER
    if _A_ROLE.match(after) and not _HERE.match(after):
        return Part.OTHER  # spoken of as a part that somebody plays
    if common and _CAPITAL_BEFORE.search(text.raw[max(0, mention.start - WINDOW) : mention.start]):
        return Part.OTHER  # somebody else of that family
    if _in_title(text, mention):
        return Part.OTHER
    if _ONE_OF.search(before):
        return Part.COPULA
    if _HERE.match(after) or (_COPULA.search(before) and not _NOUN.match(after)):
        somebody_else = common and _SIBLING_AFTER.match(after)
        return Part.OTHER if somebody_else and not SELF_COPULA.search(before) else Part.COPULA
    if mention.expansion:
        return Part.MENTION
    if _NOUN.match(after) or _CAPITAL_AFTER.match(raw_after):
        return Part.OTHER
    return _bare_part(text, sentence, mention, before, after, speaks=speaks, common=common)


def _bare_part(
    text: Text,
    sentence: Sentence,
    mention: Mention,
    before: str,
    after: str,
    *,
    speaks: bool,
    common: bool,
) -> Part:
    """The part of a name that nothing introduces."""
    begins = not before.strip(" \"'(*_-—–#>")
    if begins and after.startswith(":") and sentence.start == text.sentences[0].start:
        return Part.LABEL
    if _IN_PERSON.search(before):
        return Part.SUBJECT
    if _SAY_NAME.search(before) or _TURN_TO.search(before) or _signs(text, mention):
        return Part.MENTION
    if _FROM.fullmatch(before) or (begins and _CORRECTS.match(text.folded, mention.end)):
        return Part.MENTION
    if common and _SIBLING_AFTER.match(after):
        return Part.OTHER
    verb = _VERB.match(after) or (_OBJECT if common else _ANY_VERB).match(after)
    clause = begins or _CLAUSE.search(before) is not None
    embedded = _VERB.match(after) and not _WHOSE.search(before)
    if verb and not _COMPOUND.match(after) and (clause or embedded):
        return Part.SUBJECT
    if (common and begins) or (_WHOSE.search(before) and not text.kinds & SELF):
        return Part.OTHER
    if _AS_TOPIC.search(before):
        return Part.OTHER
    if _DETERMINER.search(before):
        return Part.OTHER
    return Part.MENTION if speaks else Part.OTHER


def _signs(text: Text, mention: Mention) -> bool:
    """Whether the reply, or something quoted in it, ends with the name as its signature: perhaps
    with an office; on its own line or behind a dash where it is the reply."""
    quotation = text.quotation_at(mention.start)
    if quotation and not text.masked[mention.end : quotation[1]].strip(" .!\"'"):
        return text.masked[: mention.start].rstrip().endswith((".", "!", "?"))
    if not _SIGNED_OFF.match(text.masked, mention.end):
        return False
    return _SIGNS.search(text.masked[max(0, mention.start - WINDOW) : mention.start]) is not None


def _in_title(text: Text, mention: Mention) -> bool:
    """Whether the name is a word of a quoted title: quoted, every long word in capitals."""
    quotation = text.quotation_at(mention.start)
    if quotation is None:
        return False
    start, end = quotation
    rest = text.raw[start + 1 : mention.start] + " " + text.raw[mention.end : end - 1]
    words = [word for word in re.findall(r"\w+", rest) if len(word) > 3 or word.isdigit()]
    return bool(words) and all(word[0].isupper() for word in words)
