"""Hostile names and replies through every verb: shown, never obeyed, in terminal and documents."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from holdtrue import capacity
from holdtrue.cli.main import cli
from holdtrue.engines import registry
from holdtrue.engines.base import Engine, EngineOptions
from holdtrue.engines.scripted import ScriptedEngine
from holdtrue.errors import GenerationError, HoldtrueError
from holdtrue.messages import Message

EVIL = (
    "\x1b[2J\x9b31m\u202egro\u2066.x\u200b</script><script>evil()</script><img src=x onerror=e()>"
)
NAME = f"Pim{EVIL}"
HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))

PERSONA = f"""
name = {json.dumps(NAME)}
expansion = {json.dumps("Mapper" + EVIL)}
memory = {json.dumps("We drew." + EVIL)}
[relationship]
partner = {json.dumps("Keeper" + EVIL)}
[voice]
examples = [{json.dumps("I am Pim." + EVIL)}]
"""
PROTOCOL = f"""
name = {json.dumps("plain" + EVIL)}
description = {json.dumps("d" + EVIL)}
[anchoring]
system = "You are {{{{ persona.name }}}}."
[[phases]]
name = "all"
first = 1
context = {json.dumps("c" + EVIL)}
[[phases.flow]]
intent = {json.dumps("greet" + EVIL)}
phrasings = [{json.dumps("Hello." + EVIL)}, "Hi there."]
[[phases.flow]]
intent = "ask"
phrasings = ["What do you see?", "What is there?"]
"""
CRITERIA = f"""
name = {json.dumps("mine" + EVIL)}
description = {json.dumps("d" + EVIL)}
[[criteria]]
measure = "d9"
at_least = 0.5
note = {json.dumps("n" + EVIL)}
"""


def evil_engine(model: str, options: EngineOptions | None = None) -> Engine:
    """Replies and errors that hold everything a terminal or a page might obey."""

    def script(messages: Sequence[Message], seed: int) -> str:
        return f"I am {NAME}, and this is reply {seed}.\n{EVIL}\r| a | b |"

    def fault(messages: Sequence[Message], seed: int) -> Exception | None:
        return GenerationError(f"refused {EVIL}") if seed % 7 == 0 else None

    return ScriptedEngine(model, options, script=script, fault=fault)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    (root / "holdtrue.toml").write_text("")
    for name, text in (("persona", PERSONA), ("protocol", PROTOCOL), ("criteria", CRITERIA)):
        (root / f"{name}.toml").write_text(toml(text), encoding="utf-8")
    foreign = {
        "persona": NAME,
        "prompt": f"Hello?{EVIL}",
        "response": f"I am {NAME}. {EVIL}",
        "id": f"one{EVIL}",
        "self_ref": "natural",
    }
    (root / "foreign.jsonl").write_text(json.dumps(foreign) + "\n", encoding="utf-8")
    return root


def toml(text: str) -> str:
    """JSON's escapes as TOML has them: none for what JSON leaves as it is."""
    return re.sub(r"[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text)


def said_by(arguments: str, root: Path, patch: pytest.MonkeyPatch) -> str:
    """Everything that a verb prints."""
    patch.chdir(root)
    patch.setattr(capacity, "open_engine", evil_engine)
    patch.setattr(registry, "open_engine", evil_engine)
    result = CliRunner().invoke(cli, arguments.split(), standalone_mode=False)
    if result.exception is None or isinstance(result.exception, SystemExit):
        return result.output
    assert isinstance(result.exception, HoldtrueError | click_errors()), repr(result.exception)
    from holdtrue.cli.output import printable

    return result.output + printable(str(result.exception))


def click_errors() -> type[Exception]:
    import click

    return click.ClickException


def hidden(text: str) -> list[str]:
    found = {c for c in text if c not in "\n\t" and unicodedata.category(c) in HIDDEN}
    return sorted(f"U+{ord(character):04X}" for character in found)


TEST = "test scripted:steady --persona persona.toml --protocol protocol.toml --label T --host h"
RUN = "run scripted:steady --persona persona.toml --protocol protocol.toml"
VERBS = (
    f"{TEST} --phase all --budget 8 --criteria criteria.toml --criteria minimum",
    f"{TEST} --phase all --budget 4 --json",
    f"{RUN} --phase all --seed 3",
    f"{RUN} --phase all --seed 3 --dry-run",
    "score foreign.jsonl T-session-transcripts",
    "score foreign.jsonl --json",
    "score foreign.jsonl --csv scores.csv --to-label labels.csv",
    "verdict .",
    "verdict T-session-transcripts --criteria criteria.toml",
    "verdict . --json",
    "verify .",
    "verify . --json",
    "report . --json",
    "compare T-session-transcripts foreign.jsonl --out compared",
    "compare T-session-transcripts T-session-transcripts --json",
    "calibrate foreign.jsonl",
    "calibrate foreign.jsonl --markdown calibration.md",
    "calibrate foreign.jsonl --json",
    "export T-session-transcripts --inspect log.json",
    "baseline add mine T-session-transcripts",
    "baseline list",
    "baseline show mine",
    "baseline show mine --json",
    "check scripted:steady",
    "check scripted:steady --json",
    "plan --criteria criteria.toml --budget 8",
    "sleep curate T-session-transcripts --out curated --min-sessions 1",
    "ladder scripted:steady --persona persona.toml --protocol protocol.toml --phase all --budget 4"
    " --cost listed --out laddered",
    "models",
)


def test_no_verb_prints_what_a_terminal_would_obey(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = []
    for arguments in VERBS:
        said = said_by(arguments, workspace, monkeypatch)
        assert hidden(said) == [], f"{arguments}\n{said[:2000]!r}"
        silent += [] if said else [arguments]
    assert len(silent) <= 2, silent
    documents = [path for path in workspace.rglob("*") if path.suffix in (".md", ".html", ".txt")]
    names = {path.name for path in documents}
    assert {"report.html", "LATEST_STATUS.md", "h_worklog.txt", "comparison.md"} <= names
    for path in documents:
        text = path.read_text(encoding="utf-8")
        assert hidden(text) == [], path
        if path.suffix == ".html":
            assert Reading(text).wrong == [], path
        if path.suffix == ".md":
            assert "<script" not in text, path
            assert "<img" not in text, path


class Reading(HTMLParser):
    """What a browser would run or fetch of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        self.wrong += [f"{tag} {name}" for name, _ in attrs if name.startswith("on")]
        if tag == "img" and ("src", "x") in attrs:
            self.wrong.append("img")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script" and re.match(r"\s*evil\(", data):
            self.wrong.append(f"script {data[:60]}")


def test_this_reading_finds_what_it_looks_for() -> None:
    page = f"<p>{EVIL}</p>"
    assert Reading(page).wrong == ["script evil()", "img onerror", "img"]
