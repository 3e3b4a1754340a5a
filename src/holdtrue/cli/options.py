"""Options that several verbs share, and what they become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from holdtrue.engines.base import EngineOptions

Function = TypeVar("Function", bound=Callable[..., Any])
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


def persona_options(function: Function) -> Function:
    """``--persona``, ``--protocol``, ``--phase`` and ``--workspace``."""
    return with_all(
        function,
        click.option("--persona", metavar="NAME|FILE", help="Who. [default: sage]"),
        click.option("--protocol", metavar="NAME|FILE", help="How anchored. [default: v2.0]"),
        click.option("--phase", metavar="NAME", help="Conversation flow to use."),
        click.option("--workspace", type=FOLDER, help="Workspace. [default: nearest above]"),
    )


def engine_options(function: Function) -> Function:
    """How the model is opened, and which weights are loaded of it."""
    return with_all(
        function,
        loading_options,
        click.option(
            "--bits",
            type=click.Choice(["4", "8", "16"]),
            help="Load transformers weights in 4, 8 or 16 bits.",
        ),
        click.option("--adapter", type=FOLDER, help="LoRA adapter to load on the model."),
    )


def loading_options(function: Function) -> Function:
    """How a model is opened, whichever it is."""
    return with_all(
        function,
        click.option(
            "--concurrency",
            type=click.IntRange(1, 4096),
            metavar="N",
            help="Conversations at once; 1 gives replayable output.",
        ),
        click.option(
            "--reproducible",
            is_flag=True,
            help="Same text for the same seeds in any order; slower (embedded engine).",
        ),
        click.option(
            "--context",
            type=click.IntRange(256, 1_048_576),
            metavar="TOKENS",
            help="Context length of a conversation.",
        ),
        click.option("--threads", type=click.IntRange(1, 1024), metavar="N", help="CPU threads."),
        click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps or auto."),
        click.option(
            "--trust-remote-code",
            is_flag=True,
            help="Run code that a model repository brings. Off by default.",
        ),
        click.option(
            "--plain-template",
            is_flag=True,
            help="Let a base model without a chat template continue a plain transcript.",
        ),
        click.option("--offline", is_flag=True, help="Never use the network for a model."),
    )


def seed_option(meaning: str) -> Callable[[Function], Function]:
    """``--seed``, a whole number from 0; ``meaning`` is its help."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=0,
        show_default=True,
        metavar="N",
        help=meaning,
    )


def look_options(*, budget: int, batch: int) -> Callable[[Function], Function]:
    """``--budget``, ``--batch`` and ``--mode``: how many sessions, and how the evidence is looked
    at. The numbers are the largest that may be given."""

    def decorate(function: Function) -> Function:
        return with_all(
            function,
            _sessions("--budget", budget, 60, "Sessions at most."),
            _sessions("--batch", batch, 4, "Sessions between two looks."),
            click.option(
                "--mode",
                type=click.Choice(["bounded", "free"]),
                default="bounded",
                show_default=True,
                help="What the evidence may assume.",
            ),
        )

    return decorate


def _sessions(name: str, most: int, default: int, meaning: str) -> Callable[[Function], Function]:
    return click.option(
        name,
        type=click.IntRange(1, most),
        default=default,
        show_default=True,
        metavar="N",
        help=meaning,
    )


def with_all(function: Function, *decorators: Callable[[Function], Function]) -> Function:
    """``function`` with several options, in the order of its help."""
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


def make_engine_options(values: dict[str, Any], log_path: Path | None) -> EngineOptions:
    """Engine options from the values of ``engine_options`` or ``loading_options``.

    They are taken out of ``values``.
    """
    from holdtrue.engines.base import EngineOptions

    bits = values.pop("bits", None)
    return EngineOptions(
        concurrency=values.pop("concurrency"),
        context_length=values.pop("context"),
        threads=values.pop("threads"),
        log_path=log_path,
        device=values.pop("device"),
        bits=int(bits) if bits else None,
        adapter=values.pop("adapter", None),
        trust_remote_code=values.pop("trust_remote_code"),
        offline=values.pop("offline"),
        reproducible=values.pop("reproducible", False),
        plain_template=values.pop("plain_template", False),
    )
