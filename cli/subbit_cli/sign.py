"""`subbit sign`."""

from __future__ import annotations

import click

from subbit_cli.options import force
from subbit_cli.tables import shown

__all__ = ["command"]


@click.command("sign")
@click.argument("file", type=click.Path())
@click.option(
    "--key", type=click.Path(), required=True, metavar="PEM",
    help="The private Ed25519 key, without a password. Needs the package cryptography.",
)  # fmt: skip
@force
def command(file: str, key: str, force: bool) -> None:
    """Sign every byte of a .sbit file.

    FILE is a .sbit file or the index of a sharded one. The signature lies beside it as FILE.sig; subbit verify
    --public-key checks it. It says that the owner of the key vouches for this file, and nothing about what weights do.

    \b
      openssl genpkey -algorithm ed25519 -out key.pem
      openssl pkey -in key.pem -pubout -out pub.pem
      subbit sign model.sbit --key key.pem
      subbit verify model.sbit --public-key pub.pem
    """
    from subbit.signing import Signer

    click.echo(f"wrote {shown(str(Signer(key).sign(file, force=force)))}")
