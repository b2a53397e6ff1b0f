"""`subbit bench`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import click

from subbit_cli.options import base, echo_json, json_output, quiet
from subbit_cli.progress import progress_bar
from subbit_cli.tables import aligned, dimensions, number, shown

__all__ = ["command"]

_SPEEDS, _BATCHES = ("f32", "f16", "bf16", "load"), (1, 8, 32)


@click.command("bench")
@click.argument("file", type=click.Path())
@click.option(
    "--most", type=click.IntRange(min=1), default=8, show_default=True, help="Codecs and shapes that are timed."
)
@click.option(
    "--dtype",
    type=click.Choice(["bfloat16", "float32"]),
    default="bfloat16",
    show_default=True,
    help="Of torch's layer.",
)
@click.option("--turns", type=click.IntRange(min=1), default=9, show_default=True, help="Medians are over so many.")
@base
@json_output
@quiet
def command(file: str, most: int, dtype: str, turns: int, base: str | None, as_json: bool, quiet: bool) -> None:
    """Time a .sbit file on this machine.

    FILE is a .sbit file or the index of a sharded one. One tensor of each codec and shape is timed, those with most
    weights first, checksums and all. Figures are ratios, more is faster; 1 is

    \b
      f32, f16, bf16   numpy.copyto of the bytes that decoding writes
      load             loading a safetensors file of the tensor as float16, and copying it
      x1, x8, x32      torch's dense layer on so many rows of input (where torch is installed)

    SUBBIT_THREADS sets the threads of both. Let nothing else run.
    """
    import subbit
    from subbit.codecs.blocks import thread_count
    from subbit.model.timing import kinds, time_decoding, time_loading

    rows: list[dict[str, Any]] = []
    with subbit.open(file, base=base) as archive, progress_bar(quiet) as progress:
        chosen = kinds(archive, most)
        for done, (tensor, count) in enumerate(chosen):
            if progress is not None:
                progress("bench", done, len(chosen), tensor.entry.name)
            row: dict[str, Any] = {
                "codec": tensor.codec, "shape": list(tensor.shape), "tensors": count,
                "bits_per_weight": tensor.bits_per_weight, "decode": time_decoding(tensor, turns),
                "load": time_loading(tensor, turns), "multiply": {},
            }  # fmt: skip
            if find_spec("torch") is not None:
                from subbit.torch.timing import time_products

                row["multiply"] = time_products(tensor, _BATCHES, turns, dtype)
            rows.append(row)
    if as_json:
        threads = {"threads": thread_count(), "turns": turns, "dtype": dtype}
        echo_json({"version": 1, "path": file, **threads, "kinds": rows})
        return
    header = (*_SPEEDS, *(f"x{batch}" for batch in _BATCHES), "bits/weight", "tensors", "codec", "shape")
    click.echo(aligned(header, map(_row, rows), right=9))
    compared = f"as fast as so many copies (f32 …), loads, dense {dtype} layers (x1 …)"
    click.echo(f"\n{shown(file)}, {thread_count()} threads; {compared}")


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    speeds = [*row["decode"].values(), row["load"], *(row["multiply"].get(str(batch)) for batch in _BATCHES)]
    counts = number(row["bits_per_weight"]), f"{row['tensors']:,}"
    return *(number(speed, 2) for speed in speeds), *counts, row["codec"], dimensions(row["shape"])
