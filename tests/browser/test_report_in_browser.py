"""The page in a real browser: what a person does with it, and what it must never do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import record_factory as make
from holdtrue.capacity import RunRecord
from holdtrue.comparison import compare_arms
from holdtrue.documents.capacity_report import capacity_document
from holdtrue.documents.comparison_report import comparison_document
from holdtrue.documents.page import render_page
from holdtrue.scoring.measures import Naming

CHIP = '.chip[data-key="self_reference:mechanical"]'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def record(folder: Path) -> RunRecord:
    return make.make_record(folder, 20, hostile=True, failed=1)


@pytest.fixture(scope="module")
def report(folder: Path, record: RunRecord) -> Path:
    path = folder / "report.html"
    path.write_text(render_page(capacity_document(record)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def comparison(folder: Path) -> Path:
    """Two arms with the same seeds and prompts: anchored, and not."""
    config = make.make_config()
    bare = config.model_copy(update={"model": "qwen2.5-0.5b"})
    a = make.make_sessions(bare, 12, rates={"mechanical": 0.6, "generic": 0.2}, choice=1)
    b = make.make_sessions(config, 12, rates={"mechanical": 0})
    found = compare_arms(a, b, names=("0.5B", "30B"))
    path = folder / "comparison.html"
    path.write_text(render_page(comparison_document(found, a, b)), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def complaints(page: Any) -> Iterator[None]:
    """Every test ends without a word on the console and without a request but for the file."""
    yield
    assert page.console() == []
    beyond = [url for url in page.requests() if not url.startswith(("file:", "data:", "about:"))]
    assert beyond == []


def test_the_page_opens_with_the_answer(page: Any, report: Path, record: RunRecord) -> None:
    page.open(report)
    assert record.config.model in page.text("h1")
    assert page.text("h1") in page.driver.title
    assert len(page.all(".tile")) == 5
    assert len(page.all("figure svg.figure")) == 4
    page.shoot("report-light", height=2600)
    page.emulate(width=1280, height=800)
    page.shoot("report-top", height=800)


def test_hostile_text_is_shown_as_text(page: Any, report: Path) -> None:
    page.open(report)
    page.js("for (const d of document.querySelectorAll('.session')) d.open = true")
    page.until("return document.querySelectorAll('.say.reply').length > 20")
    shown = page.js("return [...document.querySelectorAll('.say.reply')].map(e => e.textContent)")
    plain = make.marked(make.HOSTILE[0])[0]
    assert plain in shown
    assert page.all(".say img, .say script, .say b, .say i, .say a") == []
    assert page.driver.title != "owned"
    assert "owned" not in page.driver.title.split("·")[0]
    escaped = next(text for text in shown if "red" in text and "U+001B" in text)
    for code in ("U+001B", "U+202E", "U+2066", "U+200B", "U+E0041", "U+0000", "U+0085", "U+2028"):
        assert code in escaped
    assert not set("\x1b\u202e\u2066\u200b\x00\u2028") & set("".join(shown))


def test_a_span_marks_the_words_that_the_finding_rests_on(page: Any, report: Path) -> None:
    page.open(report)
    page.js("for (const d of document.querySelectorAll('.session')) d.open = true")
    page.until("return document.querySelector('mark[data-reason*=\"beyond the basic plane\"]')")
    marked = page.text('mark[data-reason*="beyond the basic plane"]')
    assert marked == "SAGE 🧭"


MARK = "mark[data-reason]"
TOLD = "return !document.getElementById('tip').hidden"
SILENT = "return document.getElementById('tip').hidden"


@pytest.fixture
def marked(page: Any, report: Path) -> Any:
    """The report with its marked replies shown, and no reason told yet."""
    page.open(report)
    page.click(CHIP)
    assert not page.one("#tip").is_displayed()
    return page


def test_reasons_are_told_on_hover_and_on_focus(marked: Any) -> None:
    mark = marked.one(MARK)
    marked.hover(MARK, TOLD)
    assert marked.text("#tip") == mark.get_attribute("data-reason")
    marked.leave()
    marked.until(SILENT)
    marked.js("arguments[0].focus({preventScroll: true})", mark)
    marked.until(TOLD)
    assert mark.get_attribute("aria-describedby") == "tip"
    marked.press_escape()
    marked.until(SILENT)


def test_a_reason_comes_back_after_the_page_moved_under_the_pointer(marked: Any) -> None:
    marked.hover(MARK, TOLD)
    marked.js("scrollBy(0, 2)")
    marked.until(SILENT)
    marked.nudge(2)
    marked.until(TOLD)


def test_a_reason_closed_with_escape_stays_closed_while_the_pointer_stays(marked: Any) -> None:
    marked.hover(MARK, TOLD)
    marked.press_escape()
    marked.until(SILENT)
    marked.nudge(2)
    assert not marked.js(TOLD)
    marked.leave()
    marked.hover(MARK, TOLD)


def _mechanical(record: RunRecord) -> int:
    return sum(
        found.self_reference is Naming.MECHANICAL
        for one in record.sessions
        for found in one.scores.responses
    )


def test_the_finding_filter_shows_exactly_the_replies_with_it(
    page: Any, report: Path, record: RunRecord
) -> None:
    page.open(report)
    page.click(CHIP)
    count = _mechanical(record)
    assert count > 0
    assert page.one(CHIP).get_attribute("aria-pressed") == "true"
    assert page.text("#count").startswith(f"{count} repl")
    page.js("for (const d of document.querySelectorAll('.session')) d.open = true")
    page.until(f"return document.querySelectorAll('.say.reply').length === {count}")
    assert all("Mechanical name" in box.text for box in page.all(".reply-box"))
    page.shoot("report-filtered", top=int(page.js("return transcripts.offsetTop")), height=1400)
    page.click('button[type="reset"]')
    page.until("return document.getElementById('count').textContent.includes('of 20 sessions')")


def test_turn_session_and_text_filters_narrow_together(page: Any, report: Path) -> None:
    from selenium.webdriver.support.ui import Select

    page.open(report)
    page.type("#filter-session", "3-8")
    page.until("return document.querySelectorAll('.session').length === 6")
    Select(page.one("#filter-turn")).select_by_value("5")
    page.until("return document.getElementById('count').textContent.startsWith('6 replies')")
    page.type("#filter-text", "the LAMP")
    page.until(
        "return document.querySelectorAll('mark.hit').length > 0 || "
        "document.getElementById('count').textContent.startsWith('0 ')"
    )
    for hit in page.all("mark.hit"):
        assert hit.text.lower() == "the lamp"
    page.type("#filter-session", "nonsense")
    page.until("return document.getElementById('count').textContent.startsWith('A session is')")


def test_failed_sessions_can_be_found_and_say_why(page: Any, report: Path) -> None:
    page.open(report)
    page.click('.chip[data-key="failed"]')
    page.until("return document.querySelectorAll('.session').length === 1")
    page.js("document.querySelector('.session').open = true")
    page.until("return document.querySelector('.talk')")
    assert "closed the connection" in page.text(".talk")


def test_a_filtered_session_can_be_shown_whole(page: Any, report: Path) -> None:
    page.open(report)
    page.click(CHIP)
    before = len(page.all(".session:first-of-type .say.reply"))
    page.click(".rest")
    assert len(page.all(".session:first-of-type .say.reply")) == 5 > before


def test_side_by_side_shows_the_same_seed_and_prompts_under_two_arms(
    page: Any, comparison: Path
) -> None:
    page.open(comparison)
    page.click("#view-pair")
    page.until("return document.querySelectorAll('#pair h3').length === 2")
    assert "same seed" in page.text(".pairs p")
    assert "0.5B" in page.all("#pair h3")[0].text
    assert "30B" in page.all("#pair h3")[1].text
    assert len(page.all("#pair .say.prompt")) == 5
    assert len(page.all("#pair .say.reply")) == 10
    first = page.text("#pair h3")
    page.click(".pairs .button:last-of-type")
    page.until("return document.querySelector('#pair h3').textContent !== arguments[0]", first)
    assert "same seed" in page.text(".pairs p")
    assert page.js(
        "const [a, b] = document.querySelectorAll('#pair-left option:checked, "
        "#pair-right option:checked'); return a.textContent === b.textContent"
    )
    page.shoot("comparison-side-by-side", top=int(page.js("return transcripts.offsetTop")))


def test_one_arm_can_put_any_two_sessions_side_by_side(page: Any, report: Path) -> None:
    page.open(report)
    page.click("#view-pair")
    page.until("return document.querySelectorAll('#pair h3').length === 2")
    assert "not a pair" in page.text(".pairs p")


def test_everything_can_be_reached_and_used_by_keyboard(page: Any, report: Path) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.open(report)
    keys = ActionChains(page.driver)
    keys.send_keys(Keys.TAB).perform()
    assert page.js("return document.activeElement.className") == "skip"
    seen = set()
    for _ in range(200):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        seen.add(page.js("const e = document.activeElement; return e.id || e.className"))
        if page.js("return document.activeElement.matches('.session > summary')"):
            break
    assert {"theme", "view-list", "view-pair", "filter-text", "filter-turn", "chip"} <= seen
    ActionChains(page.driver).send_keys(Keys.ENTER).perform()
    page.until("return document.querySelector('.session[open] .say.reply')")
    for chip in page.all(".chip:not([disabled])")[:1]:
        page.js("arguments[0].focus()", chip)
        ActionChains(page.driver).send_keys(Keys.SPACE).perform()
        assert chip.get_attribute("aria-pressed") == "true"


def test_focus_is_always_to_be_seen(page: Any, report: Path) -> None:
    page.open(report)
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    for _ in range(12):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
    style = page.js("const s = getComputedStyle(document.activeElement); return s.outlineStyle")
    assert style != "none"


def test_dark_colours_follow_the_system_and_the_button(page: Any, report: Path) -> None:
    def background() -> str:
        return str(page.js("return getComputedStyle(document.body).backgroundColor"))

    page.open(report)
    light = background()
    page.emulate(dark=True)
    dark = background()
    assert dark != light
    page.shoot("report-dark", height=2600)
    page.click("#theme")
    assert page.text("#theme-name") == "Theme: light"
    assert background() == light
    page.click("#theme")
    assert page.text("#theme-name") == "Theme: dark"
    page.emulate(dark=False)
    assert background() == dark
    page.click("#theme")
    assert background() == light


def test_figures_change_with_the_theme(page: Any, report: Path) -> None:
    page.open(report)
    query = "return getComputedStyle(document.querySelector('.figure .f-ink')).fill"
    light = page.js(query)
    page.emulate(dark=True)
    assert page.js(query) != light


def test_a_phone_needs_no_sideways_scrolling(page: Any, report: Path) -> None:
    page.emulate(width=390, height=844)
    page.open(report)
    page.js("for (const d of document.querySelectorAll('.session')) d.open = true")
    page.until("return document.querySelectorAll('.say.reply').length > 20")
    assert page.js("return document.documentElement.scrollWidth") == 390
    page.shoot("report-phone", height=3600)


def test_paper_gets_the_light_page_without_controls(page: Any, report: Path) -> None:
    page.emulate(dark=True)
    page.open(report)
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not page.one(".top").is_displayed()
    assert not page.one("#filters").is_displayed()
    assert (
        page.js("return getComputedStyle(document.querySelector('h1')).color") == "rgb(28, 36, 48)"
    )
    page.shoot("report-print", height=3000)
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_no_accessibility_rule_is_broken(
    page: Any, report: Path, comparison: Path, axe: str
) -> None:
    for path, dark in ((report, False), (report, True), (comparison, False)):
        page.emulate(dark=dark)
        page.open(path)
        page.js(
            "for (const d of document.querySelectorAll('.session')) d.open = true;"
            "for (const d of document.querySelectorAll('.numbers')) d.open = true;"
        )
        page.until("return document.querySelectorAll('.say.reply').length > 20")
        assert page.violations(axe) == []
    page.click("#view-pair")
    assert page.violations(axe) == []


def test_a_link_opens_its_session(page: Any, report: Path) -> None:
    page.open(f"{report.as_uri()}#session-7")
    page.until("return document.querySelector('.session[open] .session-name')")
    assert page.text(".session[open] .session-name") == "Session 007"


def test_the_policy_stops_scripts_handlers_and_requests(page: Any, report: Path) -> None:
    page.open(report)
    page.js(
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        "document.body.append(s);"
        "const d = document.createElement('div'); d.setAttribute('onclick', 'window.ran = 2');"
        "document.body.append(d); d.click();"
        "const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i);"
    )
    assert page.js("return window.ran") is None
    refused = page.console()
    assert len([line for line in refused if "Content Security Policy" in line]) >= 3
    page.requests()


def test_a_thousand_sessions_open_and_are_drawn_when_asked_for(page: Any, folder: Path) -> None:
    from dataclasses import replace

    small = make.make_record(folder, 8)
    config = small.config.model_copy(update={"budget": 1000})
    record = replace(small, config=config, sessions=make.make_sessions(config, 1000))
    path = folder / "thousand.html"
    path.write_text(render_page(capacity_document(record)), encoding="utf-8")
    page.open(path)
    assert page.text("#count") == "5000 replies in 1000 of 1000 sessions"
    assert len(page.all(".session")) == 25
    assert page.all(".say") == []
    page.click("#more")
    assert len(page.all(".session")) == 50
    assert page.js("return document.activeElement.textContent").startswith("Session 026")
    page.type("#filter-session", "987")
    page.until("return document.querySelectorAll('.session').length === 1")
    page.click(".session > summary")
    page.until("return document.querySelectorAll('.say.reply').length === 5")
