"""The command `subbit`: knows its commands by name and imports one when it is asked for."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from subbit.version import __version__
from subbit_cli.errors import run
from subbit_cli.options import help_without_command

__all__ = ["main", "subbit"]

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_COMMANDS = (
    "compress",
    "decompress",
    "calibrate",
    "heal",
    "folder",
    "eval",
    "inspect",
    "report",
    "verify",
    "sign",
    "bench",
    "completion",
)


class _Commands(click.Group):
    """One module a command; starting stays fast because no module imports the library before it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of a day's work."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, from its module."""
        if name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"subbit_cli.{name}").command
        return command


@click.group(cls=_Commands, invoke_without_command=True, context_settings=_SETTINGS)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def subbit(ctx: click.Context) -> None:
    """Store neural-network weights in less than one bit each, and read them back fast.

    Results go to stdout, everything else to stderr. Exit code 0: done, 1: damaged or failed, 2: usage.
    """
    help_without_command(ctx)


def main() -> None:
    """Run the command line of this process and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names that the terminal's encoding lacks are no reason to fail
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(subbit))
