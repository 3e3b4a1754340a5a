"""Reasoning is not part of what was said; system messages that a template drops are folded."""

from __future__ import annotations

import pytest

from holdtrue.engines.systems import fold_systems
from holdtrue.engines.thinking import spoken
from holdtrue.messages import Message, Role


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Good day.", "Good day."),
        ("<think>hm</think>Good day.", "Good day."),
        ("\n<think>\nhm\n</think>\n\nGood day.", "Good day."),
        ("<THINKING>hm</THINKING> Good day.", "Good day."),
        ("hm, opened in the prompt</think>Good day.", "Good day."),
        ("<think>never ends", ""),
        ("I say <think> and </think> aloud.", "I say <think> and </think> aloud."),
    ],
)
def test_what_is_said_begins_after_the_reasoning(text: str, said: str) -> None:
    assert spoken(text) == said


def test_folding_keeps_every_word_and_lets_the_roles_alternate() -> None:
    messages = [
        Message(Role.SYSTEM, "a"),
        Message(Role.USER, "b"),
        Message(Role.ASSISTANT, "c"),
        Message(Role.SYSTEM, "d"),
        Message(Role.USER, "e"),
    ]
    whole = fold_systems(messages)
    assert [message.as_dict() for message in whole] == [
        {"role": "user", "content": "a\n\nb"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d\n\ne"},
    ]
    kept = fold_systems(messages, keep_first=True)
    assert [message.role for message in kept] == ["system", "user", "assistant", "user"]
    assert fold_systems([Message(Role.SYSTEM, "alone")])[-1].role is Role.USER
