from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.errors import GenerationError
from holdtrue.messages import Message, Role
from holdtrue.persona import load_persona
from holdtrue.protocol import load_protocol
from holdtrue.session import (
    SessionPlan,
    Snapshot,
    messages_for,
    plan_session,
    run_session,
    self_identifications,
    session_seed,
    summary_of,
    turn_seed,
)
from holdtrue.transcript import Status, Transcript, Turn

SAGE = load_persona("sage")


def plan(protocol: str = "v2.0", *, seed: int = 1, snapshot: Snapshot | None = None) -> SessionPlan:
    return plan_session(
        SAGE,
        load_protocol(protocol),
        model="scripted:steady",
        number=1,
        seed=seed,
        snapshot=snapshot or Snapshot(session=35),
    )


def hold(
    planned: SessionPlan, engine: ScriptedEngine | None = None, **kwargs: object
) -> Transcript:
    chosen = engine or ScriptedEngine("scripted:steady")
    return asyncio.run(run_session(planned, chosen, **kwargs))  # type: ignore[arg-type]


def turns(count: int) -> tuple[Turn, ...]:
    return tuple(Turn(index=i, prompt=f"p{i}", response=f"r{i}") for i in range(1, count + 1))


def test_the_phase_follows_the_session_number() -> None:
    assert plan(snapshot=Snapshot(session=1)).phase.name == "grounding"
    assert plan(snapshot=Snapshot(session=41)).phase.name == "creating"


def test_history_is_the_last_six_messages_after_the_system_message() -> None:
    shown = messages_for(plan("v1.0"), turns(4))
    assert shown[0].role is Role.SYSTEM
    assert [m.content for m in shown[1:-1]] == ["p2", "r2", "p3", "r3", "p4", "r4"]
    assert shown[-1] == Message(Role.USER, plan("v1.0").prompts[4])


def test_reminders_stand_before_turns_three_and_five_and_only_there() -> None:
    for count in range(5):
        roles = [m.role for m in messages_for(plan(), turns(count))[1:]]
        assert (Role.SYSTEM in roles) == (count + 1 in (3, 5))
    third = messages_for(plan(), turns(2))
    assert third[-2].role is Role.SYSTEM
    assert "SAGE" in third[-2].content


def test_summary_and_exemplars_of_earlier_sessions_replace_the_personas_own() -> None:
    fresh = plan()
    assert SAGE.voice.examples[0] in fresh.system
    assert fresh.snapshot.exemplars == SAGE.voice.examples[:3]
    later = plan(
        snapshot=Snapshot(session=35, summary="We spoke of rain.", exemplars=("I'm SAGE!",))
    )
    assert "We spoke of rain." in later.system
    assert "I'm SAGE!" in later.system
    assert SAGE.voice.examples[0] not in later.system


def test_the_control_arm_knows_neither_summary_nor_exemplars() -> None:
    bare = plan("none", snapshot=Snapshot(session=35, summary="x", exemplars=("y",)))
    assert bare.system == "SAGE"
    assert bare.snapshot == Snapshot(session=35)


def test_seeds_differ_between_sessions_and_turns_and_repeat_for_equal_keys() -> None:
    seeds = {session_seed(0, i) for i in range(1, 1001)}
    assert len(seeds) == 1000
    assert len({turn_seed(5, i) for i in range(1, 101)}) == 100
    assert session_seed(7, 3) == session_seed(7, 3)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_equal_seeds_give_equal_conversations_and_others_differ() -> None:
    first, again, other = hold(plan(seed=1)), hold(plan(seed=1)), hold(plan(seed=2))
    assert first.turns == again.turns
    assert first.turns != other.turns


def test_a_transcript_holds_everything_that_was_settled() -> None:
    made = hold(plan())
    assert made.status is Status.COMPLETE
    assert len(made.turns) == 5
    assert [turn.seed for turn in made.turns] == [turn_seed(1, i) for i in range(1, 6)]
    assert made.turns[2].reminder
    assert made.turns[1].reminder is None
    assert made.protocol is not None
    assert made.protocol.content_hash == load_protocol("v2.0").digest
    assert made.engine["engine"] == "scripted"


def test_finished_turns_are_not_asked_again() -> None:
    whole = hold(plan())
    asked: list[int] = []
    resumed = hold(
        plan(), finished=whole.turns[:3], on_turn=lambda _plan, turn: asked.append(turn.index)
    )
    assert asked == [4, 5]
    assert resumed.turns == whole.turns


def test_a_passing_fault_is_tried_again_and_a_lasting_one_fails_the_session() -> None:
    tries: list[int] = []

    def fault(messages: Sequence[Message], seed: int) -> Exception | None:
        tries.append(seed)
        passing = GenerationError("server busy", transient=True)
        return passing if len(tries) in (2, 3) else None

    assert hold(plan(), ScriptedEngine("scripted:steady", fault=fault)).status is Status.COMPLETE
    assert len(tries) == 7

    def broken(messages: Sequence[Message], seed: int) -> Exception | None:
        return GenerationError("context full") if len(messages) > 4 else None

    failed = hold(plan(), ScriptedEngine("scripted:steady", fault=broken))
    assert failed.status is Status.FAILED
    assert 0 < len(failed.turns) < 5
    assert failed.error == f"turn {len(failed.turns) + 1}: context full"


def test_a_defect_in_an_engine_is_not_mistaken_for_a_failed_reply() -> None:
    def defect(messages: Sequence[Message], seed: int) -> Exception | None:
        return ZeroDivisionError()

    with pytest.raises(ZeroDivisionError):
        hold(plan(), ScriptedEngine("scripted:steady", fault=defect))


def test_a_summary_is_the_last_reply_cut_at_a_sentence() -> None:
    short = Transcript(
        id="t", persona=SAGE, turns=(Turn(index=1, prompt="p", response="Keep  it. "),)
    )
    assert summary_of(short) == "Keep it."
    long = "First part is kept. " * 10 + "And " * 80
    cut = summary_of(
        short.model_copy(update={"turns": (Turn(index=1, prompt="p", response=long),)})
    )
    assert cut is not None
    assert cut.endswith("kept.")
    assert len(cut) <= 300
    assert summary_of(Transcript(id="t", persona=SAGE)) is None


def test_self_identifications_are_first_person_sentences_with_the_name() -> None:
    said = "The path is wet. I am SAGE and I hear rain. SAGE is a name. My sagebrush is dry."
    made = Transcript(id="t", persona=SAGE, turns=(Turn(index=1, prompt="p", response=said),))
    assert self_identifications(made) == ("I am SAGE and I hear rain.",)
