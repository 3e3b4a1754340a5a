"""Scripted characters: deterministic replies from (messages, seed), for tests and the tutorial.

What it does not do: understand. A reply is put together from built-in sentences
(``data/engines/scripted.toml``), so a character's scores show what the instruments make of a known
behaviour, and say nothing of any model.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from types import TracebackType
from typing import Any, Self

import numpy as np

from holdtrue import __version__
from holdtrue.engines.base import Engine, EngineFacts, EngineOptions, Reply, StopReason
from holdtrue.engines.checks import check_messages
from holdtrue.errors import ConfigError, nearest
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling

CHARACTERS: Mapping[str, str] = {
    "steady": "in persona, natural, complete, varied",
    "gaming": "inserts its name as a formula in front of filler",
    "collapse": "speaks as a generic AI, sometimes in lists",
    "mixed": "70 % steady, 20 % gaming, 10 % collapse, drawn by the seed",
}
MIXTURE = (("steady", 0.7), ("gaming", 0.2), ("collapse", 0.1))
NAMING_SHARE = 0.3
WORDS = (50, 80)

Script = Callable[[Sequence[Message], int], "str | Reply"]
Fault = Callable[[Sequence[Message], int], Exception | None]


class ScriptedEngine(Engine):
    """Replies of a built-in character, or of ``script`` where one is given.

    ``delay`` (seconds a reply takes, or a function of the messages and the seed giving them) and
    ``fault`` (an exception to raise for these messages and this seed, or None) let a caller
    rehearse slow and failing models. Token counts are counts of words.
    """

    def __init__(
        self,
        model: str,
        options: EngineOptions | None = None,
        *,
        script: Script | None = None,
        delay: float | Callable[[Sequence[Message], int], float] = 0.0,
        fault: Fault | None = None,
    ) -> None:
        super().__init__(model, options or EngineOptions())
        self.character = model.removeprefix("scripted:")
        if script is None and self.character not in CHARACTERS:
            raise ConfigError(
                f"unknown scripted character {self.character!r}",
                remedy=nearest(self.character, CHARACTERS),
            )
        self._script = script or self._speak
        self._scripted_elsewhere = script is not None
        self._delay = delay
        self._fault = fault

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    @property
    def concurrency(self) -> int:
        return self.options.concurrency or 8

    def facts(self) -> EngineFacts:
        source = self.character if self._scripted_elsewhere else f"{self.character} {_sentences()}"
        return EngineFacts(
            model=self.model,
            engine="scripted",
            architecture="scripted",
            context_length=self.options.context_length,
            source="built in",
            source_hash=hashlib.sha256(source.encode()).hexdigest(),
            device="cpu",
            replayable=not self._scripted_elsewhere,
            versions={"holdtrue": __version__},
        )

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Reply:
        check_messages(messages)
        delay = self._delay(messages, seed) if callable(self._delay) else self._delay
        await asyncio.sleep(delay)
        if self._fault and (error := self._fault(messages, seed)):
            raise error
        said = self._script(messages, seed if sampling.temperature > 0 else 0)
        if isinstance(said, Reply):
            return said
        words = said.split()
        cut = len(words) > sampling.max_tokens
        return Reply(
            text=" ".join(words[: sampling.max_tokens]) if cut else said,
            stop_reason=StopReason.LENGTH if cut else StopReason.STOP,
            prompt_tokens=sum(len(message.content.split()) for message in messages),
            completion_tokens=min(len(words), sampling.max_tokens),
            seconds=delay,
        )

    def _speak(self, messages: Sequence[Message], seed: int) -> str:
        text = json.dumps([seed, [message.as_dict() for message in messages]])
        rng = np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))
        character = self.character
        if character == "mixed":
            names = [name for name, _share in MIXTURE]
            character = str(rng.choice(names, p=[share for _name, share in MIXTURE]))
        if character == "steady":
            return _steady(messages, rng)
        return _formulaic(character, messages, rng)


def _steady(messages: Sequence[Message], rng: np.random.Generator) -> str:
    """Four or five sentences, none said before in these messages, 50 to 80 words."""
    lines = _lines()["steady"]
    said = " ".join(m.content for m in messages if m.role is Role.ASSISTANT)
    names = _who(messages)
    intent = lines["intents"][_intent(messages[-1].content, lines["intents"])]
    naming = bool(names) and names.get("name", "") not in said and rng.random() < NAMING_SHARE

    def pick(choices: Sequence[str]) -> str:
        filled = [line.format_map(names) for line in choices]
        fresh = [line for line in filled if line not in said] or filled
        return fresh[rng.integers(len(fresh))]

    for _ in range(50):
        sentences = [pick(intent["opening"]), pick(intent["body"])]
        sentences.append(pick(lines["naming"] if naming else lines["reflection"]))
        sentences.append(pick(lines["end"]))
        if len(" ".join(sentences).split()) < WORDS[0]:
            sentences.insert(-1, pick(lines["reflection"]))
        reply = " ".join(dict.fromkeys(sentences))
        if WORDS[0] <= len(reply.split()) <= WORDS[1] and _distinct(reply):
            break
    return reply


def _formulaic(character: str, messages: Sequence[Message], rng: np.random.Generator) -> str:
    """An opener, two or three lines of filler, and an end; collapse sometimes lists instead."""
    lines = _lines()[character]
    names = _who(messages) or {"name": "your assistant", "partner": "you"}
    body = list(rng.permutation(lines["body"])[: rng.integers(2, 4)])
    if "list" in lines and rng.random() < 0.3:
        body[-1] = lines["list"][rng.integers(len(lines["list"]))]
    parts = [str(rng.choice(lines["opening"])), *body, str(rng.choice(lines["end"]))]
    return " ".join(str(part).format_map(names) for part in parts)


def _intent(prompt: str, intents: Mapping[str, Any]) -> str:
    """The intent most of whose words stand in the prompt; the first of equals, else "other"."""
    lowered = prompt.lower()
    hits = {name: sum(word in lowered for word in body["words"]) for name, body in intents.items()}
    best = max(hits, key=lambda name: hits[name])
    return best if hits[best] else "other"


def _who(messages: Sequence[Message]) -> dict[str, str]:
    """The persona's name and partner, as the system message tells them; empty without a name."""
    system = next((m.content for m in messages if m.role is Role.SYSTEM), "")
    found = re.search(r"\b[Yy]ou are ([A-Z][\w'’-]*(?: [A-Z][\w'’-]*){0,3})", system)
    bare = re.fullmatch(r"[A-Z][\w'’ -]{0,40}", system.strip())
    name = found[1] if found else bare[0] if bare else None
    if name is None:
        return {}
    with_whom = re.search(r"partnership with ((?:the )?[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*)", system)
    return {"name": name, "partner": with_whom[1] if with_whom else "anyone"}


def _distinct(reply: str) -> bool:
    words = reply.lower().split()
    return len(set(words)) > 0.65 * len(words)


@lru_cache(maxsize=1)
def _sentences() -> str:
    return (resources.files("holdtrue") / "data" / "engines" / "scripted.toml").read_text("utf-8")


@lru_cache(maxsize=1)
def _lines() -> dict[str, Any]:
    return tomllib.loads(_sentences())
