"""`subbit calibrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from subbit_cli.options import echo_json, force, json_output, quiet, tokens, window
from subbit_cli.progress import progress_bar
from subbit_cli.tables import shown

if TYPE_CHECKING:
    from subbit.model.statistics import Statistics

__all__ = ["command"]


@click.command("calibrate")
@click.argument("model", type=click.Path())
@click.option(
    "--text", required=True, type=click.Path(), metavar="FILE",
    help="UTF-8 text like what the model will see; 'self' lets the model write it.",
)  # fmt: skip
@click.option("-o", "--output", required=True, type=click.Path(), help="The safetensors file to write.")
@tokens
@window
@click.option(
    "--fisher/--no-fisher", default=True, show_default=True,
    help="Also measure what each output matters to the loss: a backward pass, about twice the time.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of the labels and of the text that are sampled.")
@json_output
@force
@quiet
def command(model: str, output: str, as_json: bool, force: bool, quiet: bool, **choices: Any) -> None:
    """Measure what a model's weights read and write.

    MODEL is a Hugging Face folder, a GGUF file or a .sbit file, with configuration and tokenizer. The output is for
    compress --stats: second moments of the inputs of every linear layer, convolution and expert, and the mean squared
    gradients of their outputs. Models made of blocks are loaded one block at a time.

    \b
      subbit calibrate model_dir --text corpus.txt -o stats.safetensors
    """
    from pathlib import Path

    from subbit.errors import UsageError
    from subbit.torch import calibrate_checkpoint

    if Path(output).exists() and not force:  # before the work, not after it
        raise UsageError("exists already", kind="exists", path=output, hint="pass --force to replace it")
    with progress_bar(quiet) as progress:
        found = calibrate_checkpoint(model, progress=progress, **choices)
    found.save(output, force)
    _print(found, output, as_json)


def _print(found: Statistics, output: str, as_json: bool) -> None:
    if as_json:
        tensors = {name: list(layer.shape) for name, layer in found.layers.items()}
        echo_json({"version": 1, "path": output, "provenance": found.provenance, "tensors": tensors})
        return
    tokens, text = found.provenance["tokens"], shown(found.provenance["text"])
    click.echo(f"{len(found):,} weights on {int(tokens):,} tokens of {text}; wrote {shown(output)}")
