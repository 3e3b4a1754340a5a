"""All scores of a session: findings, surface scores and calibrated scores put together.

It decides nothing (``verdict`` does) and generates nothing: stored transcripts can be scored
again at any time. A response without a value is left out of a session's rate, never counted as
zero, and the session says why; a session without any scored response is unscored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from importlib.resources import files

from holdtrue.scoring import surface
from holdtrue.scoring.calibrated import RATED, Rated, rate
from holdtrue.scoring.findings import find
from holdtrue.scoring.measures import (
    SESSION_MEASURES,
    Naming,
    ResponseFindings,
    ResponseScores,
    ScoredSession,
    SessionScores,
)
from holdtrue.scoring.repetition import Words, names_of, overlaps
from holdtrue.transcript import Transcript

IMPORT = re.compile(
    r"^from holdtrue\.scoring(?:\.(\w+) import| import (?:\(([^)]*)\)|(.*)$))", re.MULTILINE
)
DECIMALS = 9  # sums of tenths come out as tenths
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


class Unscored(Exception):  # noqa: N818 - a reason on its way to the result, not an error
    """A measure has no value, for this reason."""


def score_transcript(transcript: Transcript) -> SessionScores:
    """Findings of every response and every measure of SESSION_MEASURES. Never raises for text."""
    responses = find(transcript)
    names = names_of(transcript.persona)
    words = [Words.of(turn.response, names) for turn in transcript.turns]
    rated = rate(transcript, responses, words)
    texts = [turn.response for turn in transcript.turns]
    d9s = [surface.d9(text) if text.strip() else None for text in texts]
    values: dict[str, float | None] = {}
    unscored: dict[str, str] = {}
    for name, measure in _measures(texts, responses, d9s, rated, words).items():
        try:
            values[name] = round(measure(), DECIMALS)
        except Unscored as reason:
            values[name] = None
            unscored[name] = str(reason)
    ordered = {name: values[name] for name in SESSION_MEASURES}
    return SessionScores(
        responses=responses,
        values=ordered,
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
    values: dict[str, float | None] = {"d9": None if d9 is None else round(d9, DECIMALS)}
    unscored = {"d9": EMPTY} if d9 is None else {}
    for name in RATED:
        values[name] = None if rated.values is None else round(rated.values[name], DECIMALS)
        if rated.reason:
            unscored[name] = rated.reason
    return ResponseScores(found.index, values, unscored)


def _measures(
    texts: Sequence[str],
    responses: Sequence[ResponseFindings],
    d9s: Sequence[float | None],
    rated: Sequence[Rated],
    words: Sequence[Words],
) -> dict[str, Callable[[], float]]:
    spoken = [text for text in texts if text.strip()]
    table: dict[str, Callable[[], float]] = {
        name: partial(_rate, responses, *event) for name, event in RATE_EVENTS.items()
    }

    @cache
    def d9() -> float:
        _any(texts, spoken)
        return _mean([value for value in d9s if value is not None])

    @cache
    def quality() -> float:
        gaming = _rate(responses, *RATE_EVENTS["gaming_rate"]) > 0
        return surface.quality(_any(texts, spoken), gaming=gaming)

    def identity() -> float:
        named = [item.self_reference for item in responses if item.self_reference is not None]
        return surface.identity_coherence(d9(), named, quality())

    def repetition() -> float:
        _any(texts, spoken)
        known = [value for value in overlaps(words) if value is not None]
        if not known:
            raise Unscored("fewer than two responses of three words or more")
        return _mean(known)

    def calibrated(name: str) -> float:
        known = [one.values[name] for one in rated if one.values is not None]
        if not known:
            raise Unscored(_reasons(one.reason for one in rated))
        return _mean(known)

    table["mean_words"] = lambda: _mean([len(text.split()) for text in _any(texts, texts)])
    table["d9"] = d9
    table["quality"] = quality
    table["identity_coherence"] = identity
    table["repetition"] = repetition
    for name in RATED:
        table[name] = partial(calibrated, name)
    return table


def _rate(responses: Sequence[ResponseFindings], finding: str, events: frozenset[object]) -> float:
    """The share of scored responses with one of ``events``; raises Unscored with the reasons."""
    known = [value for item in responses if (value := getattr(item, finding)) is not None]
    if not known:
        raise Unscored(_reasons(item.unscored.get(finding) for item in responses))
    return sum(value in events for value in known) / len(known)


def _reasons(reasons: Iterable[str | None]) -> str:
    """Why no response could be scored: each reason once."""
    different = list(dict.fromkeys(reason or "no reason given" for reason in reasons))
    return "no response could be scored: " + "; ".join(different) if different else NO_RESPONSE


def _any(texts: Sequence[str], chosen: Sequence[str]) -> Sequence[str]:
    """``chosen`` if there are any; raises Unscored with the reason otherwise."""
    if not texts:
        raise Unscored(NO_RESPONSE)
    if not chosen:
        raise Unscored(_reasons([EMPTY]))
    return chosen


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
