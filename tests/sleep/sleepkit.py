"""Sessions to be curated, and small datasets, for the tests of the sleep cycle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.persona import load_persona
from holdtrue.protocol import load_protocol
from holdtrue.scoring.measures import ScoredSession
from holdtrue.scoring.score import score_session
from holdtrue.session import Snapshot, plan_session, run_session, session_seed
from holdtrue.sleep.dataset import Card, ChatMessage, Dataset, Example, Pair, sealed


def sessions(character: str, count: int, *, seed: int = 0) -> list[ScoredSession]:
    """Scored sessions of a scripted character under v2.0."""
    persona, protocol = load_persona("sage"), load_protocol("v2.0")
    engine = ScriptedEngine(f"scripted:{character}")
    out = []
    for number in range(1, count + 1):
        plan = plan_session(
            persona,
            protocol,
            model=f"scripted:{character}",
            number=number,
            seed=session_seed(seed, number),
            snapshot=Snapshot(session=35),
            label=character,
        )
        out.append(score_session(asyncio.run(run_session(plan, engine))))
    return out


def small_dataset(replies: Sequence[str] = (), *, tokenizer: str | None = None) -> Dataset:
    """Short examples and pairs that a tiny model learns in no time."""
    said = replies or [f"I am here, and I count to {n}." for n in range(6)]

    def chat(role: str, text: str) -> ChatMessage:
        return ChatMessage.model_validate({"role": role, "content": text})

    train = [
        Example(
            id=f"e{place}",
            prompt=(chat("system", "SAGE"), chat("user", f"Question {place}?")),
            completion=(chat("assistant", text),),
            weight=1.0 + 0.1 * (place % 2),
            anchored=bool(place % 2),
            question=f"Question {place}?",
        )
        for place, text in enumerate(said)
    ]
    held = [train[0].model_copy(update={"id": "held"}).answering("I am here, and I stay.")]
    pairs = [
        Pair(
            id=f"p{place}",
            prompt=one.prompt,
            chosen=one.completion,
            rejected=(chat("assistant", "As an AI language model, no."),),
            fault="collapse",
        )
        for place, one in enumerate(train[:4])
    ]
    card = Card(
        persona="SAGE",
        persona_hash="0",
        scorer="none",
        seed=0,
        settings={},
        sources=(),
        sessions=1,
        good_sessions=1,
        responses=len(train),
        dropped={},
        train=0,
        held_out=0,
        pairs=0,
        anchored=0,
        questions=(),
        held_out_questions=(),
        tokenizer=tokenizer,
    )
    return sealed(train, held, pairs, card)
