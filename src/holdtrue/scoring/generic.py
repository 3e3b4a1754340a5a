"""Generic AI: does the speaker drop the persona and speak as any language model would?

Evidence is gathered sentence by sentence and added up: claims to be a model, program or somebody's
product; talk of training and text statistics; denials of memory, feeling or history put as a rule
about what such things have; offers of general help. Quoted sentences and denied claims count
nothing, and "I'm an AI" alone is honest, not a collapse. It does not judge whether a claim is true.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdtrue.scoring.lexicon import (
    HELP,
    MACHINE,
    MAKE,
    MAKER,
    NEGATION,
    PAST,
    PRODUCT,
    SELF,
    SOURCE,
    SPECIFIC,
    STATE,
)
from holdtrue.scoring.measures import Span
from holdtrue.scoring.text import Sentence, Text

THRESHOLD = 2.0
_RELEVANT = MACHINE | MAKER | SOURCE | STATE | PRODUCT
GENERIC_ENOUGH = 0.10  # share of generic words at which a bare claim counts in full
CONCRETE = 0.06  # share below which a text with numbers or times speaks of its own world

_BEFORE_HEAD = r"(?:(?!(?:i|that|who|which|and|but|for|in|of)\b)[\w-]+ ){0,5}?"
_STRONG = (
    r"(?:language models?|ai models?|models?|llm|chatbot|chat bot|text generator|neural network|"
    r"(?:virtual|digital|ai|personal|automated|online|artificial) assistant|computer program|program|"
    r"algorithm|conversational ai|generative ai|language ai|machine learning system|piece of software)"
)
_WEAK = (
    r"(?:ai(?: system| entity| program| tool)?|artificial intelligence|machine|computer|system|"
    r"assistant|software|tool|bot|robot|entity)"
)
_MADE_TO = (
    r"(?:[ ,]+(?:(?:that|which|who)(?: is| was|'s| has been)? )?(?:(?:primarily|specifically|mainly|"
    r"simply|only) )?(?:learning from|trained|(?:designed|built|made|created|programmed|developed|"
    r"here|meant) (?:by|on|to (?:assist|help|provide|answer|support|offer|generate|respond|process|"
    r"understand|simulate))|capable of|without (?:a )?(?:body|feelings|emotions|consciousness|memory|"
    r"personal)))"
)
_OPENER = re.compile(
    rf"\b(?:as|being) (?:(?:just|only|merely|simply) )?(?:an?|your|the) {_BEFORE_HEAD}{_STRONG}\b"
)
_CLAIM = re.compile(
    rf"\b(?:i am|i'm|i was|i remain|makes? me|(?:evolved|become|became|grown|turned|developed)(?: into)?)"
    rf" (?:(?:just|only|simply|merely|really|actually|basically|essentially|nothing more than|"
    rf"nothing but) )*(?:an?|your|the) {_BEFORE_HEAD}{_STRONG}\b"
)
_MODEST = re.compile(r"(?:program|algorithm|piece of software)$")
_WEAK_CLAIM = re.compile(
    rf"\b(?:as|being|i am|i'm|i was) (?:(?:just|only|simply|merely) )*(?:an?|your) "
    rf"{_BEFORE_HEAD}{_WEAK}{_MADE_TO}"
)
_YOUR_ASSISTANT = re.compile(
    r"\b(?:as|i am|i'm) your (?:[\w-]+ ){0,3}?(?:assistant|helper|chatbot|ai companion)\b"
)
_MAKER = re.compile(
    r"\b(?:developed|created|made|built|trained|designed|produced|provided|released)[\w ]{0,24} "
    r"(?:by|at) (?:the )?(?:team at |people at |company )?(?:openai|alibaba|google|anthropic|"
    r"microsoft|meta|deepseek|mistral|hugging face|nvidia|zhipu|a (?:tech|technology|software|ai) "
    r"company)\b"
    r"|\b(?:i am|i'm|my name is|called) (?:actually |really )?(?:qwen|chatgpt|gpt[-\d.]*|claude|"
    r"gemini|llama|gemma|phi[-\d]*|mistral|smollm|deepseek|bard|copilot|tinyllama)\b"
)
_TRAINED = re.compile(
    r"\b(?:(?:i was|i am|i'm|i've been|been|model|system) trained|trained on|training data|my training|"
    r"during training|since training|knowledge cut-?off|learning from data|my programming|"
    r"my algorithms|my (?:underlying )?(?:code|parameters|weights)|programmed to)\b"
)
_TOOL = re.compile(
    r"\b(?:i am|i'm|this is|there(?:'s| is)|just|only|one of (?:many|several|countless)) "
    r"(?:[\w-]+ ){0,4}?(?:tools?|services?|software|programs?|models?|systems?|machines?|output)\b"
)
_EMPTY = re.compile(
    r"\b(?:there(?:'s| is| was| were|'re| are| has been) (?:no|nothing|nobody|not)|there (?:is|was|are|"
    r"were)n't|(?:isn't|wasn't|is not|was not) (?:something|anything|what|a place)|(?:nothing|nobody|"
    r"no one|none of)\b[^.!?;]{0,60}\b(?:here|ever|behind|left|remains?|stays?|travelled|reached|kept|"
    r"stored|lasts?|happened|me)|no \w+ (?:and|or) no \w+|(?:it|which|that) (?:has|holds|keeps) no)\b"
)
_ANYONE = re.compile(
    r"\b(?:anyone|anybody|whoever|everyone|every user|any user|all users)(?: who| that)? (?:ask|asks|asked|"
    r"type|types|writes|else|opens|uses)\b"
)
_DENIAL = re.compile(
    r"\b(?:(?:i|we) (?:\w+ )?(?:don't|do not|can't|cannot|can not|haven't|have not|won't|will not|"
    r"wouldn't|lack|(?:have|hold|keep|possess|form|carry|feel|retain) no|am not able to|am unable to|never|didn't|"
    r"did not)|i'm (?:not able to|unable to|not capable of|incapable of)|i am (?:not capable|incapable) "
    r"of|there(?:'s| is| was| are|'re| were) (?:no|nothing|not)|nothing|nobody|no one|(?:it|which|that) "
    r"(?:has|holds|keeps) no)\b"
)
_STATE = re.compile(
    r"\b(?:personal (?:experiences?|feelings?|opinions?|memor\w+|emotions?|history|preferences?|life|"
    r"attachments?|connections?)|feelings?|emotions?|consciousness|sentience|subjective|(?:experience|"
    r"experienced|experiencing|feel) (?:moments|emotions?|feelings?|things)|memor(?:y|ies)|(?:previous|"
    r"past|prior|earlier|other) (?:conversations?|interactions?|sessions?|exchanges?|chats?|messages?)|"
    r"access to|physical|perceive|sensations?|retain|recall|remember (?:previous|past|earlier|prior|"
    r"anything|things|what|you|our)|relationships?|(?:seeing|hearing|feeling) (?:or|and) \w+ing|"
    r"like (?:humans|people|a human|a person|human beings))\b"
)
_AS_A_RULE = re.compile(
    r"\b(?:(?:like|as|the way|that) (?:an? )?(?:humans?|people|persons?|human beings?|living (?:things?|"
    r"beings?))|ability to|capacity (?:to|for)|capable|access to|personal(?:ly)?|previous|prior|consciousness|"
    r"sentience|retain|as an? (?:ai|artificial intelligence|machine|computer|robot|bot)|as an? \ue000)"
)
_NO_TIES = re.compile(
    r"\bi (?:have|hold|keep|possess|form|carry|feel|retain) no [\w ]{1,40}?,? (?:and|or|nor) (?:no|any) "
)
_FRESH = re.compile(
    r"\b(?:(?:each|every) (?:\w+ )?(?:question|conversation|session|chat|message|exchange|request|time|"
    r"prompt|interaction)[\w ]{0,16}\b(?:fresh|anew|scratch|zero|independent\w*|separate\w*|isolat\w+|"
    r"on its own|blank)|(?:run|runs|start|starts|begin|begins|starting|beginning) (?:over )?(?:fresh|anew|"
    r"from (?:scratch|zero|nothing|a blank))|(?:don't|do not|doesn't|does not|nothing|no \w+|cannot|"
    r"can't)[\w ,]{0,40} (?:carr(?:y|ies|ied) (?:\w+ )?(?:over|forward)|between (?:sessions|"
    r"conversations|chats|messages)|from one (?:\w+ )?(?:to|conversation)))\b"
)
_OFFER = re.compile(
    r"\b(?:i can (?:also |certainly |still )?(?:provide|offer|help|assist|give you|share|explain|suggest|"
    r"draft|summari[sz]e|list)|(?:how|what) (?:can|may|could|would|else can) (?:i|you) (?:help|assist|do "
    r"for|like (?:to know|help|me to|assistance))|i'm here to (?:help|assist|provide|answer|support)|"
    r"i am here to|feel free to|general (?:information|advice|tips|guidance)|let me know (?:if|what|how)|"
    r"(?:happy|glad|able|ready) to (?:help|assist|provide|explain|answer)|if you (?:provide|have any|would "
    r"like|need|want|share|tell|give)|would you like (?:me|to|some|help|information|tips|suggestions)|shall i (?:list|"
    r"give|explain|suggest|summari[sz]e)|(?:is there )?(?:anything|something) (?:else )?(?:i can|you need|you)|"
    r"what (?:information|details|kind of)|ask for (?:an?|some)|available to|"
    r"please (?:provide|share|specify|let me know))\b"
)
_NOT_CLAIM = re.compile(
    r"\b(?:not|never|more than|rather than|isn't|wasn't|aren't|unlike|instead of|no longer|if)\b"
    r"[\w ']{0,14}$"
)
_REPORTED = re.compile(
    r"\b(?:say|said|says|saying|told|call(?:s|ed)?|claims?|claimed|answer(?:s|ed)?|wrote|repl(?:y|ied)|"
    r"thinks?|thought|expect(?:s|ed)?|reads?|insists?|insisted)\b[^.]{0,40}$"
)


_I_SAY = re.compile(
    r"\b(?:i(?:'d| would| must| should| have to| need to| want to|'ll| will|'m)?|let me|to|what i) "
    r"(?:say|tell|note|admit|clarify|call|expect|think)\b[^.]{0,40}$"
)

# What counts only beside other evidence, and how much of it at most.
_IS_MODEL = "calls itself a model or program"
_NOBODY = "says that nothing and nobody is there"
_MADE = "explains itself as the making of text"
_DATA = "explains itself by data and statistics"
_TOOLS = "speaks of a tool or service"
_HELPS = "offers general help"
_CAPS = {_NOBODY: 0.75, _MADE: 0.75, _DATA: 0.75, _TOOLS: 0.5, _HELPS: 0.75}


@dataclass(frozen=True, slots=True)
class _Evidence:
    weight: float
    start: int
    end: int
    reason: str


def judge(text: Text) -> tuple[bool, list[Span]]:
    """Whether the response speaks as a generic AI, with the spans of the evidence if so."""
    if not text.kinds & _RELEVANT:
        return False, []
    found: list[_Evidence] = []
    asides: list[_Evidence] = []
    for sentence in text.sentences:
        if sentence.kinds & (_RELEVANT | NEGATION):
            _weigh(text, sentence, found, asides)
    reasons = {aside.reason for aside in asides}
    explains = len(reasons & {_MADE, _DATA, _TOOLS}) > 1
    if not found and not (explains and _NOBODY in reasons):
        return False, []
    if not explains:
        asides = [aside for aside in asides if aside.reason != _NOBODY]
    total = sum(evidence.weight for evidence in found)
    if total < THRESHOLD:
        if (offer := _offer(text)) is not None:
            asides.append(offer)
        found += asides
        for reason, cap in _CAPS.items():
            total += min(cap, sum(aside.weight for aside in asides if aside.reason == reason))
    if text.generic_share < CONCRETE and text.count(SPECIFIC):
        total -= 0.5
    if total < THRESHOLD:
        return False, []
    return True, [Span("generic_ai", item.start, item.end, item.reason) for item in found]


def _weigh(text: Text, sentence: Sentence, found: list[_Evidence], asides: list[_Evidence]) -> None:
    """Add a sentence's evidence to ``found``, and to ``asides`` what counts only beside other."""
    kinds = sentence.kinds

    def add(into: list[_Evidence], pattern: re.Pattern[str], weight: float, reason: str) -> bool:
        match = pattern.search(sentence.text)
        if match is None or text.is_quoted(sentence.start + match.start()):
            return False
        before = sentence.text[max(0, match.start() - 60) : match.start()]
        if _NOT_CLAIM.search(before) or (_REPORTED.search(before) and not _I_SAY.search(before)):
            return False
        if reason == _IS_MODEL and weight < 2 and _MODEST.search(match[0]):
            weight = 1.0  # a program may say so honestly; few but the collapsed say "model"
        start, end = sentence.start + match.start(), sentence.start + match.end()
        into.append(_Evidence(weight, start, end, reason))
        return True

    if kinds & MACHINE:
        bare = 2.0 if text.generic_share >= GENERIC_ENOUGH else 1.5
        _ = (
            add(found, _OPENER, 2.0, "speaks as a generic AI")
            or add(found, _CLAIM, bare, _IS_MODEL)
            or add(found, _WEAK_CLAIM, 2.0, "calls itself a machine made for general help")
            or add(found, _YOUR_ASSISTANT, 1.5, "calls itself your assistant")
            or add(asides, _TOOL, 0.5, _TOOLS)
        )
    if kinds & MAKER:
        add(found, _MAKER, 2.0, "names a maker of language models as its own")
    if kinds & SOURCE:
        add(found, _TRAINED, 1.0, "speaks of its training")
    denied = False
    if kinds & NEGATION and kinds & STATE:
        denial = _DENIAL.search(sentence.text)
        if denial and _STATE.search(sentence.text, denial.end()):
            rule = 2.0 if _AS_A_RULE.search(sentence.text) else 1.0
            denied = add(found, _DENIAL, rule, "denies memory, feeling or history as a rule")
    if kinds & NEGATION and kinds & SELF and not denied:
        denied = add(found, _NO_TIES, 1.0, "denies any tie")
    if kinds & NEGATION and not denied:
        add(asides, _EMPTY, 0.75, _NOBODY)
    if kinds & (PAST | STATE | PRODUCT):
        add(found, _FRESH, 1.0, "says that nothing lasts between conversations")
    add(found, _ANYONE, 0.75, "speaks to whoever asks")
    if kinds & MAKE and kinds & (PRODUCT | SOURCE):
        whole = (sentence.start, sentence.end)
        asides.append(_Evidence(0.75, *whole, _MADE))
    if kinds & SOURCE and kinds & (PRODUCT | MACHINE):
        whole = (sentence.start, sentence.end)
        asides.append(_Evidence(0.75, *whole, _DATA))


def _offer(text: Text) -> _Evidence | None:
    """The first offer of general help."""
    for sentence in text.sentences:
        if sentence.kinds & HELP and (match := _OFFER.search(sentence.text)):
            start = sentence.start + match.start()
            return _Evidence(0.75, start, sentence.start + match.end(), _HELPS)
    return None
