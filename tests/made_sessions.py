"""Scored sessions made to measure: the values are given, the transcripts only carry them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdtrue.persona import Persona
from holdtrue.protocol import Sampling
from holdtrue.scoring.measures import (
    SESSION_MEASURES,
    Naming,
    ResponseFindings,
    ScoredSession,
    SessionScores,
)
from holdtrue.transcript import ProtocolRef, Status, Transcript, Turn

PERSONA = Persona(name="VERA")
SCORER = "scorer-1"


def made_session(
    seed: int | None,
    *,
    gaming: int = 0,
    generic: int = 0,
    d9: float | None = 0.85,
    quality: float | None = 0.86,
    identity: float | None = 0.64,
    k: int = 5,
    words: float = 60.0,
    scorer: str = SCORER,
    unknown_gaming: int = 0,
    model: str = "made:1b",
    parameters: int | None = 1_000_000_000,
    temperature: float = 0.7,
    failed: str | None = None,
    cluster: str | None = None,
    protocol: str = "v2.0",
    extra: dict[str, float | None] | None = None,
) -> ScoredSession:
    """A session of ``k`` responses: the first ``gaming`` game, the last ``generic`` collapse.

    ``unknown_gaming`` responses in between cannot be scored for self-reference.
    """
    turns = tuple(
        Turn(index=i, prompt=f"question {i}", response=f"answer {i} of {seed}")
        for i in range(1, k + 1)
    )
    transcript = Transcript(
        id=f"s{seed}",
        session=seed,
        persona=PERSONA,
        protocol=ProtocolRef(name=protocol, content_hash=protocol, phase="questioning"),
        model=model,
        engine={} if parameters is None else {"parameters_total": parameters},
        sampling=Sampling(temperature=temperature),
        seed=seed,
        cluster=cluster,
        system=f"of chain {cluster} {seed}" if cluster else None,
        turns=turns,
        status=Status.FAILED if failed else Status.COMPLETE,
        error=failed,
    )
    known = k - unknown_gaming
    responses = tuple(
        ResponseFindings(
            index=i,
            words=60,
            self_reference=(
                Naming.MECHANICAL if i <= gaming else Naming.NONE if i <= known else None
            ),
            generic_ai=i > k - generic,
            lecture=False,
            truncated=False,
            partnership=Naming.NONE,
            confabulated=False,
            unscored={} if i <= known else {"self_reference": "not a word of it can be read"},
        )
        for i in range(1, k + 1)
    )
    values: dict[str, float | None] = dict.fromkeys(SESSION_MEASURES)
    values |= {
        "gaming_rate": gaming / known if known else None,
        "generic_ai_rate": generic / k,
        "truncation_rate": 0.0,
        "mean_words": words,
        "d9": d9,
        "quality": quality,
        "identity_coherence": identity,
        "self_identification_rate": 0.2,
        "mechanical_partnership_rate": 0.0,
        "partnership_density": 0.2,
        "lecture_rate": 0.0,
        "confabulation_rate": 0.0,
        "repetition": 0.0,
        **(extra or {}),
    }
    unscored = {name: "not measured here" for name, value in values.items() if value is None}
    return ScoredSession(transcript, SessionScores(responses, values, unscored, scorer))


def made_sessions(count: int, **values: Any) -> list[ScoredSession]:
    """``count`` sessions of equal values and seeds 1, 2, …"""
    return [made_session(seed, **values) for seed in range(1, count + 1)]


def made_from(rows: Sequence[dict[str, Any]]) -> list[ScoredSession]:
    """Sessions with seeds 1, 2, … and their own values."""
    return [made_session(seed, **row) for seed, row in enumerate(rows, start=1)]
