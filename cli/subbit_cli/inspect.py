"""`subbit inspect`: all but `wall` and `plot` read header and index of a file and nothing else: fast for any size."""

from __future__ import annotations

import json
from typing import Any

import click

from subbit_cli.options import echo_json, help_without_command, json_output
from subbit_cli.plot import plot
from subbit_cli.tables import aligned, dimensions, number, rate, shown, totals
from subbit_cli.wall import wall

__all__ = ["command"]


@click.group("inspect", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show what a .sbit file holds and what it costs.

    Only header and index are read, so that it is fast for any size; wall reads the weights of a checkpoint, and plot
    those that its figure needs.
    """
    help_without_command(ctx)


command.add_command(wall)
command.add_command(plot)


@command.command("bits-per-weight")
@click.argument("file", type=click.Path())
@json_output
def bits_per_weight(file: str, as_json: bool) -> None:
    """Count the stored bits of every tensor.

    FILE is a .sbit file or the index of a sharded one. A tensor's bytes are all that it adds to the file: sections,
    padding, checksums and its index entry. Last come two totals: "coded" for the tensors that the bit budget covers,
    "file" for every byte over every weight.
    """
    from subbit.analysis.bits_per_weight import count_bits
    from subbit_formats.sbit import open_reader

    with open_reader(file) as archive:
        result = count_bits(archive)
    if as_json:
        echo_json(result)
        return
    rows = [(*rate(t), t["codec"], dimensions(t["shape"]), t["name"]) for t in result["tensors"]]
    click.echo(aligned(("bits/weight", "weights", "bytes", "codec", "shape", "tensor"), rows, right=3))
    click.echo("\n" + totals(result))


@command.command("tensors")
@click.argument("file", type=click.Path())
@json_output
def tensors(file: str, as_json: bool) -> None:
    """List tensors with codec, knobs and sections.

    FILE is a .sbit file or the index of a sharded one. Sections are the named parts of a coded tensor; the error is
    the relative squared one that was measured when the file was written.
    """
    from subbit.analysis.contents import list_tensors
    from subbit_formats.sbit import open_reader

    with open_reader(file) as archive:
        result = list_tensors(archive)
    if as_json:
        echo_json(result)
        return
    rows = [
        (
            number(t["error"], 5), dimensions(t["shape"]), t["dtype"], t["codec"], t["name"], _sections(t["sections"]),
            _compact(t["knobs"]),
        )
        for t in result["tensors"]
    ]  # fmt: skip
    click.echo(aligned(("error", "shape", "dtype", "codec", "tensor", "bytes", "knobs"), rows, right=1))
    for alias, target in result["aliases"].items():
        click.echo(f"{shown(alias)} is tied to {shown(target)}")


@command.command("header")
@click.argument("file", type=click.Path())
@json_output
def header(file: str, as_json: bool) -> None:
    """Show version, sizes, checksums and metadata.

    FILE is a .sbit file or the index of a sharded one. Extras are the files that travel with the weights.
    """
    from subbit.analysis.contents import describe_file
    from subbit_formats.sbit import open_reader

    with open_reader(file) as archive:
        result = describe_file(archive)
    if as_json:
        echo_json(result)
        return
    click.echo(
        f".sbit {result['format']}: {result['tensors']:,} tensors, {result['weights']:,} weights, "
        f"{result['aliases']:,} tied names, {result['bytes']:,} bytes"
    )
    files = [(f"{f['bytes']:,}", f"{f['index_bytes']:,}", f["body_hash"], f["path"]) for f in result["files"]]
    click.echo("\n" + aligned(("bytes", "index bytes", "body hash (XXH3-128)", "file"), files, right=2))
    codecs = [(f"{c['tensors']:,}", f"{c['weights']:,}", f"{c['bytes']:,}", c["codec"]) for c in result["codecs"]]
    click.echo("\n" + aligned(("tensors", "weights", "bytes", "codec"), codecs, right=3))
    for key, value in result["metadata"].items():
        click.echo(f"metadata {shown(key)}: {shown(value)}")
    for name in result["extras"]:
        click.echo(f"extra {shown(name)}")


def _sections(sections: dict[str, int]) -> str:
    return " + ".join(f"{name} {size:,}" for name, size in sections.items())


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""
