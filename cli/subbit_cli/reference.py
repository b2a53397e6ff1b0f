"""`python -m subbit_cli.reference` writes cli/REFERENCE.md from the help of every command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from subbit_cli.main import subbit

__all__ = ["PATH", "reference", "walk"]

PATH = Path(__file__).parents[1] / "REFERENCE.md"
_WIDTH = 100
_TOP = """# Command reference

Written by `python -m subbit_cli.reference` from `--help`: edit the commands, not this file.
"""


def walk(command: click.Command, parent: click.Context | None = None) -> Iterator[click.Context]:
    """A context for a command and for each command below it."""
    name = "subbit" if parent is None else command.name
    context = click.Context(command, parent, name, terminal_width=_WIDTH, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from walk(found, context)


def reference() -> str:
    """The whole text."""
    parts = (f"\n## {ctx.command_path}\n\n```\n{ctx.get_help()}\n```\n" for ctx in walk(subbit))
    return _TOP + "".join(parts)


if __name__ == "__main__":
    PATH.write_text(reference(), encoding="utf-8")
