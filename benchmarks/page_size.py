"""How large the report is, and how soon it can be used, for 5, 60 and 1,000 sessions.

    python benchmarks/page_size.py [--sessions 5 60 1000] [--repeats 3]

Bytes of the page, seconds to make it (figures included), and in headless Chromium from the
system's packages the milliseconds from the start of loading until the page's script is done, and
of one filter (every mechanical self-reference). Medians over the repeats. The exit code is 1 when
60 sessions take 3 MB or more, or a second or more. Transcripts are made up, five replies of about
50 words a session.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import record_factory as make
from holdtrue.documents.capacity_report import capacity_document
from holdtrue.documents.page import render_page

MOST_BYTES = 3_000_000
MOST_MILLISECONDS = 1_000.0
CHIP = '.chip[data-key="self_reference:mechanical"]'


@dataclass(frozen=True, slots=True)
class Figures:
    """One row: bytes, seconds to make, milliseconds to ready and to filter (None: no browser)."""

    sessions: int
    size: int
    made: float
    ready: float | None
    filtered: float | None

    @property
    def holds(self) -> bool:
        if self.sessions > 60:
            return True
        return self.size < MOST_BYTES and (self.ready or 0.0) < MOST_MILLISECONDS


def measure(sessions: int, repeats: int, folder: Path) -> Figures:
    """Make the page of a run of ``sessions`` and open it ``repeats`` times."""
    small = make.make_record(folder, 60)
    config = small.config.model_copy(update={"budget": max(60, sessions)})
    record = replace(small, config=config, sessions=make.make_sessions(config, sessions))
    render_page(capacity_document(small))  # imports and caches are not what is measured
    started = time.perf_counter()
    html = render_page(capacity_document(record))
    made = time.perf_counter() - started
    path = folder / f"{sessions}.html"
    path.write_text(html, encoding="utf-8")
    opened = [one for _ in range(repeats) if (one := in_browser(path, folder))]
    ready, filtered = (
        (statistics.median(one[0] for one in opened), statistics.median(one[1] for one in opened))
        if opened
        else (None, None)
    )
    return Figures(sessions, len(html.encode()), made, ready, filtered)


def in_browser(path: Path, folder: Path) -> tuple[float, float] | None:
    """Milliseconds until ready and of one filter, in a fresh browser; None without one."""
    browser, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver_path:
        return None
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    profile = tempfile.mkdtemp(dir=folder)
    for switch in ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"):
        options.add_argument(switch)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        driver.get(path.as_uri())
        ready = driver.execute_script(
            "return performance.getEntriesByName('holdtrue-ready')[0].startTime"
        )
        filtered = driver.execute_script(
            "const from = performance.now(); document.querySelector(arguments[0]).click();"
            "document.body.offsetHeight; return performance.now() - from",
            CHIP,
        )
        return float(ready), float(filtered)
    finally:
        driver.quit()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[5, 60, 1000])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"{'sessions':>8} {'kB':>8} {'made, s':>8} {'ready, ms':>10} {'filter, ms':>10}")
    held = True
    with tempfile.TemporaryDirectory() as folder:
        for sessions in options.sessions:
            row = measure(sessions, options.repeats, Path(folder))
            held = held and row.holds
            ready, filtered = (
                "–" if value is None else f"{value:.0f}" for value in (row.ready, row.filtered)
            )
            print(
                f"{row.sessions:>8} {row.size / 1000:>8.0f} {row.made:>8.2f} {ready:>10} "
                f"{filtered:>10}"
            )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
