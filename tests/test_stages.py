"""The way of the data reads from the tree: a stage imports only earlier ones."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "holdtrue"
README = SOURCE.parent.parent / "README.md"
STAGES = (
    "errors",
    "messages",
    "tomlfile",
    "persona",
    "template",
    "protocol",
    "engines",
    "transcript",
    "importers",
    "session",
    "files",
    "workspace",
    "runs",
    "runner",
    "production",
    "scoring",
    "stats",
    "criteria",
    "baseline",
    "verdict",
    "comparison",
    "gate",
    "runconfig",
    "capacity",
    "ladder",
    "executors",
    "sleep",
    "bridges",
    "documents",
    "verify",
    "cli",
)


def stage_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        found[name] = path
    return found


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            known = node.module == "holdtrue"
            found |= {f"holdtrue.{a.name}" for a in node.names} if known else {node.module}
    return {name for name in found if name.startswith("holdtrue.")}


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_only_its_own_and_earlier_stages(module: str) -> None:
    stage = stage_of(module)
    if not stage:
        return
    for name in imports(modules()[module]) - {"holdtrue.__version__"}:
        other = stage_of(name)
        assert STAGES.index(other) <= STAGES.index(stage), f"{module} imports {name}"


def test_statistics_import_nothing_but_numpy_and_scipy() -> None:
    for module, path in modules().items():
        if module.startswith("holdtrue.stats"):
            others = {name for name in imports(path) if not name.startswith("holdtrue.stats")}
            assert not others, f"{module} imports {others}"


def test_the_readme_lists_every_stage_in_the_order_of_the_data() -> None:
    listed = re.findall(r"^\| `([a-z_]+)(?:\.py|/)` \|", README.read_text(encoding="utf-8"), re.M)
    there = {stage_of(name) for name in modules()} - {""}
    assert listed == [stage for stage in STAGES if stage in there]


def test_every_module_says_what_it_is() -> None:
    for module, path in modules().items():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), module


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert {name: count for name, count in lengths.items() if count > 400} == {}
