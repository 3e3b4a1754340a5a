"""What server is this, and what does it tell of the model? Asked once, when an engine is entered.

Everything a server says of itself is taken as its word: it is recorded, not verified. Hosts that
list no models are believed to have the one that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdtrue.engines.addresses import Address
from holdtrue.engines.dialects import ChatCompletions, Dialect, OllamaChat, count_of, same_model
from holdtrue.engines.transport import RefusedError, Transport
from holdtrue.errors import EngineError, GenerationError, nearest

PROBE_SECONDS = 20.0
OLLAMA_CONTEXT = 8192
OWNERS = {
    "vllm": "vllm",
    "llamacpp": "llama-server",
    "library": "ollama",
    "organization_owner": "lmstudio",
}
EXTRAS = frozenset({"top_k", "min_p"})
CONTEXT_KEYS = ("max_model_len", "context_length", "context_window", "max_context_length")


@dataclass
class ServerFacts:
    """What a server tells of its model; None is unknown (units as in EngineFacts).

    ``slots`` is how many requests it serves at once, where it says so.
    """

    server: str
    architecture: str | None = None
    parameters_total: int | None = None
    bits: float | None = None
    file_bytes: int | None = None
    context_length: int | None = None
    source_hash: str | None = None
    slots: int | None = None
    versions: dict[str, str] = field(default_factory=dict)


async def discover(
    transport: Transport, address: Address, context: int | None
) -> tuple[Dialect, ServerFacts]:
    """The dialect to speak and the server's facts. ``context`` is the length asked for, if any.

    Raises EngineError: no server, key refused, or a server that does not have the model.
    """
    if address.kind == "ollama":
        return await _ollama(transport, address, context)
    return await _openai(transport, address)


async def _openai(transport: Transport, address: Address) -> tuple[Dialect, ServerFacts]:
    listed = await _models(transport, address)
    entry = _entry(listed, address.model)
    known = entry or (listed[0] if listed else {})
    server = "vllm" if address.kind == "vllm" else OWNERS.get(str(known.get("owned_by")), "")
    if address.host == "api.openai.com":
        server = "openai"
    if listed and entry is None and server not in ("", "openai"):
        names = [name for item in listed if (name := _string(item.get("id")))]
        raise EngineError(
            f"the server at {address.base} does not have {address.model!r}",
            remedy=nearest(address.model, names[:50]),
        )
    facts = ServerFacts(server or "openai-compatible")
    for key in CONTEXT_KEYS:
        facts.context_length = facts.context_length or count_of(known.get(key))
    if server == "llama-server":
        await _llama_server(transport, address, known, facts)
    elif server == "vllm":
        version = await _probe(transport, address, "/version")
        _note(facts.versions, "vllm", version.get("version"))
    return _dialect_of(server), facts


def _dialect_of(server: str) -> ChatCompletions:
    if server == "vllm":
        return ChatCompletions(extras=EXTRAS, thinking_switch=True, concurrency=32)
    if server == "llama-server":
        return ChatCompletions(extras=EXTRAS, thinking_switch=True, concurrency=4)
    if server == "lmstudio":
        return ChatCompletions(extras=frozenset({"top_k"}), concurrency=4)
    if server == "ollama":
        return ChatCompletions(concurrency=4)
    return ChatCompletions(new_limit=server == "openai", concurrency=8)


async def _models(transport: Transport, address: Address) -> list[dict[str, Any]]:
    """The entries of ``/models``; empty where the server has no such list."""
    try:
        answer = await transport.call("GET", "/models", seconds=PROBE_SECONDS, attempts=3)
    except RefusedError as fault:
        if fault.status in (404, 405, 501):
            return []
        raise EngineError(fault.message, remedy=fault.remedy) from None
    except GenerationError as fault:
        raise EngineError(fault.message, remedy=fault.remedy or _start_hint(address)) from None
    data = answer.get("data")
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


def _entry(listed: Iterable[dict[str, Any]], model: str) -> dict[str, Any] | None:
    for item in listed:
        aliases = item.get("aliases")
        names = [item.get("id"), *(aliases if isinstance(aliases, list) else [])]
        if any(isinstance(name, str) and same_model(model, name) for name in names):
            return item
    return None


async def _llama_server(
    transport: Transport, address: Address, entry: Mapping[str, Any], facts: ServerFacts
) -> None:
    meta = entry.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    facts.parameters_total = count_of_large(meta.get("n_params"))
    facts.file_bytes = count_of_large(meta.get("size"))
    facts.context_length = count_of(meta.get("n_ctx"))
    if facts.parameters_total and facts.file_bytes:
        facts.bits = round(8 * facts.file_bytes / facts.parameters_total, 3)
    props = await _probe(transport, address, "/props")
    facts.slots = count_of(props.get("total_slots")) or None
    _note(facts.versions, "llama-server", props.get("build_info"))


async def _probe(transport: Transport, address: Address, path: str) -> dict[str, Any]:
    """A GET beside the ``/v1`` tree; empty where the server does not answer it."""
    root = address.base.removesuffix("/v1")
    try:
        return await transport.call_beside("GET", root, path, seconds=PROBE_SECONDS)
    except GenerationError:
        return {}


async def _ollama(
    transport: Transport, address: Address, context: int | None
) -> tuple[Dialect, ServerFacts]:
    try:
        version = await transport.call("GET", "/api/version", seconds=PROBE_SECONDS, attempts=3)
        shown = await transport.call(
            "POST", "/api/show", {"model": address.model}, seconds=PROBE_SECONDS, attempts=3
        )
    except RefusedError as fault:
        if fault.status == 404:
            raise await _not_pulled(transport, address) from None
        raise EngineError(fault.message, remedy=fault.remedy) from None
    except GenerationError as fault:
        raise EngineError(fault.message, remedy=fault.remedy or _start_hint(address)) from None
    facts = ServerFacts("ollama")
    _note(facts.versions, "ollama", version.get("version"))
    info = shown.get("model_info")
    info = info if isinstance(info, dict) else {}
    facts.architecture = _string(info.get("general.architecture"))
    facts.parameters_total = count_of_large(info.get("general.parameter_count"))
    trained = count_of(info.get(f"{facts.architecture}.context_length"))
    await _ollama_file(transport, address, facts)
    details = shown.get("details")
    if isinstance(details, dict):
        _note(facts.versions, "quantization", details.get("quantization_level"))
    facts.context_length = context or min(trained or OLLAMA_CONTEXT, OLLAMA_CONTEXT)
    dialect = OllamaChat(context=facts.context_length)
    capabilities = shown.get("capabilities")
    if isinstance(capabilities, list):
        dialect.thinking_switch = "thinking" in capabilities
    return dialect, facts


async def _ollama_file(transport: Transport, address: Address, facts: ServerFacts) -> None:
    for item in await _ollama_tags(transport):
        name = item.get("name")
        if isinstance(name, str) and _with_tag(name) == _with_tag(address.model):
            facts.source_hash = _string(item.get("digest"))
            facts.file_bytes = count_of_large(item.get("size"))
            if facts.file_bytes and facts.parameters_total:
                facts.bits = round(8 * facts.file_bytes / facts.parameters_total, 3)


async def _ollama_tags(transport: Transport) -> list[dict[str, Any]]:
    try:
        answer = await transport.call("GET", "/api/tags", seconds=PROBE_SECONDS, attempts=1)
    except GenerationError:
        return []
    models = answer.get("models")
    return [item for item in models if isinstance(item, dict)] if isinstance(models, list) else []


async def _not_pulled(transport: Transport, address: Address) -> EngineError:
    names = [name for item in await _ollama_tags(transport) if (name := _string(item.get("name")))]
    return EngineError(
        f"Ollama at {address.base} does not have {address.model!r}",
        remedy=f"Fetch it: ollama pull {address.model}. {nearest(address.model, names[:50])}",
    )


def _with_tag(name: str) -> str:
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def _start_hint(address: Address) -> str:
    start = {
        "ollama": "Start it (ollama serve)",
        "vllm": f"Start it (vllm serve {address.model})",
        "openai": "Start the server",
    }[address.kind]
    return f"{start}, or check the base URL."


def count_of_large(value: Any) -> int | None:
    """A parameter or byte count as a server gives it; None where it is no count."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**16
    return value if is_count else None


def _string(value: Any) -> str | None:
    """A short printable string, or None."""
    if not isinstance(value, str) or not value:
        return None
    return "".join(char for char in value[:200] if char.isprintable())


def _note(versions: dict[str, str], key: str, value: Any) -> None:
    if text := _string(value):
        versions[key] = text
