"""`subbit completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["command"]


@click.command("completion")
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print shell completion code.

    SHELL is bash, zsh or fish; with the code it completes subbit's commands, options and files.

    \b
      bash   eval "$(subbit completion bash)"          in ~/.bashrc
      zsh    eval "$(subbit completion zsh)"           in ~/.zshrc
      fish   subbit completion fish | source           in ~/.config/fish/config.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}", ctx)
    complete = found(ctx.find_root().command, {}, "subbit", "_SUBBIT_COMPLETE")
    click.echo(complete.source_template % complete.source_vars())
