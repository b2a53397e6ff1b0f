"""What went wrong, as one line on stderr and an exit code; SUBBIT_DEBUG=1 adds the traceback."""

from __future__ import annotations

import os
import sys
import traceback

import click

from subbit.errors import SubbitError, UsageError
from subbit_cli.tables import shown

__all__ = ["run"]

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130


def run(command: click.Command) -> int:
    """Run a command on this process's arguments and return the exit code."""
    try:
        code = command.main(prog_name="subbit", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("SUBBIT_DEBUG", "0") not in ("", "0"):
            traceback.print_exc()
        message, code = _explain(error)
        click.echo(f"subbit: error: {shown(message)}", err=True)
        if isinstance(error, OSError):
            _drop_stdout()
    return code if isinstance(code, int) else 0


def _explain(error: BaseException) -> tuple[str, int]:
    """The message, on one line, and the exit code."""
    if isinstance(error, SubbitError):
        return str(error), _USAGE if isinstance(error, UsageError) else _FAILED
    if isinstance(error, click.ClickException):
        message = " ".join(error.format_message().split())
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context else ""
        return message.rstrip(".") + hint, error.exit_code
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "interrupted", _INTERRUPTED
    if isinstance(error, MemoryError):
        return "out of memory", _FAILED
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return where + (error.strerror or str(error)), _FAILED
    return f"{type(error).__name__}: {error} (this is a bug; SUBBIT_DEBUG=1 shows where)", _FAILED


def _drop_stdout() -> None:
    """Forget what a full disk did not take, else the interpreter tries and complains again when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
