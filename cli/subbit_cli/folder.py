"""`subbit folder`."""

from __future__ import annotations

import click

from subbit_cli.options import force
from subbit_cli.tables import shown

__all__ = ["command"]


@click.command("folder")
@click.argument("file", type=click.Path())
@click.option("-o", "--output", type=click.Path(), required=True, help="The folder to write.")
@force
def command(file: str, output: str, force: bool) -> None:
    """Write the folder that transformers loads.

    FILE is a .sbit file, or the index of a sharded one, that carries its config.json: made from a model's folder or a
    GGUF file. The folder gets a copy of the weights as they are stored, configuration, and tokenizer. Python loads it
    with `import subbit.torch.hf` and any from_pretrained; without that import transformers refuses it.
    """
    from subbit.model.folder import write_folder

    click.echo(f"wrote {shown(str(write_folder(file, output, force=force)))}")
