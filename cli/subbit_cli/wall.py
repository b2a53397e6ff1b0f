"""`subbit inspect wall`."""

from __future__ import annotations

from typing import Any

import click

from subbit_cli.options import echo_json, json_output, quiet
from subbit_cli.progress import progress_bar
from subbit_cli.tables import aligned, number, shown

__all__ = ["wall"]

_QUARTER = 0.25


@click.command("wall")
@click.argument("checkpoint", type=click.Path())
@click.option("--init", type=click.Path(), metavar="CHECKPOINT", help="The weights before training: count the flips.")
@json_output
@click.option("--plot", type=click.Path(), help="Also draw the report, as .png or .svg.")
@quiet
def wall(checkpoint: str, init: str | None, as_json: bool, plot: str | None, quiet: bool) -> None:
    """Say what a model's signs cost, and why.

    CHECKPOINT is a safetensors, GGUF or torch file, the index of a sharded one, or a folder with one of them. A line
    for every float matrix but embeddings and heads, and one for the model:

    \b
      entropy  bits a sign for a coder that learns as it goes; 1 is random
      KS p     their singular values against those of random signs; small: not random
      S, |W|   error that a quarter of the rank leaves of signs, of magnitudes, and of random signs
      flips    against the template that the checkpoint declares, or else the initialization
      bits     the least of entropy and the flips' own
    """
    from subbit.analysis.pyplot import check_plot
    from subbit.analysis.wall import SAMPLE, measure_wall

    if plot is not None:
        check_plot(plot)
    with progress_bar(quiet) as progress:
        result = measure_wall(checkpoint, init, progress)
    if plot is not None:
        from subbit.analysis.wall_plot import plot_wall

        plot_wall(result, plot)
    if as_json:
        echo_json(result)
        return
    header = ("entropy", "KS p", "S", "|W|", "random", "flips", "bits", "why", "tensor")
    click.echo(aligned(header, map(_row, result["tensors"]), right=7))
    if sampled := sum(tensor["sampled"] is not None for tensor in result["tensors"]):
        click.echo(f"\n{sampled:,} matrices are larger than {SAMPLE:,} weights: measured on a block of that size")
    click.echo("\n" + shown(result["model"]["verdict"]))


def _row(tensor: dict[str, Any]) -> tuple[str, ...]:
    quarter = next(point for point in tensor["ranks"] if point["share"] == _QUARTER)
    reference = tensor["template"] or tensor["drift"]
    return (
        number(tensor["entropy"]),
        f"{tensor['ks']['p']:.2g}",
        number(quarter["signs"], 2),
        number(quarter["magnitudes"], 2),
        number(quarter["random"], 2),
        number(reference and reference["flips"]),
        number(tensor["bits"]),
        tensor["verdict"],
        tensor["name"],
    )
