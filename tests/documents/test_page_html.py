"""The page as a file: complete in itself, strict, small enough, and hostile text in quarantine."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import record_factory as make
from holdtrue.documents.blocks import Document, Notice, Section, Table, Tag, Transcripts
from holdtrue.documents.capacity_report import capacity_document
from holdtrue.documents.page import render_page
from holdtrue.documents.transcript_data import transcript_data


class Reader(HTMLParser):
    """Collects what a browser would see: elements, attributes, and the text of some."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.texts: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            while self.inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts.setdefault(self.inside[-1], []).append(data)


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    record = make.make_record(tmp_path_factory.mktemp("run"), 60, hostile=True, failed=2)
    return render_page(capacity_document(record))


@pytest.fixture(scope="module")
def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def test_a_run_of_60_sessions_is_far_below_3_megabytes(html: str) -> None:
    assert len(html.encode()) < 1_000_000


def test_the_page_loads_nothing(read: Reader) -> None:
    for tag, attributes in read.elements:
        assert tag not in ("iframe", "object", "embed", "audio", "video", "base")
        for name in ("src", "srcset", "poster", "action", "formaction", "ping"):
            assert name not in attributes, (tag, attributes)
        link = attributes.get("href") or "#"
        assert link.startswith(("#", "data:image/svg+xml,")), (tag, attributes)


def test_there_is_no_inline_handler_or_style(read: Reader) -> None:
    for tag, attributes in read.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "style" not in attributes, tag


def test_the_policy_names_the_hash_of_each_script_and_style_sheet(read: Reader) -> None:
    meta = next(a for t, a in read.elements if a.get("http-equiv") == "Content-Security-Policy")
    policy = meta["content"] or ""
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    scripts = [text for text in read.texts["script"] if not text.startswith("{")]
    for text in (*scripts, *read.texts["style"]):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert len(scripts) == len(read.texts["style"]) == 1


def test_transcripts_come_back_from_the_page_unchanged(html: str, read: Reader) -> None:
    stored = next(text for text in read.texts["script"] if text.startswith("{"))
    data = json.loads(stored)
    replies = [turn["response"] for turn in data["sessions"][0]["turns"]]
    assert replies == [make.marked(text)[0] for text in make.HOSTILE[:5]]
    assert html.count("</script>") == 2


def test_spans_count_in_utf16_units_as_the_page_does(html: str, read: Reader) -> None:
    data = json.loads(next(text for text in read.texts["script"] if text.startswith("{")))
    found = 0
    for session in data["sessions"]:
        for turn in session["turns"]:
            units = turn["response"].encode("utf-16-le", "surrogatepass")
            for start, end, key, reason in turn.get("spans", []):
                words = units[2 * start : 2 * end].decode("utf-16-le")
                assert words.strip()
                assert key in data["findings"]
                assert data["texts"][reason]
                found += words == "SAGE 🧭"
    assert found == 2


def test_ids_are_unique_and_labels_point_to_something(read: Reader) -> None:
    ids = [attributes["id"] for _, attributes in read.elements if attributes.get("id")]
    assert sorted(ids) == sorted(set(ids))
    for _, attributes in read.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert attributes.get(name, ids[0]) in ids
        link = attributes.get("href") or ""
        if link.startswith("#"):
            assert link[1:] in ids


def test_every_figure_has_words_and_a_table(read: Reader) -> None:
    figures = [attributes for tag, attributes in read.elements if tag == "figure"]
    drawn = [a for t, a in read.elements if t == "svg" and a.get("role") == "img"]
    assert len(figures) == len(drawn) == 4
    assert all(len(attributes["aria-label"] or "") > 30 for attributes in drawn)
    assert len([tag for tag, _ in read.elements if tag == "figcaption"]) == 4


def bare(**changes: Any) -> Document:
    body: dict[str, Any] = {
        "kind": "Test",
        "title": "T",
        "subtitle": "S",
        "answer": "A",
        "outcome": Tag("done", "good"),
        "sureness": "sure",
        "sections": (),
    }
    return Document(**{**body, **changes})


def test_hostile_names_are_escaped_wherever_they_stand() -> None:
    evil = "<img src=x onerror=alert(1)>\u202e\x1b"
    table = Table((evil, evil), ((evil, (evil, Tag(evil))),), evil)
    section = Section(evil, "anchor", (table, Notice(evil)), lead=evil)
    made = bare(
        kind=evil, title=evil, subtitle=evil, answer=evil, sureness=evil, meaning=evil,
        next_step=evil, mark=evil, outcome=Tag(evil), facts=((evil, evil),), sections=(section,),
    )  # fmt: skip
    html = render_page(made)
    assert "<img" not in html
    assert "\u202e" not in html
    assert "\x1b" not in html
    assert html.count("&lt;img") >= 15


def test_a_document_without_transcripts_has_no_data(tmp_path: Path) -> None:
    html = render_page(bare())
    assert 'id="data"' not in html
    assert "NaN" not in re.sub(r"<script>.*?</script>", "", html, flags=re.S)


def test_sessions_of_two_arms_with_equal_seed_and_prompts_are_a_pair() -> None:
    config = make.make_config()
    a, b = (make.make_sessions(config, 3, choice=choice) for choice in (0, 1))
    data = transcript_data({"A": a, "B": b})
    assert [s["pair"] for s in data["sessions"][:3]] == [s["pair"] for s in data["sessions"][3:]]
    assert len({s["pair"] for s in data["sessions"]}) == 3
    other = make.make_sessions(make.make_config(seed=8), 3)
    apart = transcript_data({"A": a, "B": other})["sessions"]
    assert not {s["pair"] for s in apart[:3]} & {s["pair"] for s in apart[3:]}


def test_spans_outside_a_reply_are_cut_to_it_or_left_out() -> None:
    from dataclasses import replace

    from holdtrue.scoring.measures import Span

    session = make.make_sessions(make.make_config(), 1)[0]
    first = session.scores.responses[0]
    length = len(session.transcript.turns[0].response)
    spans = (Span("lecture", -5, 4, "r"), Span("lecture", length - 2, length + 9, "r"),
             Span("lecture", 9, 9, "r"), Span("lecture", length + 1, length + 5, "r"))  # fmt: skip
    scores = replace(
        session.scores, responses=(replace(first, spans=spans), *session.scores.responses[1:])
    )
    turn = transcript_data({"A": [replace(session, scores=scores)]})["sessions"][0]["turns"][0]
    assert [span[:2] for span in turn["spans"]] == [[0, 4], [length - 2, length]]


def test_transcripts_block_needs_no_sessions() -> None:
    table = Table(("a",), (), "none")
    block = Transcripts(transcript_data({"A": []}), (table,))
    assert 'id="data"' in render_page(bare(sections=(Section("T", "t", (block,)),)))
