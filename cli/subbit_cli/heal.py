"""`subbit heal`."""

from __future__ import annotations

from typing import Any

import click

from subbit_cli.options import echo_json, force, json_output, quiet
from subbit_cli.progress import progress_bar
from subbit_cli.tables import shown

__all__ = ["command"]


@click.command("heal")
@click.argument("file", type=click.Path())
@click.option(
    "--teacher", type=click.Path(), required=True, metavar="CHECKPOINT",
    help="The original: a Hugging Face folder or a GGUF file with configuration and tokenizer.",
)  # fmt: skip
@click.option("--text", type=click.Path(), required=True, metavar="FILE", help="UTF-8 text to learn from.")
@click.option("-o", "--output", type=click.Path(), help="The file to write.  [default: FILE's name with .healed.sbit]")
@click.option("--minutes", type=float, default=20.0, show_default=True, help="How long to tune.")
@click.option("--steps", type=int, help="Tune so many steps instead: the same seed and threads repeat the same run.")
@click.option(
    "--rank", type=int, default=0, show_default=True,
    help="Also give every coded matrix a low-rank correction of this rank; it counts as coded.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order of the text.")
@click.option("--threads", type=int, help="Threads, each with a window of text of its own.  [default: all cores]")
@json_output
@force
@quiet
def command(file: str, text: str, as_json: bool, quiet: bool, **choices: Any) -> None:
    """Tune a compressed model towards its original.

    FILE is a .sbit file. Its codes stay; gains of rows and columns, norms and biases move until it predicts the text
    more like the original, measured on parts of the text that it does not learn from. A run that was stopped goes on
    where it was when the same command is given again.

    \b
      subbit heal model.sbit --teacher MODEL_DIR --text corpus.txt --minutes 20
    """
    from subbit.torch import heal

    with progress_bar(quiet) as progress:

        def report(used: float, figures: str) -> None:
            if progress is not None:
                progress("heal", int(1000 * used), 1000, figures)

        result = heal(file, choices.pop("teacher"), text, progress=report, **choices)
    if result.stopped == "nonfinite":
        click.secho("warning: a loss was not finite; the best state before it was written", err=True, fg="red")
    if as_json:
        echo_json(result.to_dict())
    else:
        click.echo(f"{result}\n\nwrote {shown(str(result.path))} after {result.steps} steps")
