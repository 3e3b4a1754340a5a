from __future__ import annotations

from pathlib import Path

from holdtrue.engines.llamacpp_lanes import Asked, Conversation, Lane, Parked, choose_lane
from holdtrue.engines.llamacpp_layout import Layout
from holdtrue.engines.llamacpp_server import NativeServer
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling

SYSTEM = Message(Role.SYSTEM, "You are Vera.")
OTHER = Message(Role.SYSTEM, "You are Nemo.")


def user(text: str) -> Message:
    return Message(Role.USER, text)


def said(text: str) -> Message:
    return Message(Role.ASSISTANT, text)


def held(*messages: Message, reply: str) -> Conversation:
    asked = Asked(tuple(messages), Sampling(), 1)
    return Conversation().after(messages, reply, asked)


def lanes(count: int) -> list[Lane]:
    server = NativeServer(Path("m.gguf"), Layout(1, count, 1, 512, False))
    return [Lane(server, slot) for slot in range(count)]


def test_a_conversation_is_known_by_what_was_said_in_it() -> None:
    first = held(SYSTEM, user("a"), reply="b")
    reminder = Message(Role.SYSTEM, "Be brief.")
    assert first.leads_to([SYSTEM, user("a"), said("b"), reminder, user("c")])
    assert not first.leads_to([SYSTEM, user("A"), said("b"), user("c")])
    assert not first.leads_to([OTHER, user("a"), said("b"), user("c")])
    assert not first.leads_to([SYSTEM, user("a")])
    assert not Conversation().leads_to([SYSTEM, user("a")])


def test_a_history_window_may_have_dropped_the_first_turns() -> None:
    grown = held(SYSTEM, user("a"), said("b"), user("c"), reply="d")
    assert grown.leads_to([SYSTEM, user("c"), said("d"), user("e")])
    assert len(grown.asked) == 1


def test_a_session_keeps_its_lane_and_a_new_one_takes_the_best_that_is_free() -> None:
    known = lanes(3)
    known[0].held, known[0].used = held(SYSTEM, user("a"), reply="b"), 5.0
    known[1].held, known[1].used = held(OTHER, user("a"), reply="b"), 1.0
    assert choose_lane([SYSTEM, user("a"), said("b"), user("c")], known) is known[0]
    assert choose_lane([OTHER, user("z")], known) is known[1]  # it began alike
    assert choose_lane([user("z")], known) is known[2]  # unused so far
    known[2].busy = True
    assert choose_lane([user("z")], known) is known[1]  # idle the longest


def test_a_conversation_that_lost_its_slot_is_found_once() -> None:
    parked = Parked()
    parked.park(Conversation())
    lost = held(SYSTEM, user("a"), reply="b")
    parked.park(lost)
    again = [SYSTEM, user("a"), said("b"), user("c")]
    assert parked.take([SYSTEM, user("new")]) == Conversation()
    assert parked.take(again) is lost
    assert parked.take(again) == Conversation()
