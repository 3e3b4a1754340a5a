"""``holdtrue init``: a workspace to edit, usable at once."""

from __future__ import annotations

from pathlib import Path

import click

from holdtrue.cli.options import FOLDER

FILES = {
    "holdtrue.toml": "holdtrue.toml",
    "persona.toml": "personas/mine.toml",
    "protocol.toml": "protocols/mine.toml",
}
IGNORED = "runs/*/engine.log\nproduction/.lock\nproduction/lock.json\n.*.lock\n"


@click.command("init")
@click.argument("folder", type=FOLDER, default=Path("."))
def command(folder: Path) -> None:
    """Make FOLDER a workspace with a persona and a protocol to edit.

    Nothing that is already there is changed.
    """
    from importlib import resources

    from holdtrue.errors import WorkspaceError
    from holdtrue.files import write_atomic

    targets = {source: folder / target for source, target in FILES.items()}
    there = [str(path) for path in targets.values() if path.exists()]
    if there:
        raise WorkspaceError(
            f"already there: {', '.join(there)}",
            remedy="Name an empty folder, or edit these files.",
        )
    templates = resources.files("holdtrue") / "data" / "workspace"
    for source, path in targets.items():
        write_atomic(path, (templates / source).read_text(encoding="utf-8"))
        click.echo(f"wrote {path}")
    if not (folder / ".gitignore").exists():
        write_atomic(folder / ".gitignore", IGNORED)
    inside = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    click.echo(f"Edit personas/mine.toml, then: {inside}holdtrue test")
