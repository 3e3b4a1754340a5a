"""A headless Chromium from the system's packages, driven by its own driver."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "screenshots"
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Page:
    """A browser with the page's own ways of looking at it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def emulate(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """The size of the window and the system's colour scheme; motion is always reduced."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, address: Path | str) -> None:
        """Go to a page of ours and wait until its script has done its work."""
        self.driver.get(address.as_uri() if isinstance(address, Path) else address)
        self.until("return performance.getEntriesByName('holdtrue-ready').length > 0")

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        found = self.all(selector)
        assert found, f"nothing matches {selector}"
        return found[0]

    def click(self, selector: str) -> None:
        """Click in the middle of the window, where the bar at the top covers nothing."""
        element = self.one(selector)
        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def hover(self, selector: str, script: str) -> Any:
        """Move onto an element until ``script`` returns something true, at most ten seconds.

        Moving again is what a reader does where the page is still laid out and slides away.
        """
        from selenium.webdriver import ActionChains
        from selenium.webdriver.support.ui import WebDriverWait

        def told(_driver: Any) -> Any:
            element = self.one(selector)
            self.js("arguments[0].scrollIntoView({block: 'center'})", element)
            ActionChains(self.driver).move_to_element(element).move_by_offset(1, 0).perform()
            return self.js(script)

        return WebDriverWait(self.driver, 10, 0.2).until(told)

    def nudge(self, pixels: int) -> None:
        """Move the pointer a little to the right of where it stands."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).move_by_offset(pixels, 0).perform()

    def leave(self) -> None:
        """Move the pointer to the top of the page, where nothing is told."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).move_to_element(self.one(".brand")).perform()

    def press_escape(self) -> None:
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.keys import Keys

        ActionChains(self.driver).send_keys(Keys.ESCAPE).perform()

    def text(self, selector: str) -> str:
        return str(self.js("return arguments[0].textContent", self.one(selector)))

    def type(self, selector: str, text: str) -> None:
        element = self.one(selector)
        element.clear()
        element.send_keys(text)

    def until(self, script: str, *arguments: Any) -> Any:
        """Wait until ``script`` returns something true, at most ten seconds."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 10, 0.05).until(
            lambda d: d.execute_script(script, *arguments)
        )

    def console(self) -> list[str]:
        """What the browser complained of since it was last asked."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses of everything that was asked for since it was last asked."""
        import json

        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(str(message["params"]["request"]["url"]))
        return found

    def violations(self, axe: str) -> list[str]:
        """The accessibility rules that the page breaks, each with where; ``axe`` is axe-core."""
        self.js(axe)
        return list(
            self.driver.execute_async_script(
                "const done = arguments[0];"
                "axe.run({resultTypes: ['violations']}).then((r) => done(r.violations.map((v) => "
                "`${v.id}: ${v.nodes.slice(0, 3).map((n) => n.target.join(' ')).join('; ')}`)))"
            )
        )

    def shoot(self, name: str, *, top: int = 0, height: int | None = None) -> Path:
        """Save a picture for people to look at, of the whole page or a part of it."""
        whole = int(self.js("return document.documentElement.scrollHeight"))
        width = int(self.js("return innerWidth"))
        clip = {
            "x": 0,
            "y": top,
            "width": width,
            "height": min(height or whole - top, 8000),
            "scale": 1,
        }
        settings = {"format": "png", "captureBeyondViewport": True, "clip": clip}
        picture = self.driver.execute_cdp_cmd("Page.captureScreenshot", settings)
        SHOTS.mkdir(exist_ok=True)
        path = SHOTS / f"{name}.png"
        path.write_bytes(base64.b64decode(picture["data"]))
        return path


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The driver of a fresh browser, or a skip where the system has none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install -e '.[dev]'")
    browser, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver_path:
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(driver_path, env={**os.environ, "LC_ALL": "C.UTF-8"})
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture
def page(chromium: Any) -> Page:
    """The browser at a desk's size in light colours, with nothing left to complain of."""
    fresh = Page(chromium)
    fresh.emulate()
    chromium.get("about:blank")
    fresh.console()
    fresh.requests()
    return fresh


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, or a skip that says how to get it."""
    path = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip("accessibility is checked with axe-core: npm install --no-save axe-core")
    return path.read_text(encoding="utf-8")
