"""Where the figures of a document come from: persona, protocol, weights, scorer, seeds, versions.

For documents of several arms; a run's own analysis has more of it (``setup.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdtrue.documents import words
from holdtrue.documents.blocks import Code, Inline
from holdtrue.scoring.measures import ScoredSession
from holdtrue.transcript import Transcript

Pairs = list[tuple[str, Inline]]


def arm_origin(name: str, sessions: Sequence[ScoredSession]) -> Pairs:
    """What an arm's sessions were made with, by content hash, under the arm's ``name``."""
    transcripts = [one.transcript for one in sessions]
    if not transcripts:
        return []
    first = transcripts[0]
    protocol, sampling = first.protocol, first.sampling
    hashed = (protocol.content_hash or "no hash known") if protocol else ""
    return [
        (f"{name}: persona", (f"{first.persona.name} ", Code(first.persona.digest))),
        (f"{name}: protocol", (f"{protocol.name} ", Code(hashed)) if protocol else "not recorded"),
        (f"{name}: model", model_origin(first.model, first.engine.get("source_hash"))),
        (f"{name}: sampling", Code(sampling.digest) if sampling else "not recorded"),
        (f"{name}: seeds", seeds_of(transcripts)),
    ]


def model_origin(model: str | None, source: object) -> Inline:
    """A model's name and the hash of its weights."""
    if model is None:
        return "not recorded"
    return (f"{model} ", Code(str(source) if source else "no hash known"))


def seeds_of(transcripts: Sequence[Transcript]) -> str:
    """The seeds of sessions, the middle ones of many left out."""
    seeds = [str(one.seed) for one in transcripts if one.seed is not None]
    shown = seeds if len(seeds) <= 6 else [*seeds[:3], "…", *seeds[-2:]]
    return ", ".join(shown) or "not recorded"


def engine_versions(sessions: Sequence[ScoredSession]) -> dict[str, str]:
    """The versions that the engines of these sessions told."""
    found: dict[str, str] = {}
    for one in sessions:
        told = one.transcript.engine.get("versions")
        if isinstance(told, Mapping):
            found |= {str(name): str(text) for name, text in told.items()}
    return found


def made_by(command: str, versions: Mapping[str, str]) -> Pairs:
    """The command that made a document, and the versions that took part."""
    listed = ", ".join(f"{name} {text}" for name, text in sorted(versions.items()))
    return [
        ("Command", Code(command) if command else "not recorded"),
        ("Versions", listed or words.DASH),
    ]
