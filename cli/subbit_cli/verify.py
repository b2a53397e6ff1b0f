"""`subbit verify`."""

from __future__ import annotations

from typing import Any

import click

from subbit_cli.options import base, echo_json, json_output, quiet
from subbit_cli.progress import progress_bar
from subbit_cli.tables import aligned, number, shown, totals

__all__ = ["command"]


@click.command("verify")
@click.argument("file", type=click.Path())
@click.option(
    "--against", type=click.Path(), metavar="CHECKPOINT",
    help="Also decode every tensor, measure its error against this checkpoint, and compare it with what FILE states.",
)  # fmt: skip
@click.option(
    "--public-key", type=click.Path(), metavar="PEM",
    help="First check that this Ed25519 key has signed every byte: the signature is FILE.sig. Needs the package "
    "cryptography.",
)  # fmt: skip
@base
@json_output
@quiet
def command(
    file: str, against: str | None, public_key: str | None, base: str | None, as_json: bool, quiet: bool
) -> None:
    """Check every byte of a .sbit file.

    FILE is a .sbit file or the index of a sharded one. With --base the tensors of the parent checkpoint are compared
    with the content hashes in the file, too. Exit code 0: all bytes match their checksums, 1: damaged, with
    --against an error that is not the stated one, or with --public-key a signature that is missing or does not fit.
    """
    from subbit.analysis.bits_per_weight import count_bits
    from subbit.analysis.contents import count_parts
    from subbit.signing import check_signature
    from subbit_formats.sbit import open_reader

    with open_reader(file) as archive, progress_bar(quiet) as progress:

        def report(done: int, total: int) -> None:
            if progress is not None:
                progress("verify", done, total, "")

        result = count_parts(archive)
        if public_key is not None:
            check_signature(archive, public_key)
            result["signed"] = True
        if against is None and base is None:
            archive.verify(report)  # not subbit.verify: this way needs no NumPy
        else:
            import subbit

            verified = subbit.verify(file, against, report, base=base)
            if against is not None:
                counted = count_bits(archive)
                result |= {"coded": counted["coded"], "file": counted["file"]}
                result |= {"errors": verified.errors, "stated": verified.stated}
    if as_json:
        echo_json(result)
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    click.echo(
        f"{shown(result['path'])} is whole: every byte of {result['sections']:,} sections in "
        f"{result['tensors']:,} tensors and of {result['extras']:,} extras matches its checksum "
        f"({result['bytes']:,} bytes)"
    )
    if "signed" in result:
        click.echo("the owner of the key has signed every byte of it")
    if "errors" not in result:
        return
    lossy = sorted(((error, name) for name, error in result["errors"].items() if error), reverse=True)
    if lossy:
        rows = [(number(error, 5), name) for error, name in lossy]
        click.echo("\n" + aligned(("error", "tensor"), rows, right=1))
    lossless = len(result["errors"]) - len(lossy)
    click.echo(f"\n{len(lossy):,} tensors differ (relative squared error), {lossless:,} are equal to the original")
    click.echo("these are the errors that the file states" if result["stated"] else "the file states no errors")
    click.echo("\n" + totals(result))
