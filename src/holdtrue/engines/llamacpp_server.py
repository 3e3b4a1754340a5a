"""One llama.cpp server in this process, through xllamacpp: load it, ask it, free it.

xllamacpp accepts nearly anything; what it must not be given is checked in ``llamacpp.py``. The
server also listens on the loopback interface, so it gets a random key that nobody is told.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdtrue.engines.base import StopReason
from holdtrue.engines.llamacpp_layout import Layout
from holdtrue.engines.native_log import native_log, settle
from holdtrue.errors import EngineError, GenerationError
from holdtrue.messages import Message
from holdtrue.protocol import Sampling

RANDOM_SEED = 0xFFFFFFFF
QUIET, INFORM, ERRORS = 0, 3, 1
TEMPLATE_SECONDS = 10.0
LOG_TAIL = 65_536
NEUTRAL = {
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "typical_p": 1.0,
    "dynatemp_range": 0.0,
    "dry_multiplier": 0.0,
    "xtc_probability": 0.0,
    "mirostat": 0,
    "samplers": ["top_k", "top_p", "min_p", "temperature"],
}


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server said; ``evaluated`` counts prompt tokens that no cache held."""

    text: str
    stop_reason: StopReason
    prompt_tokens: int | None
    completion_tokens: int | None
    evaluated: int | None


def import_xllamacpp() -> Any:
    """The library, with OpenMP told to spin briefly.

    Its threads wait for each other by spinning, which beside another busy process made a run ten
    times slower; a short spin costs nothing when alone. It must be set before the library is
    loaded. Raises EngineError where it is missing or does not load.
    """
    if not (os.environ.get("OMP_WAIT_POLICY") or os.environ.get("GOMP_SPINCOUNT")):
        os.environ["GOMP_SPINCOUNT"] = "1000"
    try:
        import xllamacpp
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "xllamacpp"
        raise EngineError(
            "GGUF models need xllamacpp" if missing else f"xllamacpp does not load: {error}",
            remedy="pip install 'xllamacpp>=2026.10'",
        ) from None
    return xllamacpp


def has_accelerator(library: Any) -> bool:
    """Whether this build of llama.cpp sees a GPU."""
    kinds = (device["type"].name for device in library.get_device_info())
    return any(kind.endswith(("_GPU", "_IGPU")) for kind in kinds)


def build_of(library: Any) -> str:
    """The compiler and the processor's extensions that this llama.cpp was built with.

    Equal seeds give equal text on one build only, and a wheel may leave out what the processor has.
    """
    told = re.findall(r"(\w+) = 1", library.get_system_info())
    return f"{library.BUILD_INFO['compiler']} with {' '.join(told)}"


class NativeServer:
    """A loaded model. ``load`` and ``ask`` block and release the interpreter's lock."""

    def __init__(
        self,
        model: Path,
        layout: Layout,
        *,
        adapter: Path | None = None,
        on_accelerator: bool = False,
        log_path: Path | None = None,
    ) -> None:
        self.model = model
        self.layout = layout
        self.adapter = adapter
        self.on_accelerator = on_accelerator
        self.log_path = log_path
        self._key = secrets.token_hex(16)
        self._native: Any = None

    def load(self) -> None:
        """Raises EngineError with llama.cpp's own reason."""
        library = import_xllamacpp()
        try:
            self._native = library.Server(self._params(library, INFORM if self.log_path else QUIET))
        except Exception as error:
            reason = self._why(library) or str(error)
            raise EngineError(
                f"llama.cpp could not load the model: {reason}",
                where=str(self.model),
                remedy="Fetch or convert it again; if the model is newer than your xllamacpp: "
                "pip install --upgrade xllamacpp. If memory is short: a smaller --context, "
                "a lower --concurrency, or fewer bits.",
            ) from None

    def free(self) -> None:
        """Free the model's memory (blocks some 40 ms)."""
        self._native = None

    def _params(self, library: Any, verbosity: int) -> Any:
        params = library.CommonParams()
        params.model.path = str(self.model)
        params.verbosity = verbosity
        params.n_ctx = self.layout.context * self.layout.slots
        params.n_parallel = self.layout.slots
        for pool in (params.cpuparams, params.cpuparams_batch):
            pool.n_threads = self.layout.threads
        params.n_threads_http = 1
        params.cache_ram_mib = 0  # every conversation has a slot: nothing to swap out
        params.cache_idle_slots = False
        params.warmup = False
        params.ui = False
        params.offline = True
        params.api_keys = [self._key]
        params.cors_origins = "null"
        if not self.on_accelerator:
            params.n_gpu_layers = 0
            params.fit_params = False
        if self.adapter is not None:
            lora = library.CommonAdapterLoraInfo()
            lora.path = str(self.adapter)
            lora.scale = 1.0
            params.lora_adapters = [lora]
        return params

    def _why(self, library: Any) -> str | None:
        """llama.cpp's reason of a failed load, from its log.

        Without a log the load is tried once more, with the error lines caught in a passing file.
        """
        if self.log_path is not None:
            settle(self.log_path)
            return self._first_error(self.log_path)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "log"
            with native_log(path), contextlib.suppress(Exception):
                library.Server(self._params(library, ERRORS))
            return self._first_error(path)

    def _first_error(self, log: Path) -> str | None:
        """The first error line after the last start of a server."""
        try:
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - LOG_TAIL))
                lines = file.read().decode("utf-8", errors="replace").splitlines()
        except OSError:
            return None
        starts = [number for number, line in enumerate(lines) if "initializing ..." in line]
        errors = [line for line in lines[starts[-1] if starts else 0 :] if " E " in line]
        if not errors:
            return None
        return errors[0].split(" E ", 1)[1].strip().replace(str(self.model), self.model.name)[:300]

    def ask(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        seed: int,
        slot: int,
        reuse: bool,
        stop: threading.Event | None,
    ) -> Completion:
        """One completion in ``slot``; ``reuse`` lets it go on from what the slot has evaluated.

        Setting ``stop`` ends it at the next token; to look for it costs a quarter of a millisecond
        a token, so None is for replies that are not worth interrupting. Raises GenerationError for
        a prompt that does not fit and for whatever else the server refuses.
        """
        body: dict[str, Any] = {
            **NEUTRAL,
            "messages": [message.as_dict() for message in messages],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "seed": seed % RANDOM_SEED,
            "id_slot": slot,
            "cache_prompt": reuse,
            "chat_template_kwargs": {"enable_thinking": False},
        }
        stream = _Stream(stop)
        native = self._native
        try:
            if stop is None:
                answer = native.handle_chat_completions(body)
            else:
                body.update(stream=True, stream_options={"include_usage": True})
                answer = native.handle_chat_completions(body, stream.take)
        except Exception as error:
            raise GenerationError(f"llama.cpp failed: {error}") from None
        if isinstance(answer, dict):
            stream.take(answer)
        return stream.completion(self.layout.context)

    def render(self, messages: Sequence[Message]) -> str | None:
        """The prompt that the model's template makes of messages; None where it refuses them."""
        import httpx

        headers = {"Authorization": f"Bearer {self._key}"}
        body = {
            "messages": [message.as_dict() for message in messages],
            "chat_template_kwargs": {"enable_thinking": False},
        }
        url = f"{self._native.listening_address}/apply-template"
        try:
            with httpx.Client(trust_env=False, timeout=TEMPLATE_SECONDS) as client:
                answer = client.post(url, headers=headers, json=body)
                prompt = answer.json().get("prompt") if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            return None
        return prompt if isinstance(prompt, str) else None


class _Stream:
    """Collects a completion from its pieces, or from one piece that is the whole."""

    def __init__(self, stop: threading.Event | None) -> None:
        self.stop = stop or threading.Event()
        self.pieces: list[str] = []
        self.reason: str | None = None
        self.usage: dict[str, Any] = {}
        self.timings: dict[str, Any] = {}
        self.error: dict[str, Any] | None = None

    def take(self, chunk: Any) -> bool:
        """Take one piece; returning True ends the stream. Never raises: the caller is C++."""
        if isinstance(chunk, list):
            return any([self.take(part) for part in chunk])
        if not isinstance(chunk, dict):
            return self.stop.is_set()
        if isinstance(error := chunk.get("error"), dict):
            self.error = error
            return True
        for choice in chunk.get("choices") or ():
            piece = (choice.get("delta") or choice.get("message") or {}).get("content")
            if piece:
                self.pieces.append(piece)
            self.reason = choice.get("finish_reason") or self.reason
        self.usage = chunk.get("usage") or self.usage
        self.timings = chunk.get("timings") or self.timings
        return self.stop.is_set()

    def completion(self, context: int) -> Completion:
        if self.error is not None:
            raise _refusal(self.error, context)
        if self.reason is None:
            raise GenerationError("llama.cpp ended a reply without saying why")
        known = {"stop": StopReason.STOP, "length": StopReason.LENGTH}
        return Completion(
            text="".join(self.pieces).strip(),
            stop_reason=known.get(self.reason, StopReason.UNKNOWN),
            prompt_tokens=self.usage.get("prompt_tokens"),
            completion_tokens=self.usage.get("completion_tokens"),
            evaluated=self.timings.get("prompt_n"),
        )


def _refusal(error: dict[str, Any], context: int) -> GenerationError:
    if error.get("type") == "exceed_context_size_error":
        tokens = error.get("n_prompt_tokens", "more")
        return GenerationError(
            f"the conversation needs {tokens} tokens, the context has {context}",
            remedy="Give a larger --context, or a protocol with a shorter history window.",
        )
    return GenerationError(f"llama.cpp refused: {str(error.get('message', error))[:300]}")
