"""`holdtrue view` in a real browser: from the list of runs to a page, and two of them compared."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import record_factory as make
from holdtrue.documents.server import Site, make_server


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    out: Path = tmp_path_factory.mktemp("out")
    make.store_run(out, "20261123-090000-thor-30b-aaaa", "30B")
    make.store_run(out, "20261123-100000-thor-4b-bbbb", "4B")
    with make_server(Site(out), 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_one_goes_from_the_list_to_a_run_and_back(page: Any, address: str) -> None:
    page.open(address)
    names = [link.text for link in page.all(".run h2 a")]
    assert names == ["4B on thor", "30B on thor"]
    page.shoot("view-index", height=700)
    page.click(".run:nth-of-type(2) h2 a")
    page.until("return document.querySelectorAll('.session').length === 4")
    page.click('a.button[href="/"]')
    page.until("return document.querySelectorAll('.run').length === 2")
    assert page.console() == []
    assert all(url.startswith((address, "data:", "about:")) for url in page.requests())


def test_two_runs_of_the_list_are_compared_with_the_same_seed_side_by_side(
    page: Any, address: str
) -> None:
    page.open(address)
    page.click('button[type="submit"]')
    page.until("return document.querySelectorAll('.session').length === 8")
    page.click("#view-pair")
    page.until("return document.querySelectorAll('#pair .say.reply').length === 10")
    assert "same seed" in page.text(".pairs p")
    assert [head.text for head in page.all("#pair h3")] == [
        "Session 001 · A: 30B",
        "Session 001 · B: 4B",
    ]
    assert page.console() == []


def test_the_list_breaks_no_accessibility_rule(page: Any, address: str, axe: str) -> None:
    for dark in (False, True):
        page.emulate(dark=dark)
        page.open(address)
        assert page.violations(axe) == []
