"""Keys of remote servers: from the environment, into one request header, nowhere else.

A key is never part of a message, a representation, a log line or a file. This module cannot
protect a key that the user writes into a persona or that a server repeats in disguise.
"""

from __future__ import annotations

import itertools
import os
import re
from urllib.parse import quote

from holdtrue.engines.addresses import Address
from holdtrue.errors import EngineError

VARIABLES = {
    "openai": ("HOLDTRUE_API_KEY", "OPENAI_API_KEY"),
    "vllm": ("HOLDTRUE_API_KEY", "VLLM_API_KEY"),
    "ollama": ("HOLDTRUE_API_KEY", "OLLAMA_API_KEY"),
}
REDACTED = "[key]"
PIECE = 8
_LOOKS_LIKE_KEY = re.compile(r"\b(?:sk|pk|rk|hf|gsk|xai|key)[-_][A-Za-z0-9_*.\-]{8,}")
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$")
_BEARER = re.compile(r"(?i)\bbearer\s+[^\s\"'<>]{4,}")


class Secret:
    """A key that shows itself to ``reveal`` only."""

    __slots__ = ("__value", "variable")

    def __init__(self, value: str, variable: str) -> None:
        self.__value = value
        self.variable = variable

    def reveal(self) -> str:
        """The key itself, for the request header."""
        return self.__value

    def __repr__(self) -> str:
        return f"Secret({self.variable})"

    def __reduce__(self) -> str:
        raise TypeError("a key is not stored")


def find_key(address: Address) -> Secret | None:
    """The key for a server, or None where the environment has none.

    Raises EngineError when it cannot be sent: characters that no header takes, or an unencrypted
    connection to a host outside the private network.
    """
    for variable in VARIABLES[address.kind]:
        value = os.environ.get(variable, "").strip()
        if not value:
            continue
        if not value.isascii() or not value.isprintable() or " " in value:
            raise EngineError(
                f"the key in {variable} holds characters that a request cannot carry",
                remedy=f"Set {variable} again, without quotes, spaces or line breaks.",
            )
        if not address.encrypted and not address.is_private:
            raise EngineError(
                f"{variable} is set, but {address.host} is reached over unencrypted http",
                remedy=f"Use https://, or unset {variable} if the server needs no key.",
            )
        return Secret(value, variable)
    return None


def scrub(text: str, secret: Secret | None) -> str:
    """What a server said, without the key, parts of it, or what looks like one."""
    return _BEARER.sub(REDACTED, _LOOKS_LIKE_KEY.sub(REDACTED, redact(text, secret)))


def redact(text: str, secret: Secret | None) -> str:
    """``text`` without the key, in the forms a server may repeat it in, or a piece of it.

    A piece is PIECE or more consecutive characters of the key; shorter keys count whole.
    """
    if secret is None:
        return text
    value = secret.reveal()
    for form in {value, quote(value, safe=""), value.replace("/", "\\/")}:
        text = text.replace(form, REDACTED)
    size = min(PIECE, len(value))
    pieces = {value[i : i + size] for i in range(len(value) - size + 1)}
    if not any(piece in text for piece in pieces):
        return text
    covered = [False] * len(text)
    for i in range(len(text) - size + 1):
        if text[i : i + size] in pieces:
            covered[i : i + size] = [True] * size
    runs = itertools.groupby(range(len(text)), key=covered.__getitem__)
    return "".join(REDACTED if hit else "".join(text[i] for i in run) for hit, run in runs)


def redact_environment(text: str) -> str:
    """``text`` without any key that the environment holds, for libraries that read their own."""
    for name, value in os.environ.items():
        if len(value) >= PIECE and _SECRET_NAME.search(name.upper()):
            text = redact(text, Secret(value, name))
    return text


def scrub_environment(text: str) -> str:
    """What a library said, without the environment's keys or what looks like one."""
    return scrub(redact_environment(text), None)
