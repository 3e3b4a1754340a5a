from __future__ import annotations

from collections.abc import Sequence

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from holdtrue.engines.template import Render, inspect_template
from holdtrue.messages import Message


def jinja(source: str) -> Render:
    """Renders as llama.cpp and transformers do; None for what the template refuses."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)

    def refuse(text: str) -> None:
        raise TemplateError(text)

    def render(messages: Sequence[Message]) -> str | None:
        template = environment.from_string(source)
        listed = [message.as_dict() for message in messages]
        try:
            return template.render(messages=listed, raise_exception=refuse)
        except TemplateError:
            return None

    return render


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
DEFAULTING = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are Quill, made by nobody."
    "<|im_end|>\n{% endif %}" + CHATML
)
PREAMBLE = (
    "<|begin|><|header|>system<|end|>\nKnowledge ends in 2023.\n"
    "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}<|eot|>"
    "{% for m in messages %}{% if m.role != 'system' %}<|header|>{{ m.role }}<|end|>"
    "{{ m.content }}<|eot|>{% endif %}{% endfor %}"
)
NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}"
)


def test_a_plain_template_adds_nothing_and_drops_nothing() -> None:
    facts = inspect_template(jinja(CHATML))
    assert (facts.injected_system, facts.folds, facts.notes) == (None, None, ())


def test_an_identity_that_a_template_inserts_is_found() -> None:
    facts = inspect_template(jinja(DEFAULTING))
    assert facts.injected_system == "You are Quill, made by nobody."
    assert facts.folds is None


def test_a_preamble_and_dropped_reminders_are_found() -> None:
    facts = inspect_template(jinja(PREAMBLE))
    assert facts.injected_system == "Knowledge ends in 2023."
    assert facts.folds == "later"
    assert "at the beginning only" in facts.notes[0]


def test_a_template_without_system_messages_gets_them_in_the_users() -> None:
    facts = inspect_template(jinja(NO_SYSTEM))
    assert (facts.injected_system, facts.folds) == (None, "all")


def test_a_template_that_asks_for_the_date_is_noted() -> None:
    facts = inspect_template(jinja(CHATML), "{{ strftime_now('%d') }}")
    assert "date" in facts.notes[0]


def test_a_template_that_renders_nothing_is_survived() -> None:
    facts = inspect_template(lambda messages: None)
    assert facts.injected_system is None
    assert facts.folds == "all"
