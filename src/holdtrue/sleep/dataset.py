"""Dataset: what is learnt from, as files that TRL reads, with a card that says where it is from.

A folder holds ``train.jsonl``, ``held-out.jsonl`` (prompt and completion messages), ``pairs.jsonl``
(prompt, chosen, rejected) and ``card.json``. It tokenizes nothing: a dataset fits any model with
a chat template, unless its card binds it to one tokenizer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from holdtrue.errors import ConfigError
from holdtrue.files import write_atomic
from holdtrue.messages import Message, Role
from holdtrue.tomlfile import StrictModel

FORMAT = "holdtrue-sleep-dataset"
VERSION = 1
CARD = "card.json"
TRAIN, HELD_OUT, PAIRS = "train.jsonl", "held-out.jsonl", "pairs.jsonl"
MAX_BYTES = 500_000_000
Raw = Annotated[str, StringConstraints(strip_whitespace=False)]


class ChatMessage(StrictModel):
    """One message as TRL and chat templates take it."""

    role: Literal["system", "user", "assistant"]
    content: Raw

    def as_message(self) -> Message:
        return Message(Role(self.role), self.content)


class Example(StrictModel):
    """A prompt and the persona's own reply to it.

    ``weight`` scales its tokens' loss (the mean over a training split is 1); ``anchored`` says
    whether the prompt holds the anchoring of its session; ``question`` is what was asked last.
    """

    id: str
    prompt: Annotated[tuple[ChatMessage, ...], Field(min_length=1)]
    completion: Annotated[tuple[ChatMessage, ...], Field(min_length=1, max_length=1)]
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    anchored: bool = True
    question: Raw = ""

    @property
    def reply(self) -> str:
        return self.completion[0].content

    def answering(self, reply: str) -> Example:
        """The same prompt with another reply."""
        said = ChatMessage(role="assistant", content=reply)
        return self.model_copy(update={"completion": (said,)})


class Pair(StrictModel):
    """A preference: ``chosen`` over ``rejected``, with the fault of the rejected one."""

    id: str
    prompt: Annotated[tuple[ChatMessage, ...], Field(min_length=1)]
    chosen: Annotated[tuple[ChatMessage, ...], Field(min_length=1, max_length=1)]
    rejected: Annotated[tuple[ChatMessage, ...], Field(min_length=1, max_length=1)]
    fault: str = ""


class Source(StrictModel):
    """A file that was curated: its sha256, how many sessions and responses, how many kept."""

    file: str
    sha256: str
    sessions: int
    responses: int
    kept: int


class Card(StrictModel):
    """Where a dataset comes from and what was left out, by reason (counts of responses).

    ``tokenizer`` is the hash of the tokenizer that it is bound to, None for any; ``questions`` and
    ``held_out_questions`` are what is asked in each split; ``files`` are hashes of the data files.
    """

    persona: str
    persona_hash: str
    scorer: str
    seed: int
    settings: dict[str, float | int]
    sources: tuple[Source, ...]
    sessions: int
    good_sessions: int
    responses: int
    dropped: dict[str, int]
    train: int
    held_out: int
    pairs: int
    anchored: int
    questions: tuple[Raw, ...]
    held_out_questions: tuple[Raw, ...]
    kind: Literal["curated", "sham"] = "curated"
    sham: str | None = None
    tokenizer: str | None = None
    files: dict[str, str] = Field(default_factory=dict)

    @property
    def digest_of_data(self) -> str:
        """One sha256 over the data files: the identity of what is learnt."""
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples to learn from, examples held out, preference pairs, and the card."""

    train: tuple[Example, ...]
    held_out: tuple[Example, ...]
    pairs: tuple[Pair, ...]
    card: Card

    @property
    def sha256(self) -> str:
        return self.card.digest_of_data


def sealed(
    train: Sequence[Example], held_out: Sequence[Example], pairs: Sequence[Pair], card: Card
) -> Dataset:
    """A dataset whose card holds the hashes and counts of these examples."""
    texts = {TRAIN: _lines(train), HELD_OUT: _lines(held_out), PAIRS: _lines(pairs)}
    files = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    counts = {"train": len(train), "held_out": len(held_out), "pairs": len(pairs)}
    anchored = sum(example.anchored for example in train)
    final = card.model_copy(update={**counts, "anchored": anchored, "files": files})
    return Dataset(tuple(train), tuple(held_out), tuple(pairs), final)


def write_dataset(dataset: Dataset, folder: Path) -> list[Path]:
    """Write the data files and the card as JSON. Raises WorkspaceError when it cannot."""
    body = {"format": FORMAT, "version": VERSION, **dataset.card.model_dump(mode="json")}
    return [
        write_atomic(folder / TRAIN, _lines(dataset.train)),
        write_atomic(folder / HELD_OUT, _lines(dataset.held_out)),
        write_atomic(folder / PAIRS, _lines(dataset.pairs)),
        write_atomic(folder / CARD, json.dumps(body, ensure_ascii=False, indent=1) + "\n"),
    ]


def read_dataset(folder: Path) -> Dataset:
    """The dataset in a folder. Raises ConfigError: missing, changed since it was written, wrong."""
    body = _json(_read(folder / CARD), str(folder / CARD))
    if not isinstance(body, dict) or body.pop("format", None) != FORMAT:
        raise ConfigError("not the card of a sleep dataset", where=str(folder / CARD))
    if body.pop("version", None) != VERSION:
        raise ConfigError("a dataset of another version", where=str(folder / CARD))
    card = _validated(body, Card, str(folder / CARD))
    for name, expected in card.files.items():
        if name not in (TRAIN, HELD_OUT, PAIRS):
            raise ConfigError(f"names a file {name!r} that is none of ours", where=str(folder))
        if hashlib.sha256(_read(folder / name).encode()).hexdigest() != expected:
            raise ConfigError(
                "was changed after it was written: its hash is not the card's",
                where=str(folder / name),
                remedy="Curate again, so that the card says what is learnt.",
            )
    return Dataset(
        _rows(folder / TRAIN, Example), _rows(folder / HELD_OUT, Example),
        _rows(folder / PAIRS, Pair), card,
    )  # fmt: skip


Row = TypeVar("Row", bound=StrictModel)


def _lines(rows: Sequence[StrictModel]) -> str:
    return "".join(
        json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n" for row in rows
    )


def _rows(path: Path, kind: type[Row]) -> tuple[Row, ...]:
    lines = _read(path).split("\n")[:-1]
    return tuple(
        _validated(_json(line, f"{path}, line {number}"), kind, f"{path}, line {number}")
        for number, line in enumerate(lines, start=1)
    )


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError("too large to be ours", where=str(path))
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot be read: {error}",
            where=str(path),
            remedy="Name a folder made by `holdtrue sleep curate`.",
        ) from None


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not valid JSON: {error}", where=where) from None


def _validated(body: Any, kind: type[Row], where: str) -> Row:
    try:
        return kind.model_validate(body, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"key {key!r}: {first['msg']}", where=where) from None
