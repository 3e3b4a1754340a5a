"""Templates that users and strangers write: a small part of Jinja2 that always ends.

Allowed are text, names and their attributes, ``if``, ``for`` (two deep, over lists), comparisons
and a few filters. Calls, arithmetic, assignments, includes and macros are not: with them a
template can read what it should not, or run for ever. What is left is rendered in Jinja2's
sandbox all the same, and no further than MAX_RENDERED characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from holdtrue.errors import ConfigError

MAX_RENDERED = 40_000
MAX_LOOPS = 20
MAX_LOOP_DEPTH = 2
MAX_SEPARATOR = 20
LISTED = "listed"  # what loops are wrapped in; not for templates
FILTERS = frozenset(
    {"join", "upper", "lower", "title", "capitalize", "trim", "length", "first", "last", "default"}
)
ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Const,
    nodes.If,
    nodes.For,
    nodes.Filter,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.CondExpr,
)


def render(template: str, **values: Any) -> str:
    """``template`` with ``values``; outer blank lines go, runs of them become one.

    Raises ConfigError naming the template line when it is wrong, uses what is not allowed, asks
    for an unknown name, or renders more than MAX_RENDERED characters.
    """
    try:
        text = "".join(_limited(_compiled(template).generate(**values)))
    except TemplateError as error:
        raise ConfigError(f"template: {error}{_line(getattr(error, 'lineno', None))}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"template: {error}") from None
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return "\n".join(line for i, line in enumerate(lines) if line or (i and lines[i - 1]))


@lru_cache(maxsize=64)
def _compiled(template: str) -> Template:
    """The template once checked; a session's are those of all the others."""
    environment = _environment()
    tree = environment.parse(template)
    _check(tree, depth=0)
    loops = list(tree.find_all(nodes.For))
    if len(loops) > MAX_LOOPS:
        raise ConfigError(f"template: {len(loops)} loops, more than {MAX_LOOPS}")
    for loop in loops:
        loop.iter = nodes.Filter(loop.iter, LISTED, [], [], None, None, lineno=loop.lineno)
    return environment.from_string(tree)


def _limited(pieces: Iterable[str]) -> Iterable[str]:
    """``pieces`` as they are rendered, until they are too many characters."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > MAX_RENDERED:
            raise ConfigError(
                f"the template renders more than {MAX_RENDERED:,} characters",
                remedy="Shorten it, or the persona's lines.",
            )
        yield piece


def _listed(value: object) -> object:
    """What a loop goes over: a list, since a loop over the characters of a text may be long."""
    if not isinstance(value, tuple | list):
        raise TypeError(f"a loop goes over a list, not over {type(value).__name__}")
    return value


def _check(node: nodes.Node, depth: int) -> None:
    """Refuse what is not allowed, by the tree and before anything runs."""
    if not isinstance(node, ALLOWED):
        raise ConfigError(
            f"template: {type(node).__name__.lower()} is not allowed{_line(node.lineno)}",
            remedy="Use text, {{ names }}, {% if %}, {% for %} and simple filters.",
        )
    if isinstance(node, nodes.Filter):
        _check_filter(node)
    if isinstance(node, nodes.For):
        depth += 1
        if depth > MAX_LOOP_DEPTH or node.recursive:
            raise ConfigError(f"template: loops are nested too deep{_line(node.lineno)}")
    for child in node.iter_child_nodes():
        _check(child, depth)


def _check_filter(node: nodes.Filter) -> None:
    if node.name not in FILTERS:
        raise ConfigError(
            f"template: the filter {node.name!r} is not allowed{_line(node.lineno)}",
            remedy="Allowed: " + ", ".join(sorted(FILTERS)),
        )
    if node.name != "join":
        return
    plain = isinstance(node.node, nodes.Name | nodes.Getattr) and not node.kwargs
    short = all(
        isinstance(a, nodes.Const) and isinstance(a.value, str) and len(a.value) <= MAX_SEPARATOR
        for a in node.args
    )
    if not (plain and short):
        raise ConfigError(
            f"template: join takes a name and a separator of at most {MAX_SEPARATOR} "
            f"characters{_line(node.lineno)}"
        )


def _line(number: int | None) -> str:
    return f" (template line {number})" if number else ""


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    """No loader, no globals, undefined names are errors."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # the output is a prompt for a model, not a page
    )
    environment.globals.clear()
    environment.filters[LISTED] = _listed
    return environment
