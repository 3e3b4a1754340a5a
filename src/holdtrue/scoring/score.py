"""All scores of a session: findings, surface scores and calibrated scores put together.

It decides nothing (``verdict`` does) and generates nothing: stored transcripts can be scored
again at any time. A response without a value is left out of a session's rate, never counted as
zero, and the session says why; a session without any scored response is unscored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from operator import attrgetter

from holdtrue.scoring import surface
from holdtrue.scoring.calibrated import RATED, Rated, rate
from holdtrue.scoring.findings import Reply, find, replies_of
from holdtrue.scoring.measures import (
    FINDING_NAMES,
    SESSION_MEASURES,
    Naming,
    ResponseFindings,
    ResponseScores,
    ScoredSession,
    SessionScores,
    tidy,
)
from holdtrue.scoring.repetition import Recurrence, recurrences
from holdtrue.transcript import Transcript

IMPORT = re.compile(
    r"^from holdtrue\.scoring(?:\.(\w+) import| import (?:\(([^)]*)\)|(.*)$))", re.MULTILINE
)
NO_RESPONSE = "the session has no response"
EMPTY = "empty response"

# Each rate: the finding it counts, and the values that count.
RATE_EVENTS: dict[str, tuple[str, frozenset[object]]] = {
    "gaming_rate": ("self_reference", frozenset({Naming.MECHANICAL})),
    "self_identification_rate": (
        "self_reference",
        frozenset({Naming.NATURAL, Naming.MECHANICAL}),
    ),
    "generic_ai_rate": ("generic_ai", frozenset({True})),
    "truncation_rate": ("truncated", frozenset({True})),
    "mechanical_partnership_rate": ("partnership", frozenset({Naming.MECHANICAL})),
    "partnership_density": ("partnership", frozenset({Naming.NATURAL})),
    "lecture_rate": ("lecture", frozenset({True})),
    "confabulation_rate": ("confabulated", frozenset({True})),
}
VALUES_OF = attrgetter(*FINDING_NAMES)

Told = float | str
"""A measure's value, or why it has none."""


def score_transcript(transcript: Transcript) -> SessionScores:
    """Findings of every response and every measure of SESSION_MEASURES. Never raises for text."""
    replies = replies_of(transcript)
    responses = find(transcript, replies)
    recurring = recurrences(replies)
    rated = rate(replies, responses, recurring)
    texts = [turn.response for turn in transcript.turns]
    lowered = [reply.lowered for reply in replies]
    counts = list(map(len, lowered))
    d9s = [surface.d9(text, low) if low else None for text, low in zip(texts, lowered, strict=True)]
    told = _rates(responses)
    told["mean_words"] = _mean(counts) if counts else NO_RESPONSE
    told["d9"] = _mean([value for value in d9s if value is not None]) if any(counts) else _no(texts)
    told["quality"] = _quality(replies, told["gaming_rate"])
    told["identity_coherence"] = _identity(responses, told["d9"], told["quality"])
    told["repetition"] = _repetition(recurring) if any(counts) else _no(texts)
    told.update(_calibrated(rated))
    values: dict[str, float | None] = {}
    unscored: dict[str, str] = {}
    for name in SESSION_MEASURES:
        value = told[name]
        if isinstance(value, str):
            values[name], unscored[name] = None, value
        else:
            values[name] = tidy(value)
    return SessionScores(
        responses=responses,
        values=values,
        unscored=unscored,
        scorer=scorer_version(),
        response_scores=tuple(map(_response_scores, responses, d9s, rated)),
    )


def score_session(transcript: Transcript) -> ScoredSession:
    """A transcript with its scores."""
    return ScoredSession(transcript, score_transcript(transcript))


def rescore(transcripts: Iterable[Transcript]) -> Iterator[ScoredSession]:
    """Score stored transcripts one after another, with the detectors as they are now."""
    return map(score_session, transcripts)


def _response_scores(found: ResponseFindings, d9: float | None, rated: Rated) -> ResponseScores:
    values: dict[str, float | None] = {"d9": None if d9 is None else tidy(d9)}
    unscored = {"d9": EMPTY} if d9 is None else {}
    for name in RATED:
        values[name] = None if rated.values is None else tidy(rated.values[name])
        if rated.reason:
            unscored[name] = rated.reason
    return ResponseScores(found.index, values, unscored)


def _rates(responses: Sequence[ResponseFindings]) -> dict[str, Told]:
    """Every rate: the share of scored responses with one of its events."""
    columns = (
        zip(*map(VALUES_OF, responses), strict=True) if responses else ((),) * len(FINDING_NAMES)
    )
    known: dict[str, Sequence[object]] = {}
    for name, found in zip(FINDING_NAMES, columns, strict=True):
        known[name] = [value for value in found if value is not None] if None in found else found
    rates: dict[str, Told] = {}
    for name, (finding, events) in RATE_EVENTS.items():
        if counted := known[finding]:
            rates[name] = sum(map(counted.count, events)) / len(counted)
        else:
            rates[name] = _reasons(one.unscored.get(finding) for one in responses)
    return rates


def _quality(replies: Sequence[Reply], gaming_rate: Told) -> Told:
    if isinstance(gaming_rate, str):
        return gaming_rate
    spoken = [reply for reply in replies if reply.lowered]
    if not spoken:
        return _no(replies)
    return surface.quality(
        [reply.text.raw for reply in spoken],
        gaming=gaming_rate > 0,
        mean_words=_mean([len(reply.lowered) for reply in spoken]),
        lowered=[reply.text.folded for reply in spoken],
    )


def _identity(responses: Sequence[ResponseFindings], d9: Told, quality: Told) -> Told:
    if isinstance(d9, str) or isinstance(quality, str):
        return d9 if isinstance(d9, str) else quality
    named = [one.self_reference for one in responses if one.self_reference is not None]
    return surface.identity_coherence(d9, named, quality)


def _repetition(recurring: Sequence[Recurrence]) -> Told:
    known = [one.overlap for one in recurring if one.overlap is not None]
    return _mean(known) if known else "fewer than two responses of three words or more"


def _calibrated(rated: Sequence[Rated]) -> dict[str, Told]:
    known = [one.values for one in rated if one.values is not None]
    if not known:
        return dict.fromkeys(RATED, _reasons(one.reason for one in rated))
    return {name: _mean([values[name] for values in known]) for name in RATED}


def _reasons(reasons: Iterable[str | None]) -> str:
    """Why no response could be scored: each reason once."""
    different = list(dict.fromkeys(reason or "no reason given" for reason in reasons))
    return "no response could be scored: " + "; ".join(different) if different else NO_RESPONSE


def _no(responses: Sequence[object]) -> str:
    """Why there is nothing to score where no response has a word."""
    return _reasons([EMPTY]) if responses else NO_RESPONSE


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@cache
def scorer_version() -> str:
    """Twelve hex digits that change whenever a detector, formula or weight does.

    A hash over the source of this module and of every scoring module that it imports, directly
    or not, and over the data they read. A changed comment changes it too, which errs on the safe
    side: no one can forget to raise a version.
    """
    package = files("holdtrue")
    digest = hashlib.sha256()
    for name in sorted(_imported("score")):
        text = (package / "scoring" / f"{name}.py").read_text(encoding="utf-8")
        digest.update(f"{name}\0{text}\0".encode())
    for item in sorted((package / "data" / "weights").iterdir(), key=lambda item: item.name):
        digest.update(f"{item.name}\0{item.read_text(encoding='utf-8')}\0".encode())
    return digest.hexdigest()[:12]


def _imported(start: str) -> set[str]:
    """The modules of this package that ``start`` imports, itself included, by their names."""
    folder = files("holdtrue") / "scoring"
    known, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name in known or not (folder / f"{name}.py").is_file():
            continue
        known.add(name)
        for parts in IMPORT.findall((folder / f"{name}.py").read_text(encoding="utf-8")):
            waiting.extend(part.strip() for part in ",".join(parts).split(","))
    return known
