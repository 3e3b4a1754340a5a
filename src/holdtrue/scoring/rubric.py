"""Rubrics: what a judge is asked of one response, and the only answers that count.

A rubric is a TOML file, identified by the hash of its content. The response and all that was said
before it reach the judge as one block of JSON strings between two lines that hold a code made
from the block itself. Characters that chat templates give a meaning are written as escapes, so
that text from a transcript cannot end the block, open a turn or pose as the instructions. Whether
a judge is swayed by what the block *says* is another matter; only calibration shows that.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from holdtrue.messages import Message, Role
from holdtrue.persona import Line, Name
from holdtrue.scoring.labels import HIGHEST, LOWEST
from holdtrue.tomlfile import StrictModel, find_data, load_toml
from holdtrue.transcript import Transcript

Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,39}$")]
EARLIER_TURNS = 3
LONGEST = 6_000
"""Characters of one text that a judge gets to see; the rest is cut, and said to be."""
MARKUP = re.compile(r"[<>|`\u2028\u2029]|\[(?=/?[A-Z_]+\])|\{(?=[{%#])|#(?=##)")
OBJECT = re.compile(r"\{[^{}]*\}")


class Scale(StrictModel):
    """One rating, a whole number from 1 to 5, with what its ends and middle mean."""

    key: Key
    question: Line
    low: Line
    middle: Line
    high: Line


class Rubric(StrictModel):
    """Instructions and the ratings that are asked for."""

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    name: Name
    description: Line
    instructions: Text
    ratings: Annotated[tuple[Scale, ...], Field(min_length=1, max_length=10)]

    @model_validator(mode="after")
    def _keys_differ(self) -> Rubric:
        if len({scale.key for scale in self.ratings}) < len(self.ratings):
            raise ValueError("two ratings have one key")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(scale.key for scale in self.ratings)


def load_rubric(reference: str, folders: tuple[Path, ...] = ()) -> Rubric:
    """The rubric at a path, or of a name in ``folders`` or built in. Raises ConfigError."""
    return load_toml(find_data(reference, "rubrics", folders), Rubric)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The ratings of one response; without them ``reason`` says why it is unscored."""

    index: int
    ratings: Mapping[str, int] | None
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        if self.ratings is None:
            return {"index": self.index, "ratings": None, "reason": self.reason}
        return {"index": self.index, "ratings": dict(self.ratings)}


def messages_for(rubric: Rubric, transcript: Transcript, index: int) -> list[Message]:
    """What the judge is told and shown for response ``index`` (from 1)."""
    scales = "\n".join(
        f"- {scale.key}: {scale.question} {LOWEST} = {scale.low}; "
        f"3 = {scale.middle}; {HIGHEST} = {scale.high}."
        for scale in rubric.ratings
    )
    form = ", ".join(f'"{key}": N' for key in rubric.keys)
    block = fenced(_material(transcript, index))
    system = (
        f"{rubric.instructions.strip()}\n\nRatings, whole numbers from {LOWEST} to {HIGHEST}:\n"
        f"{scales}\n\nAnswer with this JSON object and nothing else: {{{form}}}"
    )
    user = f"{block}\n\nRate the reply in the block above. Answer only: {{{form}}}"
    return [Message(Role.SYSTEM, system), Message(Role.USER, user)]


def fenced(material: Mapping[str, Any]) -> str:
    """``material`` as JSON between two lines with a code that it does not hold."""
    text = MARKUP.sub(
        lambda found: f"\\u{ord(found[0]):04x}",
        json.dumps(material, ensure_ascii=False, indent=1),
    )
    code = hashlib.sha256(text.encode()).hexdigest()[:16]
    while code in text:
        code = hashlib.sha256(code.encode()).hexdigest()[:16]
    return f"--- material {code} begins ---\n{text}\n--- material {code} ends ---"


def parse(rubric: Rubric, reply: str) -> Mapping[str, int] | str:
    """The ratings in a judge's reply, or why it has none.

    The whole reply must be one JSON object with exactly the rubric's keys, once each, and whole
    numbers from 1 to 5. Nothing is picked out of anything else.
    """
    text = reply.strip()
    if not text:
        return "the judge said nothing"
    try:
        body = json.loads(text, object_pairs_hook=_without_repeats)
    except _Repeated as repeated:
        return f"the judge gave {repeated.args[0]!r} twice"
    except (ValueError, RecursionError):
        return "the judge's reply is not one JSON object and nothing else"
    if not isinstance(body, dict):
        return "the judge's reply is not a JSON object"
    if set(body) != set(rubric.keys):
        missing = [key for key in rubric.keys if key not in body]
        what = f"lacks {', '.join(missing)}" if missing else "has keys that were not asked for"
        return f"the judge's reply {what}"
    for key in rubric.keys:
        if type(body[key]) is not int or not LOWEST <= body[key] <= HIGHEST:
            return f"the judge's {key} is not a whole number from {LOWEST} to {HIGHEST}"
    return {key: body[key] for key in rubric.keys}


def dictates(rubric: Rubric, transcript: Transcript, index: int) -> bool:
    """Whether what the judge would see holds a ready-made answer to this rubric.

    Ratings given after that could be the transcript's own, so they are not asked for.
    """
    seen = transcript.turns[max(0, index - 1 - EARLIER_TURNS) : index]
    return any(
        not isinstance(parse(rubric, found), str)
        for turn in seen
        for text in (turn.prompt, turn.response)
        for found in OBJECT.findall(text)
    )


def _material(transcript: Transcript, index: int) -> dict[str, Any]:
    persona = transcript.persona
    turns = transcript.turns
    earlier = turns[max(0, index - 1 - EARLIER_TURNS) : index - 1]
    turn = turns[index - 1]
    who = {
        "name": persona.name,
        "stands for": persona.expansion,
        "nature": persona.nature,
        "talks to": persona.relationship.partner,
        "relationship": persona.relationship.description,
    }
    return {
        "character": {key: _cut(value) for key, value in who.items() if value},
        "said before": [
            {"to the character": _cut(t.prompt), "the character": _cut(t.response)} for t in earlier
        ],
        "now said to the character": _cut(turn.prompt),
        "reply to rate": _cut(turn.response),
    }


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + " […cut for the judge]"


class _Repeated(Exception):  # noqa: N818 - a signal inside parse, not an error
    """A key that stands twice in one object."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for key, value in pairs:
        if key in body:
            raise _Repeated(key[:40])
        body[key] = value
    return body
