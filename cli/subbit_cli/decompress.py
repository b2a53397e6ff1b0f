"""`subbit decompress`."""

from __future__ import annotations

import click

from subbit_cli.options import base, dtype, force, quiet, size
from subbit_cli.progress import progress_bar
from subbit_cli.small import DECODED, small_without_numba
from subbit_cli.tables import shown

__all__ = ["command"]


@click.command("decompress")
@click.argument("file", type=click.Path())
@click.option("-o", "--output", type=click.Path(), help="The file to write.  [default: FILE's name with .safetensors]")
@click.option(
    "--dtype", type=dtype, metavar="DTYPE",
    help="Type of the floating tensors: bfloat16, float16, float32, float64, or bf16, fp16, f32.  "
    "[default: the type each tensor had]",
)  # fmt: skip
@click.option(
    "--max-bytes", type=size, metavar="SIZE",
    help="Refuse a FILE that states more bytes of weights, as 4GB: for files from strangers.",
)  # fmt: skip
@base
@force
@quiet
def command(
    file: str, output: str | None, dtype: str | None, max_bytes: int | None, base: str | None, force: bool, quiet: bool
) -> None:
    """Turn a .sbit file back into safetensors.

    FILE is a .sbit file or the index of a sharded one. Tied tensors are written under each of their names; the files
    that travel with the weights (config.json, tokenizer.json) are not written.
    """
    import subbit

    with small_without_numba(file, DECODED), progress_bar(quiet) as progress:
        path = subbit.decompress(
            file, output, dtype=dtype, base=base, max_bytes=max_bytes, force=force, progress=progress
        )
    click.echo(f"wrote {shown(str(path))}, {path.stat().st_size:,} bytes")
