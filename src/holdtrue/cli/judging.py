"""What verbs with ``--judge`` share: open the engine, rate, show progress."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from holdtrue.engines.base import EngineOptions
    from holdtrue.scoring.judge import JudgeIdentity
    from holdtrue.scoring.rubric import Judgement
    from holdtrue.transcript import Transcript


def judge_all(
    model: str,
    rubric: str,
    transcripts: Sequence[Transcript],
    options: EngineOptions | None = None,
    *,
    check: Callable[[JudgeIdentity], object] | None = None,
) -> tuple[JudgeIdentity, list[tuple[Judgement, ...]]]:
    """Ratings of every response by a model, and which judge that was.

    ``check`` may raise before anything is asked, once it is known which judge it is.

    Raises ConfigError (unknown model or rubric) and EngineError (cannot be loaded).
    """
    from holdtrue.engines.registry import open_engine
    from holdtrue.scoring.judge import Judge, ReplyCache
    from holdtrue.scoring.rubric import load_rubric

    loaded = load_rubric(rubric)

    async def run() -> tuple[JudgeIdentity, list[tuple[Judgement, ...]]]:
        async with open_engine(model, options) as engine:
            judge = Judge(engine, loaded, ReplyCache())
            if check:
                check(judge.identity)
            total = sum(len(transcript.turns) for transcript in transcripts)
            with click.progressbar(
                length=total, label=f"judging with {model}", file=sys.stderr
            ) as bar:
                rated = await judge.rate(transcripts, lambda _done, _all: bar.update(1))
            return judge.identity, rated

    return asyncio.run(run())
