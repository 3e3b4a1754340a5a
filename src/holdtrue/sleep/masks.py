"""Masks: which tokens of an example are learnt. The persona's own and the end of its turn, only.

The prompt is rendered as an engine renders it for generation, so that a reply is learnt after
exactly the tokens that will stand before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdtrue.engines.hf_prompt import Prompter
from holdtrue.errors import EngineError
from holdtrue.sleep.dataset import ChatMessage


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of a prompt with its reply; the last ``learnt`` of them are the reply's."""

    tokens: tuple[int, ...]
    learnt: int
    weight: float = 1.0

    @property
    def mask(self) -> tuple[bool, ...]:
        """Per token, whether it is learnt."""
        return (False,) * (len(self.tokens) - self.learnt) + (True,) * self.learnt


class Encoder:
    """Encodes examples for one tokenizer. Raises EngineError for a template that cannot be used."""

    def __init__(self, tokenizer: Any, *, where: str) -> None:
        self.tokenizer = tokenizer
        self.where = where
        self.prompter = Prompter(tokenizer, where=where)
        self.ending = self._ending()

    def encode(self, prompt: Sequence[ChatMessage], reply: str, *, weight: float = 1.0) -> Encoded:
        """``reply`` after ``prompt``. The reply ends with the template's end of turn."""
        before = self.prompter.tokens([message.as_message() for message in prompt])
        said = self._ids(reply.strip()) + self.ending
        return Encoded(tuple(before + said), len(said), weight)

    def plain(self, text: str) -> tuple[int, ...]:
        """The tokens of a text that is no conversation."""
        return tuple(self._ids(text))

    def _ids(self, text: str) -> list[int]:
        return [int(one) for one in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def _ending(self) -> list[int]:
        """The token that ends a turn, as the template writes it after a reply."""
        question = [{"role": "user", "content": "qzuser"}]
        answer = [*question, {"role": "assistant", "content": "qzanswer"}]
        template = self.prompter.template
        shown = str(
            self.tokenizer.apply_chat_template(answer, chat_template=template, tokenize=False)
        )
        opened, found, rest = shown.rpartition("qzanswer")
        if not found or "qzuser" not in opened:
            raise EngineError(
                "its chat template does not show a reply as it was said, so what is learnt "
                "cannot be told from the rest",
                where=self.where,
                remedy="Use a model whose template keeps assistant messages.",
            )
        ids = self._ids(rest.strip())
        if ids:
            return ids[:1]
        end = getattr(self.tokenizer, "eos_token_id", None)
        if end is None:
            raise EngineError("its template and tokenizer know no end of a turn", where=self.where)
        return [int(end)]


def tokenizer_hash(tokenizer: Any) -> str:
    """sha256 over vocabulary, rules and chat template: equal tokenizers give equal hashes."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab())
    template = getattr(tokenizer, "chat_template", None)
    # Truncation and padding are settings of the moment, not of the tokenizer.
    body = json.loads(rules)
    for passing in ("truncation", "padding"):
        body.pop(passing, None)
    text = json.dumps([body, template], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
