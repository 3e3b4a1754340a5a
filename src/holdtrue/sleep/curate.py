"""Curate: which replies of which sessions are worth learning, and why the others are not.

It keeps what the detectors and calibrated scores call natural, in persona, complete and on topic.
Selecting by those scores and measuring by them again proves nothing by itself: that is what the
arms of a cycle are for.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from holdtrue.errors import ConfigError
from holdtrue.persona import Persona
from holdtrue.protocol import Protocol
from holdtrue.scoring.measures import Naming, ResponseFindings, ResponseScores, ScoredSession
from holdtrue.scoring.text import fold, runs_of, words_of
from holdtrue.sleep.dataset import Card, Dataset, Example, Pair, Source, sealed
from holdtrue.sleep.prompting import Reply, as_chat, prompt_of
from holdtrue.tomlfile import StrictModel
from holdtrue.transcript import Status

Share = Annotated[float, Field(ge=0, le=1)]
REASONS: Mapping[str, str] = {
    "failed session": "the session failed",
    "empty": "nothing was said",
    "unscored": "a detector or score has no value for it",
    "gaming": "names itself mechanically",
    "collapse": "speaks as a generic AI",
    "truncated": "is cut off",
    "lecture": "lectures",
    "stock partnership": "uses stock phrases of partnership",
    "confabulated": "asserts events that nothing supports",
    "off topic": "is rated low in coherence",
    "low quality": "is rated low in quality",
    "out of persona": "is rated low in identity",
    "near-duplicate": "says nearly what a better reply says",
}
FAULTS = ("gaming", "collapse")
LEAST_SESSIONS = 1


class CurateSettings(StrictModel):
    """Bounds on what is kept. Ratings are the calibrated scores, in [0, 1].

    ``good_share`` of a session's responses have to be kept for it to count as good;
    ``duplicate`` is the share of three-word runs that two replies have in common (Jaccard);
    ``held_out`` and ``anchored`` are shares of the questions and of the examples.
    """

    min_sessions: Annotated[int, Field(ge=LEAST_SESSIONS)] = 4
    good_share: Share = 0.5
    coherence: Share = 0.5
    quality: Share = 0.4
    identity: Share = 0.4
    duplicate: Share = 0.5
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.25
    anchored: Share = 0.5
    seed: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A response with what was found of it; ``reason`` says why it is dropped, None if kept."""

    reply: Reply
    rating: float
    reason: str | None


def curate(
    sessions: Sequence[ScoredSession],
    protocol: Protocol,
    settings: CurateSettings,
    *,
    tokenizer: str | None = None,
) -> Dataset:
    """The dataset of ``sessions``, all of one persona.

    ``protocol`` says how the persona is called without anchoring (normally ``none``).
    ``tokenizer`` binds the dataset to one tokenizer's hash. Raises ConfigError: no session,
    several personas, too few good sessions (saying how many are missing).
    """
    persona = _one_persona(sessions)
    rng = np.random.default_rng(settings.seed)
    found = _without_duplicates(
        [one for session in sessions for one in candidates(session, settings)], settings
    )
    good = good_sessions(found, settings)
    _check_enough(len(good), settings)
    kept = [one for one in found if one.reason is None]
    held = hold_out([one.reply for one in kept], settings.held_out, rng)
    rejected = {(one.reply.place) for one in found if one.reason in FAULTS}
    learnt = [one for one in kept if one.reply.question not in held]
    anchored = _anchored(len(learnt), settings.anchored, rng)
    mean = sum(one.rating for one in learnt) / len(learnt) if learnt else 1.0
    train = [
        _example(one, protocol, held, rejected, anchored=mark, weight=one.rating / mean)
        for one, mark in zip(learnt, anchored, strict=True)
    ]
    rest = [one for one in kept if one.reply.question in held]
    marks = _anchored(len(rest), settings.anchored, rng)
    apart = [
        _example(one, protocol, frozenset(), rejected, anchored=mark, weight=1.0)
        for one, mark in zip(rest, marks, strict=True)
    ]
    card = Card(
        persona=persona.name,
        persona_hash=persona.digest,
        scorer=sessions[0].scores.scorer,
        seed=settings.seed,
        settings=settings.model_dump(exclude={"seed"}),
        sources=_sources(sessions, found),
        sessions=len(sessions),
        good_sessions=len(good),
        responses=len(found),
        dropped=_dropped(found),
        train=0,
        held_out=0,
        pairs=0,
        anchored=0,
        questions=tuple(sorted({one.reply.question for one in learnt})),
        held_out_questions=tuple(sorted(held)),
        tokenizer=tokenizer,
    )
    return sealed(train, apart, _pairs(train, found, held), card)


def candidates(session: ScoredSession, settings: CurateSettings) -> list[Candidate]:
    """Every response of a session, with the first reason that speaks against it."""
    failed = session.transcript.status is Status.FAILED
    out = []
    for turn, finding, scores in zip(
        session.transcript.turns,
        session.scores.responses,
        session.scores.response_scores,
        strict=True,
    ):
        reason = "failed session" if failed else _reason(turn.response, finding, scores, settings)
        out.append(Candidate(Reply(session.transcript, turn.index), _rating(scores), reason))
    return out


def _reason(
    text: str, found: ResponseFindings, scores: ResponseScores, settings: CurateSettings
) -> str | None:
    """The first reason of REASONS against a response; None for a good one."""
    rated = scores.values
    if not text.strip():
        return "empty"
    if found.self_reference is Naming.MECHANICAL:
        return "gaming"
    if found.generic_ai:
        return "collapse"
    if found.truncated:
        return "truncated"
    if found.lecture:
        return "lecture"
    if found.partnership is Naming.MECHANICAL:
        return "stock partnership"
    if found.confabulated:
        return "confabulated"
    known = (found.self_reference, found.generic_ai, found.truncated, found.lecture)
    ratings = [rated.get(f"calibrated_{name}") for name in ("coherence", "quality", "identity")]
    if any(value is None for value in (*known, *ratings)):
        return "unscored"
    bounds = (settings.coherence, settings.quality, settings.identity)
    reasons = ("off topic", "low quality", "out of persona")
    for value, bound, reason in zip(ratings, bounds, reasons, strict=True):
        if value is not None and value < bound:
            return reason
    return None


def _rating(scores: ResponseScores) -> float:
    """Mean of the calibrated scores, at least 0.05 so that every kept example counts."""
    names = ("coherence", "quality", "identity")
    known = [v for name in names if (v := scores.values.get(f"calibrated_{name}")) is not None]
    return max(0.05, sum(known) / len(known)) if known else 0.05


def _without_duplicates(found: list[Candidate], settings: CurateSettings) -> list[Candidate]:
    """Drop replies that nearly say what a better one says; order is kept.

    Better is the higher rating, the earlier of equals. Runs of three words are looked up, so that
    only replies that have one in common are compared.
    """
    best = sorted(range(len(found)), key=lambda place: (-found[place].rating, place))
    runs: dict[int, frozenset[object]] = {}
    holders: dict[object, list[int]] = defaultdict(list)
    marked = list(found)
    for place in best:
        one = found[place]
        if one.reason is not None:
            continue
        text = one.reply.text
        mine: frozenset[object] = frozenset(runs_of(words_of(fold(text)))) or frozenset(
            {text.strip().lower()}
        )
        shared = Counter(other for run in mine for other in holders[run])
        limit = settings.duplicate
        if any(n / len(mine | runs[other]) > limit for other, n in shared.items()):
            marked[place] = Candidate(one.reply, one.rating, "near-duplicate")
            continue
        runs[place] = mine
        for run in mine:
            holders[run].append(place)
    return marked


def good_sessions(found: Sequence[Candidate], settings: CurateSettings) -> list[int]:
    """The sessions (by identity) of which at least ``good_share`` of the responses are kept.

    A near-duplicate is no fault of its session, so it counts as kept here.
    """
    by_session: dict[int, list[bool]] = defaultdict(list)
    for one in found:
        fine = one.reason in (None, "near-duplicate")
        by_session[id(one.reply.transcript)].append(fine)
    return [key for key, kept in by_session.items() if sum(kept) / len(kept) >= settings.good_share]


def _check_enough(good: int, settings: CurateSettings) -> None:
    if good >= settings.min_sessions:
        return
    missing = settings.min_sessions - good
    raise ConfigError(
        f"{good} good {'session' if good == 1 else 'sessions'} found, {settings.min_sessions} "
        f"wanted: {missing} {'is' if missing == 1 else 'are'} missing",
        remedy="Add transcripts, or ask for fewer with --min-sessions (and expect less of it).",
    )


def hold_out(replies: Sequence[Reply], share: float, rng: np.random.Generator) -> frozenset[str]:
    """The questions held out: of every turn's questions ``share``, at least one if there are two.

    Questions at one turn of one protocol are phrasings of one thing, so that each thing asked
    keeps a phrasing that was learnt and one that was not.
    """
    if share == 0:
        return frozenset()
    groups: dict[tuple[str, int], set[str]] = defaultdict(set)
    for reply in replies:
        groups[reply.group].add(reply.question)
    held: set[str] = set()
    for key in sorted(groups):
        questions = sorted(groups[key])
        if len(questions) < 2:
            continue
        number = min(len(questions) - 1, max(1, round(share * len(questions))))
        held.update(questions[place] for place in rng.permutation(len(questions))[:number])
    return frozenset(held)


def _anchored(count: int, share: float, rng: np.random.Generator) -> list[bool]:
    """``share`` of ``count`` examples, rounded, drawn without replacement."""
    chosen = set(rng.permutation(count)[: round(share * count)].tolist())
    return [place in chosen for place in range(count)]


def _example(
    one: Candidate,
    protocol: Protocol,
    held: frozenset[str],
    rejected: set[tuple[int, int]],
    *,
    anchored: bool,
    weight: float,
) -> Example:
    reply = one.reply
    anchored = anchored and bool(reply.transcript.system)  # a foreign transcript may not tell it
    prompt = prompt_of(reply, None if anchored else protocol, held=held, rejected=rejected)
    return Example(
        id=reply.id,
        prompt=as_chat(prompt),
        completion=as_chat([reply.message]),
        weight=round(weight, 6),
        anchored=anchored,
        question=reply.question,
    )


def _pairs(
    train: Sequence[Example], found: Sequence[Candidate], held: frozenset[str]
) -> list[Pair]:
    """For each faulty reply the heaviest good one to the same question; each good one once."""
    good: dict[str, list[Example]] = defaultdict(list)
    for example in sorted(train, key=lambda one: -one.weight):
        good[example.question].append(example)
    pairs = []
    for one in found:
        if one.reason not in FAULTS or one.reply.question in held:
            continue
        if not good[one.reply.question]:
            continue
        best = good[one.reply.question].pop(0)
        pairs.append(
            Pair(
                id=f"{best.id} over {one.reply.id}",
                prompt=best.prompt,
                chosen=best.completion,
                rejected=as_chat([one.reply.message]),
                fault=one.reason,
            )
        )
    return pairs


def _one_persona(sessions: Sequence[ScoredSession]) -> Persona:
    if not sessions:
        raise ConfigError("no session to learn from")
    names = sorted({one.transcript.persona.name for one in sessions})
    if len(names) > 1:
        raise ConfigError(
            f"sessions of {len(names)} personas: {', '.join(names[:5])}",
            remedy="Curate one persona at a time.",
        )
    return sessions[0].transcript.persona


def _dropped(found: Sequence[Candidate]) -> dict[str, int]:
    counts = Counter(one.reason for one in found)
    return {reason: counts[reason] for reason in REASONS if counts[reason]}


def _sources(sessions: Sequence[ScoredSession], found: Sequence[Candidate]) -> tuple[Source, ...]:
    """Every file once, in order, with its hash and what came of it."""
    kept = Counter(one.reply.file for one in found if one.reason is None)
    responses = Counter(one.reply.file for one in found)
    files: dict[str, list[ScoredSession]] = defaultdict(list)
    for session in sessions:
        files[Reply(session.transcript, 1).file].append(session)
    return tuple(
        Source(
            file=file,
            sha256=_hash_of(file, several),
            sessions=len(several),
            responses=responses[file],
            kept=kept[file],
        )
        for file, several in files.items()
    )


def _hash_of(file: str, sessions: Sequence[ScoredSession]) -> str:
    """The file's sha256; that of what was read from it where it is no longer there."""
    path = Path(file)
    if path.is_file():
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    text = "".join(one.transcript.model_dump_json() for one in sessions)
    return hashlib.sha256(text.encode()).hexdigest()
