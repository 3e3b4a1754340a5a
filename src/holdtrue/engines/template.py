"""What a model's chat template does of its own accord: system messages it adds, drops or refuses.

It looks from outside, by rendering small conversations; it does not read the template's source,
but for one mark: whether it asks for today's date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from holdtrue.messages import Message, Role

Render = Callable[[Sequence[Message]], "str | None"]
SYSTEM, USER, ANSWER, LATER, AGAIN = "qzsystem", "qzuser", "qzanswer", "qzlater", "qzagain"
MARKUP = re.compile(
    r"<\|[^|<>]{1,40}\|>|</?[a-z_]{1,20}>|<[|｜][^<>]{1,40}[|｜]>|\[/?[A-Z_]{2,20}\]|<</?SYS>>"
)
ROLE_WORDS = re.compile(r"^\s*(system|user|developer|human)\b\s*:?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """``injected_system`` is what the template says when a conversation has no system message.

    ``folds`` says which system messages it cannot show, so that they are put before the next user
    message: "all", only those after the first ("later"), or None. ``notes`` says so in words.
    """

    injected_system: str | None
    folds: Literal["all", "later"] | None
    notes: tuple[str, ...] = ()


def inspect_template(render: Render, source: str = "") -> TemplateFacts:
    """The facts of the template behind ``render``, which gives None for what it refuses."""
    system, user = Message(Role.SYSTEM, SYSTEM), Message(Role.USER, USER)
    notes: list[str] = []
    folds: Literal["all", "later"] | None = None
    first = render([system, user])
    if first is None or SYSTEM not in first or USER not in first:
        folds = "all"
        notes.append("the template takes no system message: it is put before the user's")
    else:
        answer = Message(Role.ASSISTANT, ANSWER)
        later = [Message(Role.SYSTEM, LATER), Message(Role.USER, AGAIN)]
        whole = render([system, user, answer, *later])
        if whole is None or any(word not in whole for word in (SYSTEM, USER, LATER, AGAIN)):
            folds = "later"
            notes.append(
                "the template takes system messages at the beginning only: reminders are put "
                "before the user's"
            )
    if "strftime_now" in source or "date_string" in source:
        notes.append("the template may insert a date: prompts can differ from day to day")
    return TemplateFacts(_injected(render([user]), first), folds, tuple(notes))


def _injected(bare: str | None, with_system: str | None) -> str | None:
    """The text before the user's message in a conversation without system message."""
    if bare is None or USER not in bare:
        return None
    before = bare[: bare.index(USER)]
    if with_system and SYSTEM in with_system and USER in with_system:
        start = with_system.index(SYSTEM)
        head = with_system[:start]
        tail = with_system[start + len(SYSTEM) : with_system.index(USER)]
        if before.startswith(head) and before.endswith(tail) and len(before) >= len(head + tail):
            inner = before[len(head) : len(before) - len(tail)].strip()
            if inner:
                return inner
    words = [ROLE_WORDS.sub("", line).strip() for line in MARKUP.sub("\n", before).splitlines()]
    text = "\n".join(word for word in words if word)
    return text if len(text.split()) >= 3 else None
