"""Options and types of their values that several commands share."""

from __future__ import annotations

import json
import re
from typing import Any

import click

__all__ = [
    "base", "dtype", "echo_json", "force", "help_without_command", "json_output", "measured_against", "quiet",
    "size", "tokens", "window",
]  # fmt: skip

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_DTYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}

json_output = click.option("--json", "as_json", is_flag=True, help="Print one versioned JSON object instead of text.")
force = click.option("--force", is_flag=True, help="Replace an output that exists.")
base = click.option(
    "--base", type=click.Path(), metavar="CHECKPOINT",
    help="The parent checkpoint, for a file that was compressed against one: the same as then, by content.",
)  # fmt: skip
measured_against = click.option(
    "--against", type=click.Path(), metavar="CHECKPOINT",
    help="The original: decode everything and count errors, instead of taking those that the file states.",
)  # fmt: skip
tokens = click.option(
    "--tokens", type=click.IntRange(min=2), default=24576, show_default=True, help="How much of the text."
)
window = click.option(
    "--window", type=click.IntRange(min=2), default=512, show_default=True, help="Tokens that the model sees at a time."
)
quiet = click.option("--quiet", "-q", is_flag=True, help="Show no progress.")


def size(text: str) -> int:
    """Bytes from 4GB, 500MB, 2GiB or a plain number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *([kmgt]?i?)b?", text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise click.BadParameter(f"{text!r} is no size; write 4GB, 500MB or 2GiB")
    return int(float(match[1]) * _UNITS[match[2]])


def dtype(text: str) -> str:
    """A floating type from its long or its short name."""
    name = _DTYPES.get(text.lower().replace("fp", "f"), text.lower())
    if name not in _DTYPES.values():
        raise click.BadParameter(f"{text!r} is none of {', '.join(_DTYPES.values())}")
    return name


def help_without_command(ctx: click.Context) -> None:
    """Print a group's help where no command of it was named."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def echo_json(value: Any) -> None:
    """Print one JSON object, in ASCII: names come from files and may be hostile to terminals."""
    click.echo(json.dumps(value, indent=1, allow_nan=False))
