"""Entry point: finds the verb, prints expected errors in one message, sets the exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from types import FrameType

import click

from holdtrue import __version__
from holdtrue.errors import HoldtrueError

VERBS = (
    "test",
    "run",
    "score",
    "compare",
    "verdict",
    "report",
    "ladder",
    "sleep",
    "check",
    "models",
    "baseline",
    "calibrate",
    "plan",
    "init",
    "view",
    "verify",
    "export",
)


class Verbs(click.Group):
    """Verbs in the order of VERBS; the module of a verb is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb for verb in VERBS if self._exists(verb)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS or not self._exists(cmd_name):
            return None
        module = importlib.import_module(f"holdtrue.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    @staticmethod
    def _exists(verb: str) -> bool:
        folder = os.path.dirname(__file__)
        return os.path.exists(os.path.join(folder, f"{verb}.py"))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="holdtrue")
def cli() -> None:
    """Find the smallest language model that can hold a given identity.

    `holdtrue test` runs the whole capacity test on the embedded model; every other verb does one
    part of it, or more with its results.
    """


def main() -> None:
    """Run the command line; exit codes: 0 done, 1 and 3 from gates, 2 usage, 4 engine.

    130 after Ctrl-C and 143 after SIGTERM, which ends a verb in the same orderly way.
    """
    terminated = _interrupt_on_sigterm()
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped. Everything finished so far is kept.", err=True)
        sys.exit(143 if terminated else 130)
    except HoldtrueError as error:
        from holdtrue.cli.output import printable

        click.echo(f"error: {printable(str(error))}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (the reader has gone away)
        sys.exit(0)
    if code == 130 and terminated:
        code = 143
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt_on_sigterm() -> list[int]:
    """Let SIGTERM interrupt as Ctrl-C does; the list holds the signal once it came."""
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):  # asyncio's own while it runs
            handler(number, frame)
        else:  # Ctrl-C is ignored, as in a background job; SIGTERM is not
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    return received
