"""`subbit inspect plot`."""

from __future__ import annotations

import click

from subbit_cli.options import base, force, measured_against, quiet
from subbit_cli.progress import progress_bar
from subbit_cli.tables import shown

__all__ = ["plot"]


@click.command("plot")
@click.argument("file", type=click.Path())
@click.option(
    "--figure", type=click.Choice(["treemap", "tensors", "signs", "rate"]), default="treemap", show_default=True,
    help="Where the bits go; bits and error by layer; bits for signs against all bits; error against bits.",
)  # fmt: skip
@click.option("-o", "--output", type=click.Path(), required=True, help="The picture to write: .png, .svg or .pdf.")
@measured_against
@base
@force
@quiet
def plot(file: str, figure: str, output: str, against: str | None, base: str | None, force: bool, quiet: bool) -> None:
    """Draw a figure of the report as a picture.

    FILE is a .sbit file or the index of a sharded one; `subbit report` writes all figures as one page, with tables.
    Signs are measured on a sample of the decoded weights. Needs matplotlib: pip install "subbit[plot]".
    """
    from subbit.analysis.pyplot import check_plot
    from subbit.analysis.report.facts import read_facts
    from subbit.analysis.report.plots import plot_figure

    check_plot(output)
    with progress_bar(quiet) as progress:
        facts = read_facts(file, base=base, against=against, measure=figure == "signs", progress=progress)
    plot_figure(facts, figure, output, force=force)
    click.echo(f"wrote {shown(output)}")
