"""``holdtrue view``: the runs of a workspace in a browser, on this machine only."""

from __future__ import annotations

from pathlib import Path

import click

from holdtrue.cli.options import FOLDER


@click.command("view")
@click.argument("run", type=FOLDER, required=False)
@click.option("--workspace", type=FOLDER, help="Workspace. [default: nearest above]")
@click.option("--out", type=FOLDER, help="Output folder to list. [default: the workspace]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Port on 127.0.0.1. [default: any that is free]",
)
@click.option("--browser/--no-browser", default=True, help="Open a browser window.")
def command(
    run: Path | None, workspace: Path | None, out: Path | None, port: int, browser: bool
) -> int:
    """Show the runs of a workspace, or RUN, in a browser; compare any two.

    Serves 127.0.0.1 only and stops with Ctrl-C.
    """
    from holdtrue.documents.server import HOST, Site, make_server
    from holdtrue.runs import open_run
    from holdtrue.workspace import find_workspace

    opened = open_run(run) if run else None
    folder = opened.out if opened else (out or find_workspace(workspace).root).expanduser()
    with make_server(Site(folder), port) as server:
        address = f"http://{HOST}:{server.server_address[1]}/{f'run/{opened.id}' if opened else ''}"
        try:
            click.echo(f"Serving {address} (Ctrl-C stops it)")
            if browser:
                import webbrowser

                webbrowser.open(address)
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            click.echo("Stopped.")
    return 0
