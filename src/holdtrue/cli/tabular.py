"""Scored sessions as flat rows, one per response, for CSV and Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdtrue.errors import ConfigError
from holdtrue.files import write_atomic

if TYPE_CHECKING:
    from holdtrue.scoring.measures import ScoredSession
    from holdtrue.scoring.rubric import Judgement

Judged = Sequence[Sequence["Judgement"]]


def rows(scored: Sequence[ScoredSession], judged: Judged | None = None) -> list[dict[str, Any]]:
    """One row per response; the session's scores stand in every row of it as ``session_…``.

    ``spans`` and ``unscored`` are JSON. A session without responses has no row.
    """
    found: list[dict[str, Any]] = []
    for number, session in enumerate(scored):
        head = head_of(session)
        tail = {f"session_{name}": value for name, value in session.scores.values.items()}
        for position, response in enumerate(session.scores.responses):
            body = response.as_dict()
            body["spans"] = json.dumps(body["spans"], ensure_ascii=False)
            unscored = body.pop("unscored", {}) | {
                f"session_{name}": why for name, why in session.scores.unscored.items()
            }
            body["unscored"] = json.dumps(unscored, ensure_ascii=False)
            for name, value in body.items():
                body[name] = getattr(value, "value", value)
            if session.scores.response_scores:
                body.update(session.scores.response_scores[position].values)
            extra = _ratings(judged[number][position]) if judged else {}
            found.append({**head, **body, **extra, **tail, "scorer": session.scores.scorer})
    return found


def head_of(session: ScoredSession) -> dict[str, Any]:
    """What identifies a session: file, persona, model and number."""
    transcript = session.transcript
    return {
        "file": transcript.source or transcript.id,
        "persona": transcript.persona.name,
        "model": transcript.model,
        "session": transcript.session,
    }


def write_csv(path: Path, table: Sequence[Mapping[str, Any]]) -> Path:
    """CSV with a header; None is an empty cell."""
    from holdtrue.scoring.labels import to_csv

    return write_atomic(path, to_csv(list(_columns(table)), table))


def write_parquet(path: Path, table: Sequence[Mapping[str, Any]]) -> Path:
    """Parquet with one type per column. Raises ConfigError when pyarrow is not installed."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigError(
            "Parquet needs pyarrow", remedy="pip install 'holdtrue[parquet]', or use --csv."
        ) from None
    types = {name: _type(arrow, [row.get(name) for row in table], name) for name in _columns(table)}
    columns = {
        name: arrow.array([row.get(name) for row in table], type=kind)
        for name, kind in types.items()
    }
    out = arrow.BufferOutputStream()
    parquet.write_table(arrow.table(columns), out)
    return write_atomic(path, out.getvalue().to_pybytes())


def _ratings(judgement: Judgement) -> dict[str, Any]:
    told = judgement.ratings or {}
    return {f"judge_{key}": value for key, value in told.items()} | {
        "judge_unscored": judgement.reason
    }


def _columns(table: Sequence[Mapping[str, Any]]) -> dict[str, None]:
    """Every column that any row has, in the order of their first appearance."""
    return dict.fromkeys(name for row in table for name in row)


def _type(arrow: Any, values: Sequence[Any], name: str) -> Any:
    """The type of a column, the same for a table without a single value in it."""
    from holdtrue.scoring.measures import RESPONSE_SCORES, SESSION_MEASURES

    if name in RESPONSE_SCORES or name.removeprefix("session_") in SESSION_MEASURES:
        return arrow.float64()
    if name in ("session", "index", "words"):
        return arrow.int64()
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, bool) for value in known):
        return arrow.bool_()
    if known and all(isinstance(value, int) for value in known):
        return arrow.int64()
    return arrow.string()
