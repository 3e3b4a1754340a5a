"""The commands in the README and the guide are run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?P<note><!--[^\n]*-->\n)?```sh\n(?P<body>.*?)```", re.S)


def commands(page: Path) -> list[str]:
    """The lines of a page's blocks, but for those marked as not run, with the reason."""
    found: list[str] = []
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        note = match["note"] or ""
        if note.startswith("<!-- not run:"):
            continue
        joined = match["body"].replace("\\\n", " ")
        found += [line for line in joined.splitlines() if line and not line.startswith("#")]
    return found


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda page: page.stem)
@pytest.mark.model
def test_the_commands_of_a_page_run(page: Path, tmp_path: Path) -> None:
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
    }
    script = "set -e\n" + "\n".join(commands(page))
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_reason_not_to_run_a_block_is_given() -> None:
    for page in PAGES:
        for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
            note = match["note"] or ""
            if "not run" in note:
                assert re.match(r"<!-- not run: \S.{5,} -->\n", note), page
