"""`subbit report`."""

from __future__ import annotations

import click

from subbit_cli.options import base, force, measured_against, quiet
from subbit_cli.progress import progress_bar
from subbit_cli.tables import shown

__all__ = ["command"]


@click.command("report")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--output", type=click.Path(), required=True, help="The HTML page to write.")
@measured_against
@base
@click.option(
    "--public-key", type=click.Path(), metavar="PEM", help="Check the signatures beside the files with this key."
)
@click.option("--index-only", is_flag=True, help="Decode nothing: faster, and signs are counted where stored apart.")
@force
@quiet
def command(
    files: tuple[str, ...], output: str, against: str | None, base: str | None, public_key: str | None,
    index_only: bool, force: bool, quiet: bool,
) -> None:  # fmt: skip
    """Show a .sbit file on a page, or compare two.

    FILE... is one .sbit file or two, or the index of a sharded one. The page is one HTML file that needs no network:
    where the bits go by layer and part, bits and error of every tensor, what signs cost, error against rate, hashes
    and provenance. The same file gives the same page.

    \b
      subbit report model.sbit -o report.html
      subbit report before.sbit after.sbit -o compared.html
    """
    from subbit.analysis.report import write_report

    with progress_bar(quiet) as progress:
        written = write_report(
            files, output, base=base, against=against, public_key=public_key, measure=not index_only, force=force,
            progress=progress,
        )  # fmt: skip
    click.echo(f"wrote {shown(str(written))}")
