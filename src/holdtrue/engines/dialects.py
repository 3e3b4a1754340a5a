"""How servers differ: paths, bodies, stop reasons, and what they tell of a model.

OpenAI-compatible servers agree on the outline of a chat completion and on little else. A dialect
says which sampling settings a server takes; what it does not take is not sent, and the engine
notes it. A dialect sends nothing itself.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from holdtrue.engines.base import Reply, StopReason
from holdtrue.engines.thinking import spoken
from holdtrue.errors import GenerationError
from holdtrue.messages import Message
from holdtrue.protocol import Sampling

STOPS = {
    "stop": StopReason.STOP,
    "stop_sequence": StopReason.STOP,
    "end_turn": StopReason.STOP,
    "eos": StopReason.STOP,
    "eos_token": StopReason.STOP,
    "length": StopReason.LENGTH,
    "max_tokens": StopReason.LENGTH,
    "model_length": StopReason.LENGTH,
    "limit": StopReason.LENGTH,
}
FAILURES = {
    "content_filter": "the server's content filter cut the reply",
    "load": "the server loaded the model and did not answer",
    "unload": "the server unloaded the model and did not answer",
    "error": "the server stopped with an error",
    "abort": "the server aborted the request",
    "tool_calls": "the model called a tool instead of answering",
    "function_call": "the model called a tool instead of answering",
}


class Dialect(ABC):
    """One way of asking for a chat completion.

    ``ignored`` are the sampling settings that are not sent; it grows when a server refuses one.
    """

    path: str
    concurrency: int
    ignored: set[str]

    @abstractmethod
    def body(
        self, model: str, messages: Sequence[Message], sampling: Sampling, seed: int
    ) -> dict[str, Any]:
        """The request."""

    @abstractmethod
    def read(self, answer: Mapping[str, Any], seconds: float) -> Reply:
        """The reply. Raises GenerationError where the answer holds none."""

    @abstractmethod
    def concede(self, detail: str, body: Mapping[str, Any]) -> bool:
        """Do without what a refusal of ``body`` complains about; whether to ask again.

        Several requests may be refused at once for the same reason: what has been given up since
        ``body`` was made is a reason to ask again, and not to give up more.
        """


class ChatCompletions(Dialect):
    """``/chat/completions`` of OpenAI and the servers that imitate it.

    ``extras`` are the settings beyond OpenAI's own that this server takes, ``thinking_switch``
    whether it hands ``chat_template_kwargs`` to the template.
    """

    path = "/chat/completions"

    def __init__(
        self,
        *,
        extras: frozenset[str] = frozenset(),
        new_limit: bool = False,
        thinking_switch: bool = False,
        concurrency: int = 8,
    ) -> None:
        self.ignored = {"top_k", "min_p"} - extras
        self.limit_key = "max_completion_tokens" if new_limit else "max_tokens"
        self._switched = False
        self.thinking_switch = thinking_switch
        self.concurrency = concurrency

    def body(
        self, model: str, messages: Sequence[Message], sampling: Sampling, seed: int
    ) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "seed": seed,
        }
        body: dict[str, Any] = {
            "model": model,
            "messages": [message.as_dict() for message in messages],
            self.limit_key: sampling.max_tokens,
            "stream": False,
        }
        body.update({key: value for key, value in settings.items() if key not in self.ignored})
        if self.thinking_switch:
            body["chat_template_kwargs"] = {"enable_thinking": False}
        return body

    def concede(self, detail: str, body: Mapping[str, Any]) -> bool:
        """Give way on a named setting: the limit's other name, the switch, or a sampling extra.

        Temperature and top_p are never given up: another temperature is another arm.
        """
        if "max_completion_tokens" in detail or "max_tokens" in detail:
            if self.limit_key in body and not self._switched:
                self._switched = True
                old, new = "max_tokens", "max_completion_tokens"
                self.limit_key = new if self.limit_key == old else old
            if self.limit_key not in body:
                return True
        if "chat_template_kwargs" in detail and "chat_template_kwargs" in body:
            self.thinking_switch = False
            return True
        for key in ("top_k", "min_p", "seed"):
            if key in body and re.search(rf"\b{key}\b", detail):
                self.ignored.add(key)
                return True
        return False

    def read(self, answer: Mapping[str, Any], seconds: float) -> Reply:
        _check_error(answer)
        choice = _first(answer.get("choices"))
        usage = answer.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        return make_reply(
            choice.get("message"),
            choice.get("finish_reason"),
            (usage.get("prompt_tokens"), usage.get("completion_tokens")),
            seconds,
        )


class OllamaChat(Dialect):
    """Ollama's own ``/api/chat``, which takes settings that its imitation of OpenAI drops.

    ``context`` is the context length asked for: by default Ollama cuts long prompts silently.
    """

    path = "/api/chat"

    def __init__(self, *, context: int | None = None, concurrency: int = 4) -> None:
        self.ignored = set()
        self.context = context
        self.concurrency = concurrency
        self.thinking_switch = True

    def body(
        self, model: str, messages: Sequence[Message], sampling: Sampling, seed: int
    ) -> dict[str, Any]:
        options: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "num_predict": sampling.max_tokens,
            "seed": seed,
            "repeat_penalty": 1.0,  # Ollama's default is 1.1, which the protocol does not ask for
        }
        if self.context:
            options["num_ctx"] = self.context
        body: dict[str, Any] = {
            "model": model,
            "messages": [message.as_dict() for message in messages],
            "stream": False,
            "options": options,
        }
        if self.thinking_switch:
            body["think"] = False
        return body

    def concede(self, detail: str, body: Mapping[str, Any]) -> bool:
        if "think" in body and "think" in detail.lower():
            self.thinking_switch = False
            return True
        return False

    def read(self, answer: Mapping[str, Any], seconds: float) -> Reply:
        _check_error(answer)
        if answer.get("done") is False:
            raise GenerationError("the answer is unfinished")
        return make_reply(
            answer.get("message"),
            answer.get("done_reason"),
            (answer.get("prompt_eval_count"), answer.get("eval_count")),
            seconds,
        )


def make_reply(message: Any, reason: Any, tokens: tuple[Any, Any], seconds: float) -> Reply:
    """A reply from what a server sent; ``tokens`` of the prompt and of the reply.

    Raises GenerationError where nothing was said.
    """
    if not isinstance(message, dict):
        raise GenerationError("the answer holds no message")
    if isinstance(reason, str) and (failure := FAILURES.get(reason)):
        raise GenerationError(failure)
    stop = STOPS.get(reason, StopReason.UNKNOWN) if isinstance(reason, str) else StopReason.UNKNOWN
    text = _text(message.get("content"))
    said = spoken(text).strip()
    if not said:
        why = "only reasoning" if text.strip() else "nothing"
        hint = "Raise max_tokens, or switch the model's reasoning off." if text.strip() else None
        raise GenerationError(
            f"the server returned an empty message ({why}, stop reason {str(reason)[:40]!r})",
            remedy=hint,
        )
    return Reply(said, stop, count_of(tokens[0]), count_of(tokens[1]), seconds)


def served_model(answer: Mapping[str, Any]) -> str | None:
    """The name of the model that the server says has spoken."""
    name = answer.get("model")
    return name if isinstance(name, str) and name else None


def _check_error(answer: Mapping[str, Any]) -> None:
    """Raises GenerationError for an error that came with status 200."""
    if error := answer.get("error"):
        raise GenerationError(f"the server answered with an error: {_said(error)}")


def count_of(value: Any) -> int | None:
    """A token count as a server gives it; None where it is no count."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
    return value if is_count else None


def _first(choices: Any) -> Mapping[str, Any]:
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise GenerationError("the answer holds no choices: is this a chat completion server?")
    return choices[0]


def _text(content: Any) -> str:
    """Message text: a string, or the text parts of a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _said(error: Any) -> str:
    said = error.get("message", error) if isinstance(error, dict) else error
    return "".join(char for char in str(said)[:200] if char.isprintable())


_DATE = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|\d{3})$")


def same_model(asked: str, answered: str) -> bool:
    """Whether a server's name for a model can mean the one that was asked for.

    Folders, ``.gguf`` and ``:latest`` do not count, nor does a date that the server adds.
    """

    def bare(name: str) -> str:
        name = name.casefold().replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
        return name.removesuffix(".gguf").removesuffix(":latest").removesuffix("-latest")

    return bare(asked) in (bare(answered), _DATE.sub("", bare(answered)))
