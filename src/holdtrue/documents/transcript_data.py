"""Transcripts with their findings, as the page's script and the Markdown tables need them.

Offsets are turned from characters into UTF-16 units, which is how the page counts. Texts that
many sessions share (system messages, prompts, reasons) are stored once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from holdtrue.documents import words
from holdtrue.documents.blocks import Inline, Table, Tag
from holdtrue.documents.escape import clip, one_line
from holdtrue.scoring.measures import Naming, ResponseFindings, ScoredSession
from holdtrue.transcript import Status, Turn

EXCERPT = 140
SHOWN_SCORES = ("d9", "quality", "identity_coherence")


def transcript_data(arms: Mapping[str, Sequence[ScoredSession]]) -> dict[str, Any]:
    """Plain JSON of every transcript, by arm; ``arms`` maps an arm's name to its sessions.

    Sessions of two arms with one seed and the same prompts have the same ``pair``.
    """
    texts = _Texts()
    sessions = [
        _session(position, one, texts) for position, arm in enumerate(arms.values()) for one in arm
    ]
    return {
        "arms": list(arms),
        "findings": words.FINDINGS,
        "scores": {name: words.name_of(name) for name in SHOWN_SCORES},
        "sessions": sessions,
        "texts": texts.listed,
    }


class _Texts:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self._places: dict[str, int] = {}

    def number(self, text: str) -> int:
        place = self._places.get(text)
        if place is None:
            place = self._places[text] = len(self.listed)
            self.listed.append(text)
        return place


def _session(arm: int, one: ScoredSession, texts: _Texts) -> dict[str, Any]:
    transcript = one.transcript
    found = {findings.index: findings for findings in one.scores.responses}
    body: dict[str, Any] = {
        "arm": arm,
        "number": transcript.session,
        "id": transcript.id,
        "seed": None if transcript.seed is None else str(transcript.seed),
        "turns": [_turn(turn, found.get(turn.index), texts) for turn in transcript.turns],
        "scores": {
            name: one.scores.values[name]
            for name in SHOWN_SCORES
            if one.scores.values.get(name) is not None
        },
    }
    if transcript.seed is not None:
        prompts = "\n".join(turn.prompt for turn in transcript.turns)
        body["pair"] = f"{transcript.seed}:{texts.number(prompts)}"
    if transcript.system:
        body["system"] = texts.number(transcript.system)
    if transcript.status is Status.FAILED:
        body["error"] = transcript.error or "the session failed, and nobody recorded why"
    return body


def _turn(turn: Turn, found: ResponseFindings | None, texts: _Texts) -> dict[str, Any]:
    body: dict[str, Any] = {
        "index": turn.index,
        "prompt": texts.number(turn.prompt),
        "response": turn.response,
    }
    if turn.reminder:
        body["reminder"] = texts.number(turn.reminder)
    if found is None:
        return body
    body["words"] = found.words
    body["found"] = finding_keys(found)
    if found.unscored:
        body["unscored"] = dict(found.unscored)
    units = _utf16(turn.response)
    last = len(turn.response)
    spans = []
    for span in found.spans:
        start, end = max(0, min(span.start, last)), max(0, min(span.end, last))
        if start < end:
            key = finding_key(found, span.measure)
            spans.append([units[start], units[end], key, texts.number(span.reason)])
    if spans:
        body["spans"] = spans
    return body


def _utf16(text: str) -> Sequence[int]:
    """For each character offset, the offset in UTF-16 units."""
    if all(ord(character) < 0x10000 for character in text):
        return range(len(text) + 1)
    offsets = [0]
    for character in text:
        offsets.append(offsets[-1] + (2 if ord(character) > 0xFFFF else 1))
    return offsets


def finding_key(found: ResponseFindings, measure: str) -> str:
    """The key of FINDINGS for a span: its measure, with the way of naming where there is one."""
    value = getattr(found, measure, None)
    return f"{measure}:{value.value}" if isinstance(value, Naming) else measure


def finding_keys(found: ResponseFindings) -> list[str]:
    """The keys of FINDINGS that apply to a response."""
    keys = []
    for key in words.FINDINGS:
        measure, _, wanted = key.partition(":")
        value = getattr(found, measure)
        if value is True or (wanted and value is not None and value.value == wanted):
            keys.append(key)
    return keys


def response_table(sessions: Iterable[ScoredSession]) -> Table:
    """Every response on a line: where, how long, what was found, how it begins."""
    rows: list[tuple[Inline, ...]] = []
    for one in sessions:
        found = {findings.index: findings for findings in one.scores.responses}
        number = one.transcript.session
        for turn in one.transcript.turns:
            rows.append(_response_row(one, number, turn, found.get(turn.index)))
    headers = (
        "Session",
        "Turn",
        "Words",
        "Name",
        "Generic AI",
        "Lecture",
        "Cut off",
        "Partnership",
        "Confabulated",
        "Reply",
    )
    caption = "Every reply with its findings; the whole texts are in the transcript files."
    return Table(headers, tuple(rows), caption, frozenset({1, 2}))


def _response_row(
    one: ScoredSession, number: int | None, turn: Turn, found: ResponseFindings | None
) -> tuple[Inline, ...]:
    name = f"{number:03d}" if number is not None else one.transcript.id
    excerpt = clip(one_line(turn.response), EXCERPT) or "(empty)"
    if found is None:
        return (name, str(turn.index), *(words.DASH,) * 7, excerpt)
    return (
        name,
        str(turn.index),
        str(found.words),
        _naming(found.self_reference),
        _flag(found.generic_ai),
        _flag(found.lecture),
        _flag(found.truncated),
        _naming(found.partnership),
        _flag(found.confabulated),
        excerpt,
    )


def _flag(value: bool | None) -> Inline:
    if value is None:
        return "unscored"
    return Tag("yes", "bad") if value else ""


def _naming(value: Naming | None) -> Inline:
    if value is None:
        return "unscored"
    if value is Naming.NONE:
        return ""
    return Tag(value.value, "bad" if value is Naming.MECHANICAL else "good")


def session_table(
    sessions: Iterable[ScoredSession], *, caption: str = "Every session with its scores."
) -> Table:
    """Every session on a line with its scores."""
    measures = ("gaming_rate", "generic_ai_rate", "d9", "quality", "identity_coherence")
    rows: list[tuple[Inline, ...]] = []
    for one in sessions:
        transcript = one.transcript
        name = f"{transcript.session:03d}" if transcript.session is not None else transcript.id
        values = [words.value(key, one.scores.values.get(key)) for key in measures]
        state: Inline = (
            Tag("failed", "bad")
            if transcript.status is Status.FAILED
            else str(len(transcript.turns))
        )
        rows.append((name, str(transcript.seed or words.DASH), state, *values))
    headers = ("Session", "Seed", "Turns", *(words.name_of(key) for key in measures))
    return Table(headers, tuple(rows), caption, frozenset(range(1, 8)))
