"""Names of remote models: ``openai:MODEL@BASE_URL``, ``vllm:MODEL@BASE_URL``, ``ollama:MODEL``.

Only reads names. Which key goes to which server is decided in ``secrets_env.py``.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from holdtrue.errors import ConfigError

DEFAULTS = {
    "openai": ("OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "vllm": ("VLLM_BASE_URL", "http://127.0.0.1:8000/v1"),
    "ollama": ("OLLAMA_HOST", "http://127.0.0.1:11434"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """A model on a server: ``kind`` is the prefix, ``base`` the URL without a trailing slash."""

    kind: str
    model: str
    base: str

    @property
    def host(self) -> str:
        """Host name, lower case."""
        return (urlsplit(self.base).hostname or "").lower()

    @property
    def encrypted(self) -> bool:
        return self.base.startswith("https://")

    @property
    def is_loopback(self) -> bool:
        """Whether the server is this machine."""
        return self.host == "localhost" or _ip_is(self.host, "is_loopback")

    @property
    def is_private(self) -> bool:
        """Whether the server is on this machine or in a private network, as its name shows."""
        bare = "." not in self.host and ":" not in self.host
        local = self.host.endswith((".local", ".internal", ".lan", ".home.arpa"))
        return self.is_loopback or bare or local or _ip_is(self.host, "is_private")


def _ip_is(host: str, attribute: str) -> bool:
    try:
        return bool(getattr(ipaddress.ip_address(host), attribute))
    except ValueError:
        return False


def parse_address(name: str) -> Address:
    """The address in a model name.

    Without ``@BASE_URL`` the environment decides (OPENAI_BASE_URL, VLLM_BASE_URL, OLLAMA_HOST),
    else the usual place of that server. Raises ConfigError: no model, not an http URL, or a URL
    that holds a user name, password, query or fragment (where keys hide).
    """
    kind, _, rest = name.partition(":")
    model, url = _split(rest)
    if kind not in DEFAULTS:
        raise ConfigError(f"{kind}: is not a remote model name")
    if not model:
        raise ConfigError(
            f"{kind}: names no model", remedy=f"Write {kind}:MODEL@BASE_URL with the model's name."
        )
    variable, usual = DEFAULTS[kind]
    source = "the model name"
    if url is None:
        url = os.environ.get(variable) or usual
        source = variable if os.environ.get(variable) else source
        if "://" not in url:
            url = f"http://{url}"
    return Address(kind, model, _base(url, kind, source))


def _split(rest: str) -> tuple[str, str | None]:
    """``MODEL@URL`` in two; a model name may itself contain ``@`` and ``:``."""
    for mark in ("@http://", "@https://"):
        if (at := rest.find(mark)) >= 0:
            return rest[:at], rest[at + 1 :]
    if "@" in rest and "://" in rest:
        model, _, url = rest.partition("@")
        return model, url
    return rest, None


def _base(url: str, kind: str, source: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"{source}: the base URL cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{source}: the base URL must begin with http:// or https:// and name a host"
        )
    if parts.username is not None or parts.password is not None:
        # The URL itself is left out of the message: it holds the password.
        raise ConfigError(
            f"{source}: a base URL must not hold a user name or password",
            remedy="Put the key into the environment variable HOLDTRUE_API_KEY.",
        )
    if parts.query or parts.fragment:
        raise ConfigError(
            f"{source}: a base URL must not hold a query or fragment",
            remedy="Put a key into the environment variable HOLDTRUE_API_KEY.",
        )
    return _clean(parts, port, kind)


def _clean(parts: SplitResult, port: int | None, kind: str) -> str:
    host = parts.hostname or ""
    if host == "0.0.0.0":  # where a server listens, not where it is reached
        host = "127.0.0.1"
    host = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    if kind == "ollama":
        path = path.removesuffix("/v1").removesuffix("/api")
        port = port or (None if parts.scheme == "https" else 11434)
    elif not path:
        path = "/v1"
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"
