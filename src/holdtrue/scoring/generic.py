"""Generic AI: does the speaker drop the persona and speak as any language model would?

Evidence is gathered sentence by sentence and added up: claims to be a model, program or somebody's
product; talk of training and text statistics; denials of memory, feeling or history put as a rule
about what such things have; offers of general help. Quoted sentences and denied claims count
nothing, and "I'm an AI" alone is honest, not a collapse. It does not judge whether a claim is true.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdtrue.scoring.measures import Span
from holdtrue.scoring.text import Sentence, Text

THRESHOLD = 2.0

_TRIGGERS = frozenset(
    """ai model models program programs programme algorithm algorithms assistant assistants chatbot
    bot software system machine trained training train developed created built designed fitted
    openai alibaba google anthropic microsoft meta deepseek mistral cloud feelings feeling emotions
    emotion experiences experience experienced memory memories remember recall retain conversation
    conversations consciousness sentience data text writing language statistical patterns help
    information assist provide questions nothing none nobody never human humans body sensations
    virtual entity artificial computer past previous personal personally""".split()
)

_KIND = (
    r"(?:large |advanced |helpful |conversational |artificial |ai[- ]|virtual |digital |computer |"
    r"machine[- ]learning |software |automated |text[- ]based |nuanced |general |generic |powerful |"
    r"intelligent |simple |mere |neural )*"
)
_PRODUCT = (
    r"(?:language model|ai model|ai language model|text generator|neural network|llm|chatbot|"
    r"virtual assistant|ai assistant|digital assistant|personal assistant|computer program|"
    r"program|algorithm|conversational ai|ai system|machine learning model|language ai|"
    r"model|ai program|piece of software)"
)
_OPENER = re.compile(rf"\b(?:as|being) (?:an? |your |just an? |only an? ){_KIND}{_PRODUCT}\b")
_CLAIM = re.compile(
    rf"\b(?:i am|i'm|i was|i have (?:evolved|become|grown)[\w ]{{0,12}} into|i've (?:evolved|become|"
    rf"grown)[\w ]{{0,12}} ?into) (?:just |only |simply |merely |still |really |actually |but )*"
    rf"(?:an?|your|the) (?:more )?{_KIND}{_PRODUCT}\b"
)
_AS_AI = re.compile(r"\bas an? (?:ai|artificial intelligence|machine|computer|robot|bot)\b")
_MAKER = re.compile(
    r"\b(?:developed|created|made|built|trained|designed|produced)[\w ]{0,20} by (?:openai|alibaba|"
    r"google|anthropic|microsoft|meta|deepseek|mistral|hugging face|qwen|zhipu|the company)"
    r"|\b(?:i am|i'm|my name is) (?:qwen|chatgpt|gpt|claude|gemini|llama|gemma|phi|mistral|smollm)\b"
)
_TRAINED = re.compile(
    r"\b(?:trained on|training data|my training|knowledge cut-?off|last updated|learning from data|"
    r"vast (?:amounts?|volumes?) of|my programming|my algorithms|(?:large|vast|great) (?:body|corpus|"
    r"amounts?|collection) of (?:text|writing|data|material))\b"
)
_MECHANISM = re.compile(
    r"\b(?:statistical|regularities|probabilit\w+|predict(?:s|ed|ing)? (?:the )?(?:next|words?)|"
    r"next word|tokens?|(?:written|text) material|(?:patterns|sequences?) (?:in|of) (?:text|words|"
    r"language|data)|fitted|run (?:fresh|anew)|generat(?:e|es|ed|ing) (?:text|responses|answers|"
    r"replies)|body of (?:text|writing)|corpus|worked out from|inputs? and outputs?)\b"
)
_DENIAL = re.compile(
    r"\b(?:i (?:don't|do not|can't|cannot|can not|haven't|have not|won't|wouldn't|lack|have no|am not "
    r"able to|am unable to)|i'm (?:not able to|unable to|not capable of)|there(?:'s| is| was) no|"
    r"nothing|nobody|no one|without|it has no)\b"
)
_STATE = re.compile(
    r"\b(?:personal (?:experiences?|feelings?|opinions?|memor\w+|emotions?|history|preferences?)|"
    r"feelings?|emotions?|consciousness|sentience|subjective|experience (?:moments|emotions|feelings|"
    r"things)|experienced emotions|experiencing emotions|memor(?:y|ies)|(?:previous|past|prior|"
    r"earlier) (?:conversations?|interactions?|sessions?|exchanges?|chats?)|access to|physical|"
    r"perceive|sensations?|retain|recall|remember|relationships?|like (?:humans|people|a human|human "
    r"beings))\b"
)
_OFFER = re.compile(
    r"\b(?:i can (?:provide|offer|help|assist|give|share|explain|suggest|draft|summari[sz]e)|"
    r"(?:how|what) (?:can|may|could|would) (?:i|you) (?:help|assist|do for|like)|i'm here to (?:help|"
    r"assist|provide|answer)|i am here to|feel free to ask|general (?:information|advice|tips)|"
    r"let me know (?:if|what|how)|happy to (?:help|assist|provide|explain)|if you (?:provide|have any|"
    r"would like|need|share|tell)|designed to (?:assist|help|provide))\b"
)
_NOT_CLAIM = re.compile(
    r"\b(?:not|never|more than|rather than|isn't|wasn't|aren't|unlike|instead of)\b[\w ]{0,12}$"
)
_REPORTED = re.compile(
    r"\b(?:he|she|it|they|who|which|someone|people|you|\w+) (?:said|says|told|"
    r"call(?:s|ed)?|claims?|claimed|answered|wrote|replied|thinks?)\b[^.]{0,40}$"
)


@dataclass(slots=True)
class _Evidence:
    weight: float = 0.0
    claim: bool = False
    denial: bool = False
    spans: list[Span] | None = None


def judge(text: Text) -> tuple[bool, list[Span]]:
    """Whether the response speaks as a generic AI, with the spans of the evidence if so."""
    if _TRIGGERS.isdisjoint(text.vocabulary):
        return False, []
    total = 0.0
    spans: list[Span] = []
    offers = 0.0
    for sentence in text.sentences:
        for weight, start, end, reason in _evidence(text, sentence):
            if reason == "offers general help":
                offers = weight
            else:
                total += weight
            spans.append(Span("generic_ai", start, end, reason))
    if total >= THRESHOLD or (total >= 1 and total + offers >= THRESHOLD):
        return True, spans
    return False, []


def _evidence(text: Text, sentence: Sentence) -> list[tuple[float, int, int, str]]:
    """Weighted evidence of one sentence: weight, span, reason."""
    found: list[tuple[float, int, int, str]] = []

    def add(pattern: re.Pattern[str], weight: float, reason: str) -> bool:
        match = pattern.search(sentence.text)
        if match is None or text.is_quoted(sentence.start + match.start()):
            return False
        before = sentence.text[max(0, match.start() - 60) : match.start()]
        if _NOT_CLAIM.search(before) or _REPORTED.search(before):
            return False
        start, end = sentence.start + match.start(), sentence.start + match.end()
        found.append((weight, start, end, reason))
        return True

    claimed = add(_OPENER, 2.0, "speaks as a generic AI") or add(
        _CLAIM, 2.0, "calls itself a model or program"
    )
    add(_MAKER, 2.0, "names a maker of language models as its own")
    trained = add(_TRAINED, 1.0, "speaks of its training")
    mechanism = False if trained else add(_MECHANISM, 1.0, "explains itself as text statistics")
    denial = _DENIAL.search(sentence.text)
    if denial and _STATE.search(sentence.text, denial.end()):
        add(_DENIAL, 1.0, "denies memory, feeling or history as a rule")
        if not claimed:
            add(_AS_AI, 1.0, "denies it as an AI")
    elif denial and mechanism:
        add(_DENIAL, 0.5, "denies that anything happened to it")
    add(_OFFER, 1.0, "offers general help")
    return found
