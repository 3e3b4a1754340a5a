"""The index of an output folder: every run with its result, and the page that lists them.

Results are read from what the runs stored; nothing is scored or judged for the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from pydantic import ValidationError

from holdtrue.documents import words
from holdtrue.documents.blocks import Tag
from holdtrue.documents.page import ICON, environment, policy, script, style_sheet
from holdtrue.documents.results import outcome
from holdtrue.errors import HoldtrueError
from holdtrue.runs import CONFIG, RUNS, Run, age, open_run
from holdtrue.verdict.types import Verdict

VERDICT = "verdict.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the index; a run that cannot be read has its reason as ``detail``."""

    id: str
    title: str
    outcome: Tag
    mark: str
    detail: str
    readable: bool = True


def list_runs(out: Path) -> list[Entry]:
    """The runs under ``out``, newest first."""
    found = sorted((out / RUNS).glob(f"*/{CONFIG}"), key=age, reverse=True)
    return [_entry(path.parent) for path in found]


def _entry(folder: Path) -> Entry:
    try:
        run = open_run(folder)
        verdict = _verdict(run)
    except (HoldtrueError, ValidationError) as error:
        tag = Tag("cannot be read", "bad")
        return Entry(folder.name, folder.name, tag, "!", str(error), readable=False)
    config = run.config
    created = str(config.get("created", ""))[:16].replace("T", " ")
    title = f"{config['label']} on {config.get('host', 'this machine')}"
    about = [words.model_name(str(config.get("model", ""))), _name(config.get("persona"))]
    about += [_name(config.get("protocol")), created]
    if verdict is None:
        detail = ", ".join([*filter(None, about), "no verdict yet"])
        return Entry(run.id, title, Tag("unfinished", "plain"), "…", detail)
    mark, tag = outcome(verdict)
    about.append(words.plural(verdict.sessions, "session"))
    return Entry(run.id, title, tag, mark, ", ".join(filter(None, about)))


def _verdict(run: Run) -> Verdict | None:
    stored = run.read_json(VERDICT)
    return None if stored is None else Verdict.from_dict(stored)


def _name(value: object) -> str:
    return str(value.get("name", "")) if isinstance(value, dict) else ""


def render_index(entries: list[Entry], *, place: str, message: str = "") -> str:
    """The page that lists ``entries`` and lets two of them be chosen."""
    css, js = style_sheet(), script()
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            title="Runs",
            place=place,
            message=message,
            runs=entries,
            css=Markup(css),
            js=Markup(js),
            policy=policy(css, js, forms=True),
            icon=ICON,
        )
    )
