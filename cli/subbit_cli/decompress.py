"""`subbit decompress`."""

from __future__ import annotations

from typing import Any

import click

from subbit_cli.options import base, dtype, force, quiet, size
from subbit_cli.progress import progress_bar
from subbit_cli.small import DECODED, small_without_numba
from subbit_cli.tables import shown

__all__ = ["command"]


@click.command("decompress")
@click.argument("file", type=click.Path())
@click.option(
    "-o", "--output", type=click.Path(), help="The file or folder to write.  [default: FILE's name with .safetensors]"
)
@click.option(
    "--folder", is_flag=True,
    help="Write a Hugging Face folder, with the configuration and the tokenizer that travelled with the weights.",
)  # fmt: skip
@click.option(
    "--gguf", type=click.Choice(["F16", "Q8_0", "BF16", "F32"], case_sensitive=False), metavar="TYPE",
    help="Write a GGUF file, which llama.cpp runs: F16, Q8_0, BF16 or F32.",
)  # fmt: skip
@click.option(
    "--shard-size", type=size, metavar="SIZE", default="5GB", show_default=True,
    help="With --folder: split the weights into files of at most this size.",
)  # fmt: skip
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
    file: str, output: str | None, folder: bool, gguf: str | None, shard_size: int, dtype: str | None,
    max_bytes: int | None, base: str | None, force: bool, quiet: bool,
) -> None:  # fmt: skip
    """Turn a .sbit file back into dense weights.

    Into safetensors, a Hugging Face folder (--folder) or a GGUF file (--gguf), which any tool reads.

    FILE is a .sbit file, the index of a sharded one, or a folder with model.sbit. Tied tensors are written under each
    of their names. The files that travel with the weights (config.json, tokenizer.json) are written with --folder.

    \b
      subbit decompress model.sbit --gguf Q8_0
      subbit decompress model.sbit --dtype bf16 --folder -o model_dir
    """
    import subbit

    if gguf and (folder or dtype):
        raise click.UsageError(f"--gguf says the type, so {'--folder' if folder else '--dtype'} does not go with it")
    if output is not None and output.endswith(".gguf") and not gguf:
        raise click.UsageError("of which type? --gguf F16, or Q8_0 for half of that")
    with small_without_numba(file, DECODED), progress_bar(quiet) as progress:
        common: dict[str, Any] = {"base": base, "max_bytes": max_bytes, "force": force, "progress": progress}
        if folder:
            if output is None:
                raise click.UsageError("--folder needs a name: -o DIR")
            path = subbit.decompress_folder(file, output, dtype=dtype, shard_bytes=shard_size, **common)
            written = sum(part.stat().st_size for part in path.glob("*.safetensors"))
        else:
            if gguf:
                path = subbit.decompress_gguf(file, output, type=gguf, **common)
            else:
                path = subbit.decompress(file, output, dtype=dtype, **common)
            written = path.stat().st_size
    click.echo(f"wrote {shown(str(path))}, {written:,} bytes")
