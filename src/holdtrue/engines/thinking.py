"""Reasoning that a model writes before it speaks: what is said begins after it.

Engines ask for no reasoning where the model offers the choice; this takes out what comes anyway.
It knows only the tag form ``<think>…</think>`` at the beginning of a reply.
"""

from __future__ import annotations

import re

_OPEN = re.compile(r"\s*<think(?:ing)?>", re.IGNORECASE)
_CLOSE = re.compile(r"</think(?:ing)?>\s*", re.IGNORECASE)


def spoken(text: str) -> str:
    """``text`` without the reasoning it begins with.

    Empty when the reasoning never ended. Some templates open the tag in the prompt, so that only
    its end is in the text: what stands before a first closing tag is reasoning then too.
    """
    opened = _OPEN.match(text)
    closed = _CLOSE.search(text)
    if closed:
        return text[closed.end() :] if opened or "<think" not in text[: closed.start()] else text
    return "" if opened else text
