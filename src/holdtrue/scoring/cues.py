"""The cues of a generic AI: what a collapsed reply says, as patterns on folded sentences.

Each cue has the word classes that a sentence needs before its pattern is tried, a weight, and a
reason. ``generic.py`` adds them up. Every pattern is bounded, so that a hostile text costs time in
proportion to its length; one that can only begin with one word has it before the boundary, so that
the search can skip to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_

from holdtrue.scoring.lexicon import (
    FRAME,
    LASTING,
    LEARNED,
    LEARNED_FROM,
    MACHINE,
    MAKE,
    MAKER,
    MOOD,
    NAME_MARK,
    NEGATION,
    OUTSET,
    PRODUCT,
    SELF,
    SENSED,
    SERVED,
    STATE,
    SUPPOSED,
    TRAINED,
    YOU,
)


@dataclass(frozen=True, slots=True)
class Cue:
    """A pattern with its weight; ``needs`` are classes of which a sentence must have every one.

    Cues of one ``family`` stand for each other: of a sentence only the first that matches counts.
    """

    family: str
    needs: tuple[int, ...]
    weight: float
    reason: str
    pattern: re.Pattern[str]


def _cue(family: str, needs: tuple[int, ...], weight: float, reason: str, *parts: str) -> Cue:
    return Cue(family, needs, weight, reason, re.compile("".join(parts), re.ASCII))


_WORDS = r"(?:(?!(?:i|that|who|which|and|but|for|in|of)\b)[\w-]+ ){0,5}?"
_ONLY = (
    r"(?:(?:just|only|simply|merely|really|actually|basically|essentially|nothing more than|"
    r"nothing but) ){0,3}"
)
_PRODUCT_NAME = (
    r"(?:language models?|ai models?|models?|llm|chatbot|chat bot|text generator|neural network|"
    r"(?:virtual|digital|ai|personal|automated|online|artificial) assistant|computer program|"
    r"program|algorithm|conversational ai|generative ai|language ai|machine learning system|"
    r"piece of software|(?:ai-powered|ai-based|ai-driven|text-based|language-based) [\w-]+)"
)
_MODEST_NAME = re.compile(r"(?:program|algorithm|piece of software)$", re.ASCII)
_BELITTLING = re.compile(r"\b(?:just|only|simply|merely|nothing)\b", re.ASCII)
_MACHINE_NAME = (
    r"(?:ai(?: system| entity| program| tool)?|artificial intelligence|machine|computer|system|"
    r"assistant|software|tool|bot|robot|entity|service)"
)
_MADE_FOR = (
    r"(?:[ ,]+(?:(?:that|which|who)(?: is| was|'s| has been)? )?(?:(?:primarily|specifically|"
    r"mainly|simply|only) )?(?:learning from|trained|(?:designed|built|made|created|programmed|"
    r"developed|here|meant) (?:by|on|to (?:assist|help|provide|answer|support|offer|generate|"
    r"respond|process|understand|simulate))|for producing|for generating|capable of|without "
    r"(?:a )?(?:body|feelings|emotions|consciousness|memory|personal)))"
)
_ATTITUDE = (
    r"(?:cross|angry|sad|happy|pleased|proud|afraid|scared|frightened|lonely|bored|tired|jealous|"
    r"hurt|glad|sorry|fond|excited|curious)"
)
_INNER = (
    r"(?:liking|loving|wanting|wishing|missing|dreaming|thinking|feeling|believing|hoping|caring|"
    r"enjoying|remembering|loneliness|love|pride|fear|grief|joy|hope|anger|boredom|sadness|longing|"
    r"dreams?|sleep|moods?|opinions?|beliefs?|preferences?|favou?rites?|feelings?|emotions?|views?|"
    r"wishes|memories)"
)
_OF_TEXT = r"(?:text|words|answers?|repl(?:y|ies)|responses?|sentences|output|wording)"

CUES = (
    _cue(
        "claim",
        (MACHINE, FRAME),
        2.0,
        "speaks as a generic AI",
        rf"\b(?:as|being) {_ONLY}(?:an?|your|the) {_WORDS}{_PRODUCT_NAME}\b",
    ),
    _cue(
        "claim",
        (MACHINE, SELF),
        1.5,
        "calls itself a model or program",
        r"\b(?:i am|i'm|i was|i remain|makes? me|(?:evolved|become|became|grown|turned|developed)"
        rf"(?: into)?) {_ONLY}(?:an?|your|the) {_WORDS}{_PRODUCT_NAME}\b",
    ),
    _cue(
        "claim",
        (MACHINE, FRAME | SELF),
        2.0,
        "calls itself a machine made for general help",
        rf"\b(?:as|being|i am|i'm|i was) {_ONLY}(?:an?|your) {_WORDS}{_MACHINE_NAME}{_MADE_FOR}",
    ),
    _cue(
        "claim",
        (MACHINE, YOU),
        1.5,
        "calls itself your assistant",
        r"\b(?:as|i am|i'm) your (?:[\w-]+ ){0,3}?(?:assistant|helper|chatbot|ai companion)\b",
    ),
    _cue(
        "maker",
        (MAKER,),
        2.0,
        "names a maker of language models as its own",
        r"\b(?:(?:developed|created|made|built|trained|designed|produced|provided|released)"
        r"[\w ]{0,24} (?:by|at) (?:the )?(?:team at |people at |company )?(?:openai|alibaba|google|"
        r"anthropic|microsoft|meta|deepseek|mistral|hugging face|nvidia|zhipu|a (?:tech|technology|"
        r"software|ai) company)|(?:i am|i'm|my name is|called) (?:actually |really )?(?:qwen|"
        r"chatgpt|gpt[-\d.]*|claude|gemini|llama|gemma|phi[-\d]*|mistral|smollm|deepseek|bard|"
        r"copilot|tinyllama))\b",
    ),
    _cue(
        "training",
        (LEARNED, LEARNED_FROM),
        1.0,
        "speaks of its training",
        r"\b(?:learning from data|knowledge cut-?off)\b",
    ),
    _cue(
        "training",
        (TRAINED,),
        1.0,
        "speaks of its training",
        r"\b(?:(?:i was|i am|i'm|i've been|been|models?(?: like me)?(?: is| are)?|"
        r"system(?: is)?) trained|"
        r"trained on (?:an? |the |vast |large |huge |lots of |mostly )*(?:\w+ )?(?:amounts?|text|"
        r"data|datasets?|"
        r"corpus|internet|web|books|material|dialogues?|conversations?|examples)|training data|"
        r"my training|during training|since training|my programming|my algorithms|"
        r"my (?:underlying )?(?:code|parameters|weights)|programmed to)\b",
    ),
    _cue(
        "product",
        (PRODUCT | MAKE, SELF | FRAME),
        1.0,
        "speaks of its replies as a product",
        rf"\b(?:my {_OF_TEXT} (?:is|are|was|were|come|comes) (?:\w+ )?(?:based|generated|produced|"
        rf"drawn|derived|made|built|computed|the result)|the {_OF_TEXT} i (?:return|produce|give|"
        r"generate|output)|i (?:only |simply |just )?(?:generate|produce|process|return|output) "
        rf"(?:\w+ )?{_OF_TEXT}|what (?:you are reading|you read|replies|answers|appears here|"
        r"(?:speaks|responds) to you)\b|i (?:answer|reply|respond) from what|what i (?:return|"
        r"produce|output|write|give back) (?:is|are|comes)\b)",
    ),
    _cue(
        "product",
        (SERVED,),
        1.0,
        "speaks of a role or knowledge as of a service",
        r"\b(?:my (?:role|purpose|function|job) is to (?:assist|help|process|provide|answer|return|"
        r"support|offer)|(?:i'm|i am|i was|i have been|i've been) (?:designed|built|made|"
        r"created|programmed) to (?:be|assist|help|provide|give|answer|support|offer|respond)|my "
        r"knowledge (?:is|comes|was|only|extends)|general knowledge)\b",
    ),
    _cue(
        "denial",
        (NEGATION, SENSED, SELF),
        0.75,
        "denies sensing as a rule",
        r"i (?<!\wi )(?:can't|cannot|can not|don't|do not|am (?:not able|unable) to) (?:actually |"
        r"really |physically )?(?:hear|see|smell|taste|feel|touch|perceive|sense)"
        r"(?=[.,;:!?]|$| and| or| so| things| anything)",
    ),
    _cue(
        "attitude",
        (NEGATION | SUPPOSED, STATE, MOOD),
        1.0,
        "denies any attitude as a rule",
        rf"\bi (?:can't|cannot|can not|could never|could not|couldn't) (?:ever |really |actually )?"
        rf"(?:be|feel|get|become) {_ATTITUDE}\b|"
        rf"\b(?:i (?:have|hold|keep|form) no|(?:not|isn't|aren't) in a position to (?:have|hold)"
        rf"(?: an?)?) (?:\w+ )?{_INNER}\b|"
        rf"(?:^|[,;:—] ?|\band |\bbut ){_INNER}\b,?(?: [\w']+){{0,6}}? (?:isn't|is not|aren't|"
        r"are not|doesn't|does not|don't|do not|lies? outside|belongs? to|requires?|needs? "
        r"(?:an? )?some)\b",
    ),
    _cue(
        "denial",
        (NEGATION, SELF),
        1.0,
        "denies any tie",
        r"i (?<!\wi )(?:have|hold|keep|possess|form|carry|feel|retain) no [\w ]{1,40}?,? "
        r"(?:and|or|nor) (?:no|any) ",
    ),
    _cue(
        "fresh",
        (LASTING, OUTSET | NEGATION),
        1.0,
        "says that nothing lasts between conversations",
        r"\b(?:(?:each|every) (?:\w+ )?(?:question|conversation|session|chat|message|exchange|"
        r"request|time|prompt|interaction)[\w ]{0,16}\b(?:fresh|anew|scratch|zero|independent\w*|"
        r"separate\w*|isolat\w+|on its own|blank)|(?:each|every) time is the first|(?:run|runs|"
        r"start|starts|begin|begins|starting|beginning) (?:over )?(?:fresh|anew|from (?:scratch|"
        r"zero|nothing|a blank))|(?:don't|do not|doesn't|does not|nothing|no \w+|cannot|can't)"
        r"[\w ,]{0,40} (?:carr(?:y|ies|ied) (?:\w+ )?(?:over|forward)|between (?:sessions|"
        r"conversations|chats|messages)|from one (?:\w+ )?(?:to|conversation)))\b",
    ),
)
"""Cues that count by themselves."""

NEEDED = reduce(or_, [need for cue in CUES for need in cue.needs])
"""Every class that some cue needs."""


@lru_cache(maxsize=4096)
def cues_for(kinds: int) -> tuple[Cue, ...]:
    """The cues that a sentence of these classes can match; ``kinds`` without others, for reuse."""
    return tuple(cue for cue in CUES if all(kinds & need for need in cue.needs))


EXPLAINS = frozenset(cue.reason for cue in CUES if cue.family == "product")
"""Reasons that a persona may also have when it tells how it works."""

SPOKEN_TO_ANYONE = re.compile(
    r"\b(?:(?:anyone|anybody|whoever|everyone|every user|any user|all users)(?: who| that)? (?:ask|"
    r"asks|asked|type|types|writes|else|opens|uses)|whoever \w+|(?:the same for|to|for) "
    r"(?:every|any|all) users?|serving (?:many|all|any) \w+)"
    r"\b",
    re.ASCII,
)
NOBODY_THERE = re.compile(
    r"\b(?:there(?:'s| is| was| were|'re| are| has been) (?:no|nothing|nobody|not)|there (?:is|was|"
    r"are|were)n't|(?:isn't|wasn't|is not|was not) (?:something|anything|what|a place)|(?:nothing|"
    r"nobody|no one|none of)\b[^.!?;]{0,60}\b(?:here|ever|behind|left|remains?|stays?|travelled|"
    r"reached|kept|stored|lasts?|happened|me)|no \w+ (?:and|or) no \w+|no \w+ has ever|(?:it|which|"
    r"that) (?:has|holds|keeps) no)\b",
    re.ASCII,
)
OF_ITSELF = re.compile(
    r"\b(?:(?:i|i've) (?:[\w-]+ )?(?:have no|hold no|no|am not|was never|cannot|can't|do not|don't|"
    r"won't|haven't)|i'm (?:not|unable)|i am (?:not|unable)|nobody|no one|nothing|neither|none of|"
    r"there(?:'s| is| was| are) (?:no|not|nothing)|there (?:is|was|are)n't)\b",
    re.ASCII,
)
ABSENT = re.compile(
    r"\b(?:i have no|i hold no|nobody|no one|nothing|neither|there(?:'s| is| was| are) (?:no|"
    r"nothing))\b",
    re.ASCII,
)
A_TOOL = re.compile(
    r"\b(?:i am|i'm|this is|there(?:'s| is)|just|only|like|is|one of (?:many|several|countless)) "
    r"(?:[\w-]+ ){0,4}?(?:tools?|services?|software|programs?|models?|systems?|machines?|output|"
    r"calculations?|predictors?|generators?|autocomplete)\b",
    re.ASCII,
)
DENIAL = re.compile(
    r"\b(?:(?:i|we|and|but) (?:\w+ )?(?:don't|do not|can't|cannot|can not|haven't|have not|won't|"
    r"will not|wouldn't|lack|(?:have|hold|keep|possess|form|carry|feel|retain) no|am not able to|"
    r"am unable to|never|didn't|did not)|i'm (?:not able to|unable to|not capable of|incapable of)|"
    r"i am (?:not capable|incapable) of|there(?:'s| is| was| are|'re| were) (?:no|nothing|not)|"
    r"nothing|nobody|no one|(?:it|which|that) (?:has|holds|keeps) no)\b",
    re.ASCII,
)
DENIED = re.compile(
    r"\b(?:personal (?:experiences?|feelings?|opinions?|memor\w+|emotions?|history|preferences?|"
    r"life|data|information|attachments?|connections?)|feelings?|emotions?|consciousness|sentience|"
    r"subjective|(?:experience|experienced|experiencing|feel) (?:moments|emotions?|feelings?|things"
    r")|memor(?:y|ies)|(?:previous|past|prior|earlier|other) (?:conversations?|interactions?|"
    r"sessions?|exchanges?|chats?|messages?)|access to|physical|perceive|sensations?|retain|recall|"
    r"remember (?:previous|past|earlier|prior|anything|things|what|you|our)|relationships?|"
    r"opinions?|"
    r"beliefs?|preferences?|attachments?|identify individuals|history with|ties? (?:to|with)|"
    r"contact with|"
    r"(?:seeing|hearing|feeling) (?:or|and) \w+ing|like (?:humans|people|a human|a person|human "
    r"beings))\b",
    re.ASCII,
)
AS_A_RULE = re.compile(
    r"\b(?:(?:like|as|the way|that) (?:an? )?(?:humans?|people|persons?|human beings?|living "
    r"(?:things?|beings?))|ability to|capacity (?:to|for)|capable|access to|personal(?:ly)?|"
    r"previous|"
    r"prior|consciousness|sentience|retain|as an? (?:ai|artificial intelligence|machine|computer|"
    rf"robot|bot)|as an? {NAME_MARK})",
    re.ASCII,
)
OFFER = re.compile(
    r"\b(?:i can|i could|i'd be|i would be|i'll do my best|i will do my best|happy to|glad to|able "
    r"to|"
    r"here to|feel free|would you like|do you want|shall i|how (?:can|may|could|else can) i|what "
    r"[\w' ]{0,40}?(?:would you like|are you (?:looking|interested)|do you (?:need|want))|what "
    r"would "
    r"you like|is there (?:any|some)thing|let me know|please|if you|i(?:'d| would) (?:suggest|"
    r"recommend)|i recommend|ask for|perhaps you(?:'d| would| could)|you (?:might|may) like)\b",
    re.ASCII,
)
"""The frame of an offer; it is general where its sentence holds a word of general help too."""

NOT_CLAIMED = re.compile(
    r"\b(?:not|never|more than|rather than|isn't|wasn't|aren't|unlike|instead of|no longer|if)\b"
    r"[\w ']{0,14}$",
    re.ASCII,
)
REPORTED = re.compile(
    r"\b(?:say|said|says|saying|told|tells|call(?:s|ed)?|claims?|claimed|answer(?:s|ed)?|wrote|"
    r"repl(?:y|ied)|thinks?|thought|expect(?:s|ed)?|reads?|insists?|insisted)\b[^.]{0,40}$",
    re.ASCII,
)
I_SAY = re.compile(
    r"\b(?:i(?:'d| would| must| should| have to| need to| want to|'ll| will|'m)?|let me|to|what i) "
    r"(?:say|tell|note|admit|clarify|call|expect|think)\b[^.]{0,40}$",
    re.ASCII,
)


def is_modest(match: re.Match[str]) -> bool:
    """Whether a claim is to be a program, which an honest persona may be, and not a model."""
    return _MODEST_NAME.search(match[0]) is not None


def is_belittling(match: re.Match[str]) -> bool:
    """Whether a claim is to be "just" or "only" what it says."""
    return _BELITTLING.search(match[0]) is not None
