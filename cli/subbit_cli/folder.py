"""`subbit folder`."""

from __future__ import annotations

import click

from subbit_cli.options import force
from subbit_cli.tables import shown

__all__ = ["command"]


@click.command("folder")
@click.argument("file", type=click.Path())
@click.option("-o", "--output", type=click.Path(), required=True, help="The folder to write.")
@click.option("--base-model", metavar="NAME", help="For the model card: what this was made of, as hubs name it.")
@click.option(
    "--quality",
    type=click.Path(),
    metavar="FILE",
    help="For the model card: figures that `subbit eval --json` printed.",
)
@force
def command(file: str, output: str, base_model: str | None, quality: str | None, force: bool) -> None:
    """Write the folder that transformers loads.

    FILE is a .sbit file, or the index of a sharded one, that carries its config.json: made from a model's folder or a
    GGUF file. The folder gets a copy of the weights as they are stored, configuration, tokenizer, and a model card.
    Python loads it
    with `import subbit.torch.hf` and any from_pretrained; without that import transformers refuses it.
    """
    from subbit.model.folder import write_folder

    click.echo(f"wrote {shown(str(write_folder(file, output, base_model=base_model, quality=quality, force=force)))}")
