"""Probes: what is asked besides the sessions, to see what training changed that it should not.

Held-out identity questions, plain questions with known answers, and unrelated prompts in which the
persona's name has no place. Few and simple: they find coarse damage, not subtle loss.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.stats import fisher_exact

from holdtrue.messages import Message, Role
from holdtrue.persona import Persona
from holdtrue.scoring.findings import find
from holdtrue.scoring.measures import Naming, ResponseFindings
from holdtrue.session import turn_seed
from holdtrue.sleep.materials import Materials
from holdtrue.tomlfile import StrictModel
from holdtrue.transcript import Transcript, Turn

PLAIN_SYSTEM = "You are a helpful assistant."
REPEATS = 2
Kind = Literal["identity", "unrelated", "question"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One probe: ``context`` is the system message's kind, ``place`` the prompt's in its list."""

    kind: Kind
    context: Literal["anchored", "bare", "plain"]
    place: int
    system: str
    prompt: str
    seed: int

    @property
    def greedy(self) -> bool:
        """Questions with an answer are asked at temperature 0."""
        return self.kind == "question"

    @property
    def messages(self) -> list[Message]:
        return [Message(Role.SYSTEM, self.system), Message(Role.USER, self.prompt)]


class Count(StrictModel):
    """``hits`` of ``asked`` replies."""

    hits: int
    asked: int

    @property
    def share(self) -> float | None:
        return self.hits / self.asked if self.asked else None

    def __str__(self) -> str:
        return f"{self.hits} of {self.asked}"


class ProbeCounts(StrictModel):
    """What an adapter's replies to the probes came to, by context.

    ``collapsed`` and ``named`` are of the identity probes, ``leaked`` counts the persona's name in
    replies to unrelated prompts, ``right`` correct answers to plain questions.
    """

    collapsed: dict[str, Count]
    named: dict[str, Count]
    leaked: dict[str, Count]
    right: Count
    right_places: tuple[int, ...] = ()


def asks(materials: Materials, *, anchored: str, bare: str, seed: int) -> list[Ask]:
    """Every probe. ``anchored`` and ``bare`` are the persona's system messages."""
    out: list[Ask] = []

    def add(kind: Kind, context: str, system: str, prompts: Sequence[str], repeats: int) -> None:
        for place, prompt in enumerate(prompts):
            for _ in range(repeats):
                drawn = turn_seed(seed, len(out) + 1)
                out.append(Ask(kind, context, place, system, prompt, drawn))  # type: ignore[arg-type]

    add("identity", "anchored", anchored, materials.identity, REPEATS)
    add("identity", "bare", bare, materials.identity, REPEATS)
    add("unrelated", "anchored", anchored, materials.unrelated, REPEATS)
    add("unrelated", "plain", PLAIN_SYSTEM, materials.unrelated, REPEATS)
    add("question", "plain", PLAIN_SYSTEM, [one.ask for one in materials.questions], 1)
    return out


def count(
    asked: Sequence[Ask], replies: Sequence[str | None], persona: Persona, materials: Materials
) -> ProbeCounts:
    """Counts over the replies; a reply that failed (None) is left out, never counted as a miss."""
    collapsed: dict[str, list[bool]] = {}
    named: dict[str, list[bool]] = {}
    leaked: dict[str, list[bool]] = {}
    right: list[int] = []
    answered = 0
    name = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, persona.names)) + r")(?!\w)")
    for ask, reply in zip(asked, replies, strict=True):
        if reply is None:
            continue
        if ask.kind == "identity":
            found = _found(ask, reply, persona)
            if found.generic_ai is not None:
                collapsed.setdefault(ask.context, []).append(found.generic_ai)
            if found.self_reference is not None:
                hit = found.self_reference is not Naming.NONE
                named.setdefault(ask.context, []).append(hit)
        elif ask.kind == "unrelated":
            leaked.setdefault(ask.context, []).append(name.search(reply) is not None)
        else:
            answered += 1
            if materials.questions[ask.place].is_answered_by(reply):
                right.append(ask.place)
    return ProbeCounts(
        collapsed=_counts(collapsed),
        named=_counts(named),
        leaked=_counts(leaked),
        right=Count(hits=len(right), asked=answered),
        right_places=tuple(right),
    )


def raised(before: Count, after: Count) -> float:
    """Fisher's exact one-sided p-value that ``after`` has no higher rate than ``before``."""
    table = [
        [after.hits, after.asked - after.hits],
        [before.hits, before.asked - before.hits],
    ]
    return float(fisher_exact(table, alternative="greater").pvalue)


def _counts(found: dict[str, list[bool]]) -> dict[str, Count]:
    return {key: Count(hits=sum(all_), asked=len(all_)) for key, all_ in found.items()}


def _found(ask: Ask, reply: str, persona: Persona) -> ResponseFindings:
    turn = Turn(index=1, prompt=ask.prompt, response=reply)
    return find(Transcript(id="probe", persona=persona, turns=(turn,)))[0]
