"""One JSON request to a server that may be down, slow, busy, hostile or not what it claims.

Retries what may pass (429, 5xx, time-outs, broken connections) with exponential back-off and full
jitter, and honours Retry-After. Follows no redirect, reads no more than MAX_BYTES, and puts
nothing of a key into what it raises. It knows nothing of chat completions.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np

from holdtrue.engines.secrets_env import Secret, scrub
from holdtrue.errors import GenerationError

MAX_BYTES = 8_000_000
MAX_DETAIL = 300
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
CONNECT_SECONDS = 10.0
SLOW_TRIES = 2
# A server error that is the request's fault: llama-server answers these with HTTP 500.
_STAYS = re.compile(r"jinja|chat template|roles must alternate|context size", re.IGNORECASE)


class RefusedError(GenerationError):
    """The server answered with an error status that no retry mends.

    ``status`` is the HTTP status, ``detail`` what the server said (shortened, without keys).
    """

    def __init__(self, message: str, *, status: int, detail: str, remedy: str | None = None):
        super().__init__(message, remedy=remedy)
        self.status = status
        self.detail = detail


class _PassingError(GenerationError):
    """A fault worth another try, after ``wait`` seconds where the server says so.

    ``tries`` bounds how often, where that is less than usual.
    """

    def __init__(
        self, message: str, *, wait: float | None = None, tries: int | None = None
    ) -> None:
        super().__init__(message)
        self.wait = wait
        self.tries = tries


@dataclass(frozen=True, slots=True)
class Retries:
    """``attempts`` tries in all; waits of up to ``first`` · 2ᵏ seconds, at most ``longest``.

    A server's Retry-After is waited for in full up to ``patience`` seconds; a longer one fails.
    """

    attempts: int = 5
    first: float = 0.5
    longest: float = 20.0
    patience: float = 120.0


class Bearer(httpx.Auth):
    """Adds the key to each request as it leaves, so that no client or request object holds it."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["Authorization"] = f"Bearer {self._secret.reveal()}"
        yield request


class Transport:
    """JSON requests to one server. Use as an async context manager.

    ``rng`` draws the jitter of the waits, ``sleep`` waits (tests pass their own).
    """

    def __init__(
        self,
        base: str,
        *,
        secret: Secret | None,
        rng: np.random.Generator,
        connections: int,
        direct: bool = False,
        retries: Retries = Retries(),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.base = base
        self.secret = secret
        self.rng = rng
        self.retries = retries
        self.sleep = sleep
        self._client = httpx.AsyncClient(
            auth=Bearer(secret) if secret else None,
            follow_redirects=False,
            trust_env=not direct,
            verify=_trust(base),
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def call_beside(
        self, method: str, base: str, path: str, *, seconds: float
    ) -> dict[str, Any]:
        """One try at another path of the same server, outside its base URL's tree."""
        if httpx.URL(base).netloc != httpx.URL(self.base).netloc:
            raise GenerationError(f"{base} is not the server at {self.base}")
        return await self._once(method, base + path, None, seconds)

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        seconds: float,
        attempts: int | None = None,
    ) -> dict[str, Any]:
        """The JSON object that the server answers with.

        ``path`` begins with a slash and follows the base URL; ``seconds`` bounds one try.
        Raises RefusedError for a status that stays, GenerationError when tries ran out or the
        answer is not what it must be.
        """
        tries = attempts or self.retries.attempts
        for attempt in range(1, tries + 1):
            try:
                return await self._once(method, self.base + path, body, seconds)
            except _PassingError as fault:
                if attempt >= min(tries, fault.tries or tries):
                    tail = f" ({attempt} tries)" if attempt > 1 else ""
                    raise GenerationError(f"{fault.message}{tail}") from None
                wait = self._wait(attempt, fault.wait)
                if wait is None:
                    raise GenerationError(
                        f"{fault.message}; the server asks to wait {fault.wait:.0f} s",
                        remedy="Try later, or with a lower concurrency.",
                    ) from None
            await self.sleep(wait)
        raise AssertionError("unreachable")

    def _wait(self, attempt: int, asked: float | None) -> float | None:
        jitter = float(self.rng.uniform())
        if asked is not None:
            return asked + jitter if asked <= self.retries.patience else None
        ceiling = min(self.retries.longest, self.retries.first * 2.0 ** (attempt - 1))
        return ceiling * jitter

    async def _once(
        self, method: str, url: str, body: Mapping[str, Any] | None, seconds: float
    ) -> dict[str, Any]:
        # The fault is raised outside the handlers: httpx's own holds the request, key included.
        fault: GenerationError
        try:
            async with asyncio.timeout(seconds):
                async with self._client.stream(method, url, json=body) as response:
                    content = await _limited(response.aiter_bytes())
        except TimeoutError:
            slow = f"no answer from {self.base} within {seconds:.0f} s"
            fault = _PassingError(slow, tries=SLOW_TRIES)
        except httpx.ConnectError:
            fault = _PassingError(f"no server answers at {self.base}")
        except httpx.TransportError as error:
            fault = _PassingError(f"the connection to {self.base} broke ({type(error).__name__})")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            fault = GenerationError(f"the request to {self.base} failed ({type(error).__name__})")
        else:
            return self._read(response, content)
        raise fault

    def _read(self, response: httpx.Response, content: bytes | None) -> dict[str, Any]:
        status = response.status_code
        if 300 <= status < 400:
            raise RefusedError(
                f"{self.base} redirects elsewhere (HTTP {status}); redirects are not followed",
                status=status,
                detail="",
                remedy="Give the base URL of the server itself.",
            )
        if content is None:
            raise GenerationError(f"{self.base} sent more than {MAX_BYTES:,} bytes")
        if status >= 400:
            raise self._refusal(response, content)
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            raise self._not_json(content) from None
        if not isinstance(answer, dict):
            raise GenerationError(f"{self.base} answered with JSON that is not an object")
        return answer

    def _not_json(self, content: bytes) -> GenerationError:
        start = content[:200].lstrip().lower()
        if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
            return GenerationError(
                f"{self.base} answered with a web page, not JSON",
                remedy="Check the base URL; it usually ends in /v1.",
            )
        return GenerationError(f"{self.base} answered with malformed JSON: {self._show(content)!r}")

    def _refusal(self, response: httpx.Response, content: bytes) -> GenerationError:
        status = response.status_code
        detail, code = _error_of(content)
        detail = self._shorten(detail)
        message = f"{self.base} answered HTTP {status}" + (f": {detail}" if detail else "")
        if status == 429 and code == "insufficient_quota":
            return RefusedError(
                message, status=status, detail=detail, remedy="The quota is used up."
            )
        if status in PASSING and not (status == 500 and _STAYS.search(detail)):
            return _PassingError(message, wait=_retry_after(response.headers.get("Retry-After")))
        return RefusedError(message, status=status, detail=detail, remedy=self._remedy(status))

    def _remedy(self, status: int) -> str | None:
        if status in (401, 403):
            given = f"the key in {self.secret.variable}" if self.secret else "no key"
            return (
                f"The server was sent {given}. Keys are read from the environment: HOLDTRUE_API_KEY"
                " for any server, OPENAI_API_KEY, VLLM_API_KEY or OLLAMA_API_KEY by the name's kind"
            )
        if status in (404, 405):
            return "Check the model's name and the base URL; it usually ends in /v1."
        return None

    def _show(self, content: bytes) -> str:
        return self._shorten(content.decode("utf-8", "replace"))

    def _shorten(self, text: str) -> str:
        """At most MAX_DETAIL printable characters of what a server said, without keys."""
        text = scrub(text, self.secret)
        text = "".join(char if char.isprintable() else " " for char in text)
        text = " ".join(text.split())
        return text if len(text) <= MAX_DETAIL else text[: MAX_DETAIL - 1] + "…"


def _trust(base: str) -> ssl.SSLContext | bool:
    """The usual authorities for https; none where no https is spoken (loading them takes 0.1 s)."""
    return base.startswith("https://") or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def _limited(chunks: AsyncIterator[bytes]) -> bytes | None:
    """All bytes, or None once there are more than MAX_BYTES."""
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > MAX_BYTES:
            return None
    return bytes(content)


def _error_of(content: bytes) -> tuple[str, str | None]:
    """What an error body says, and its code, in the forms that servers use."""
    text = content.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        is_page = text.lstrip()[:1] == "<"
        return ("(a web page)" if is_page else text), None
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        said = error.get("message") or error.get("detail") or json.dumps(error)
        code = error.get("code") or error.get("type")
        return str(said), code if isinstance(code, str) else None
    return str(error), None


def _retry_after(header: str | None) -> float | None:
    """Seconds to wait by a Retry-After header: a number or a date. None where it says nothing."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(header)
        except ValueError:
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        seconds = (date - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if seconds == seconds and seconds < 1e9 else None
