"""From messages to token ids, through the tokenizer's own chat template.

A template comes from strangers: transformers renders it in a sandbox, and here it is given limited
time and length. A template that fills the memory within that time is not stopped. A model without
a template is refused, unless the plain one below is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from holdtrue.engines.systems import fold_systems
from holdtrue.engines.template import TemplateFacts, inspect_template
from holdtrue.errors import EngineError, GenerationError
from holdtrue.messages import Message

RENDER_SECONDS = 10.0
MAX_TEMPLATE = 200_000
MAX_RENDERED = 2_000_000

PLAIN_TEMPLATE = (
    "{{ bos_token or '' }}"
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ message.content }}\n\n"
    "{% elif message.role == 'user' %}User: {{ message.content }}\n"
    "{% else %}Assistant: {{ message.content }}\n\n{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""For base models, on request: a transcript to be continued. A reply ends at PLAIN_STOPS."""

PLAIN_STOPS = ("\nUser:", "\nAssistant:")


class Prompter:
    """Renders and tokenizes conversations. ``facts`` says what the template does on its own.

    Raises EngineError for a tokenizer without a template (unless ``plain``), or with one that
    does not end, or shows nothing of what is said.
    """

    def __init__(self, tokenizer: Any, *, where: str, plain: bool = False) -> None:
        self.tokenizer = tokenizer
        self.stops: tuple[str, ...] = ()
        template = _template_of(tokenizer, where)
        if template is None and plain:
            template, self.stops = PLAIN_TEMPLATE, PLAIN_STOPS
        if template is None:
            raise EngineError(
                "this model has no chat template, so nobody knows how to talk to it",
                where=where,
                remedy="Use the instruction-tuned version of the model, or let a base model "
                "continue a plain transcript with --plain-template.",
            )
        if len(template) > MAX_TEMPLATE:
            raise EngineError(
                f"its chat template is longer than {MAX_TEMPLATE:,} characters", where=where
            )
        self.template = template
        # The tokenizer's native part is not made for several threads at once.
        self._one = threading.Lock()
        self.in_parts = False
        self.facts = self._inspect(where)

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """The token ids of a prompt that asks for the assistant's next message.

        Raises GenerationError where the template refuses the conversation.
        """
        shown = list(messages)
        if self.facts.folds is not None:
            shown = fold_systems(messages, keep_first=self.facts.folds == "later")
        text = self._render(shown)
        with self._one:
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [int(token) for token in ids]

    def text(self, tokens: Sequence[int]) -> str:
        """What generated tokens say, without special tokens."""
        with self._one:
            return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _inspect(self, where: str) -> TemplateFacts:
        facts = inspect_template(self._try, self.template)
        if facts.folds == "all" and self._is_blind():
            # Templates of multimodal models may want the content as a list of parts.
            self.in_parts = True
            facts = inspect_template(self._try, self.template)
            if self._is_blind():
                raise EngineError("its chat template shows nothing of what is said", where=where)
        return facts

    def _is_blind(self) -> bool:
        from holdtrue.messages import Role

        shown = self._try([Message(Role.USER, "qzuser")])
        return shown is None or "qzuser" not in shown

    def _try(self, messages: Sequence[Message]) -> str | None:
        try:
            return self._render(messages)
        except GenerationError:
            return None

    def _render(self, messages: Sequence[Message]) -> str:
        conversation = [self._as_dict(message) for message in messages]

        def render() -> str:
            return str(
                self.tokenizer.apply_chat_template(
                    conversation,
                    chat_template=self.template,
                    tokenize=False,
                    add_generation_prompt=True,
                    enable_thinking=False,
                )
            )

        text = _within(RENDER_SECONDS, render)
        if len(text) > MAX_RENDERED:
            raise GenerationError(f"the chat template made more than {MAX_RENDERED:,} characters")
        return text

    def _as_dict(self, message: Message) -> dict[str, Any]:
        if self.in_parts:
            parts = [{"type": "text", "text": message.content}]
            return {"role": message.role.value, "content": parts}
        return dict(message.as_dict())


def _template_of(tokenizer: Any, where: str) -> str | None:
    """The template that the tokenizer carries; the default one where it carries several."""
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        template = template.get("default")
    if template is not None and not isinstance(template, str):
        raise EngineError("its chat template is not text", where=where)
    return template or None


def _within(seconds: float, render: Any) -> str:
    """The value of ``render()``, run aside so that one that never ends does not hold us up.

    A thread cannot be stopped: it goes on as a daemon, and ends with the process.
    """
    values: list[str] = []
    faults: list[BaseException] = []

    def work() -> None:
        try:
            values.append(render())
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=work, name="chat-template", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise GenerationError(
            f"the chat template did not end within {seconds:.0f} s",
            remedy="Do not use this model: its template is broken or hostile.",
        )
    if faults:
        said = " ".join(str(faults[0]).split())[:200]
        raise GenerationError(f"the chat template refuses this conversation: {said}")
    return values[0]
