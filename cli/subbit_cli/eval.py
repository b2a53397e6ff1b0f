"""`subbit eval`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from subbit_cli.options import echo_json, json_output, quiet, window
from subbit_cli.progress import progress_bar
from subbit_cli.tables import aligned, number, shown

if TYPE_CHECKING:
    from subbit.torch.evaluation import Estimate, Evaluation

__all__ = ["command"]


@click.command("eval")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--text", type=click.Path(), required=True, metavar="FILE", help="UTF-8 text to predict.")
@click.option(
    "--against", type=click.Path(), metavar="CHECKPOINT",
    help="The original: adds perplexity as a multiple of its own, divergence, and agreement on the next token.",
)  # fmt: skip
@click.option("--tokens", type=click.IntRange(min=4), default=8192, show_default=True, help="How much of the text.")
@window
@json_output
@quiet
def command(
    files: tuple[str, ...], text: str, against: str | None, tokens: int, window: int, as_json: bool, quiet: bool
) -> None:
    """Measure what language models make of a text.

    FILE... are .sbit files with configuration and tokenizer, or folders and GGUF files; all predict the same windows
    of the text. Behind each figure stands the 95 % confidence interval over the windows, before them the bits of every
    byte of the file over every weight.

    \b
      subbit eval half.sbit one.sbit --against MODEL_DIR --text held_out.txt
    """
    from subbit.torch.evaluation import evaluate

    with progress_bar(quiet) as progress:

        def report(done: int, count: int, what: str) -> None:
            if progress is not None:
                progress("eval", done, count, what)

        found = evaluate(files, text, against, tokens=tokens, window=window, progress=report)
    if as_json:
        echo_json(found.to_dict())
    else:
        click.echo(_table(found))


def _table(found: Evaluation) -> str:
    header = ["file bits", "coded", "perplexity", "× original", "KL, nats", "same next token", "model"]
    rows = [
        (number(row.bits_per_weight), number(row.coded_bits_per_weight), _interval(row.perplexity),
         _interval(row.times), _interval(row.kl), _interval(row.agreement), str(row.path))
        for row in found.rows
    ]  # fmt: skip
    return f"{aligned(header, rows, right=6)}\n\n{found.tokens:,} tokens of {shown(str(found.text))}"


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.value:.4g} ({estimate.low:.4g} … {estimate.high:.4g})"
