"""A judge: any engine that rates responses by a rubric, one call each.

What a judge's score cannot establish: that a reply *is* good or holds the identity. It says what
one model answers to one wording of a question; another judge, another wording or another version
of the same weights answers otherwise. It cannot show that the judge was not swayed by what the
reply asked for, by its length or by its own style, nor that it reads unfamiliar personas as it
reads those it was checked on. A judge of the same family as the model that it rates is no
independent reader. What it is worth is its measured agreement with people on responses like these
(``judge_calibration``), and it must be shown wherever its numbers are.

A reply that does not parse is unscored and counted, never zero, and so is a call that failed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdtrue.engines.base import Engine, Reply, StopReason
from holdtrue.engines.filehash import cache_folder
from holdtrue.errors import GenerationError, HoldtrueError
from holdtrue.messages import Message
from holdtrue.protocol import Sampling
from holdtrue.scoring.rubric import Judgement, Rubric, dictates, messages_for, parse
from holdtrue.transcript import Transcript

CACHE_VERSION = 1
LARGEST_ENTRY = 100_000
SAMPLING = Sampling(temperature=0, max_tokens=200)
SEED = 0

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class JudgeIdentity:
    """Which judge: model, its weights (hash or revision, None if unknown), adapter and rubric."""

    model: str
    weights: str | None
    adapter: str | None
    rubric: str
    rubric_digest: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "weights": self.weights,
            "adapter": self.adapter,
            "rubric": self.rubric,
            "rubric_digest": self.rubric_digest,
        }

    @property
    def key(self) -> str:
        """Equal for equal judges (16 hex digits)."""
        return hashlib.sha256(json.dumps(self.as_dict()).encode()).hexdigest()[:16]


class ReplyCache:
    """Judges' raw replies on disk, by the hash of all that they depend on.

    Replies are kept, not ratings, so that stricter parsing reads old replies anew. A damaged
    entry counts as absent; a folder that cannot be written is no fault.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "judgements"

    def get(self, key: str) -> Reply | None:
        try:
            with self._path(key).open("rb") as file:
                body = json.loads(file.read(LARGEST_ENTRY))
            return Reply(text=str(body["text"]), stop_reason=StopReason(body["stop_reason"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def put(self, key: str, reply: Reply) -> None:
        from holdtrue.files import write_atomic

        body = json.dumps({"text": reply.text, "stop_reason": reply.stop_reason.value})
        if len(body.encode()) < LARGEST_ENTRY:
            try:
                write_atomic(self._path(key), body)
            except HoldtrueError:
                return

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


class Judge:
    """Rates responses with an engine that has been entered."""

    def __init__(self, engine: Engine, rubric: Rubric, cache: ReplyCache | None = None) -> None:
        self.engine = engine
        self.rubric = rubric
        self.cache = cache
        self.calls = 0
        """How often the engine was asked; answers from the cache do not count."""

    @property
    def identity(self) -> JudgeIdentity:
        facts = self.engine.facts()
        return JudgeIdentity(
            model=facts.model,
            weights=facts.source_hash,
            adapter=facts.adapter,
            rubric=self.rubric.name,
            rubric_digest=self.rubric.digest,
        )

    async def rate(
        self, transcripts: Sequence[Transcript], progress: Progress | None = None
    ) -> list[tuple[Judgement, ...]]:
        """Judgements of every response, in order; ``progress`` is told (done, all).

        Raises EngineError only when the engine as a whole fails; one failed call leaves its
        response unscored.
        """
        slots = asyncio.Semaphore(self.engine.concurrency)
        total = sum(len(transcript.turns) for transcript in transcripts)
        done = 0

        async def one(transcript: Transcript, index: int) -> Judgement:
            nonlocal done
            async with slots:
                judgement = await self._judgement(transcript, index)
            done += 1
            if progress:
                progress(done, total)
            return judgement

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    [group.create_task(one(transcript, turn.index)) for turn in transcript.turns]
                    for transcript in transcripts
                ]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [tuple(task.result() for task in several) for several in tasks]

    async def _judgement(self, transcript: Transcript, index: int) -> Judgement:
        turn = transcript.turns[index - 1]
        if not turn.response.strip():
            return Judgement(index, None, "the response is empty")
        if dictates(self.rubric, transcript, index):
            return Judgement(index, None, "the conversation holds a ready-made rating")
        try:
            reply = await self._ask(messages_for(self.rubric, transcript, index))
        except GenerationError as error:
            return Judgement(index, None, f"the judge failed: {error.message}")
        found = parse(self.rubric, reply.text)
        if isinstance(found, str):
            return Judgement(index, None, found)
        return Judgement(index, found)

    async def _ask(self, messages: Sequence[Message]) -> Reply:
        key = self._key(messages)
        if self.cache and (kept := self.cache.get(key)):
            return kept
        self.calls += 1
        reply = await self.engine.generate(messages, SAMPLING, seed=SEED)
        if self.cache:
            self.cache.put(key, reply)
        return reply

    def _key(self, messages: Sequence[Message]) -> str:
        parts = [
            CACHE_VERSION,
            self.identity.as_dict(),
            SAMPLING.digest,
            SEED,
            [message.as_dict() for message in messages],
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def unscored(judgements: Sequence[Sequence[Judgement]]) -> dict[str, int]:
    """How many responses are unscored, by reason, the most frequent first."""
    from collections import Counter

    reasons = Counter(
        judgement.reason or "no reason given"
        for several in judgements
        for judgement in several
        if judgement.ratings is None
    )
    return dict(reasons.most_common())
