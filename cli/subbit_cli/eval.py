"""`subbit eval`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from subbit_cli.options import echo_json, json_output, quiet, window
from subbit_cli.progress import progress_bar
from subbit_cli.tables import aligned, number, shown

if TYPE_CHECKING:
    from subbit.torch.evaluation import Estimate
    from subbit.torch.tasks import Score

__all__ = ["command"]

Progress = Callable[[int, int, str], None]


@click.command("eval")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--text", type=click.Path(), metavar="FILE", help="UTF-8 text to predict.")
@click.option(
    "--task", "tasks", multiple=True, metavar="TASK",
    help="Instead of a text: a YAML file of a task of the LM evaluation harness, or the name of one that it knows.  "
    "May be given several times.",
)  # fmt: skip
@click.option(
    "--against", type=click.Path(), metavar="CHECKPOINT",
    help="The original: adds perplexity as a multiple of its own, divergence, and agreement on the next token; or what "
    "it scores in the tasks.",
)  # fmt: skip
@click.option("--tokens", type=click.IntRange(min=4), default=8192, show_default=True, help="How much of the text.")
@window
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many examples of each task.")
@json_output
@quiet
def command(
    files: tuple[str, ...], text: str | None, tasks: tuple[str, ...], against: str | None, tokens: int, window: int,
    limit: int | None, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Measure language models on a text, or in tasks.

    FILE... are .sbit files with configuration and tokenizer, or folders and GGUF files; all predict the same windows
    of the text, or are asked the same questions. Behind each figure of a text stands the 95 % confidence interval over
    the windows, behind each score its standard error, before them the bits of every byte of the file over every weight.

    \b
      subbit eval half.sbit one.sbit --against MODEL_DIR --text held_out.txt
      subbit eval half.sbit one.sbit --against MODEL_DIR --task my_task.yaml

    Tasks need pip install "subbit[eval]". Their data are fetched unless they are local files, named in the YAML as
    seen from the current folder; functions that the YAML names run.
    """
    if (text is None) == (not tasks):
        raise click.UsageError("what shall they predict? --text FILE, or else --task TASK")
    with progress_bar(quiet) as progress:

        def report(done: int, count: int, what: str) -> None:
            if progress is not None:
                progress("eval", done, count, what)

        if text is None:
            result, table = _tasks(files if against is None else (against, *files), tasks, limit, report)
        else:
            result, table = _text(files, text, against, tokens, window, report)
    if as_json:
        echo_json(result)
    else:
        click.echo(table)


def _text(
    files: tuple[str, ...], text: str, against: str | None, tokens: int, window: int, progress: Progress
) -> tuple[dict[str, Any], str]:
    from subbit.torch.evaluation import evaluate

    found = evaluate(files, text, against, tokens=tokens, window=window, progress=progress)
    header = ["file bits", "coded", "perplexity", "× original", "KL, nats", "same next token", "model"]
    rows = [
        (number(row.bits_per_weight), number(row.coded_bits_per_weight), _interval(row.perplexity),
         _interval(row.times), _interval(row.kl), _interval(row.agreement), str(row.path))
        for row in found.rows
    ]  # fmt: skip
    table = f"{aligned(header, rows, right=6)}\n\n{found.tokens:,} tokens of {shown(str(found.text))}"
    return found.to_dict(), table


def _tasks(
    files: tuple[str, ...], tasks: tuple[str, ...], limit: int | None, progress: Progress
) -> tuple[dict[str, Any], str]:
    for bars in ("TQDM_DISABLE", "HF_DATASETS_DISABLE_PROGRESS_BARS"):  # the harness draws them, terminal or not
        os.environ.setdefault(bars, "1")
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    from subbit.torch.tasks import evaluate_tasks

    found = evaluate_tasks(files, tasks, limit=limit, progress=progress)
    scores = found.rows[0].scores
    header = ["file bits", "coded", *(f"{score.task} {score.metric}" for score in scores), "model"]
    rows = [
        (number(row.bits_per_weight), number(row.coded_bits_per_weight), *map(_score, row.scores), str(row.path))
        for row in found.rows
    ]
    asked = {score.task: f"{score.examples:,} examples of {shown(score.task)}" for score in scores if score.examples}
    return found.to_dict(), f"{aligned(header, rows, right=len(header) - 1)}\n\n{', '.join(asked.values())}"


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.value:.4g} ({estimate.low:.4g} … {estimate.high:.4g})"


def _score(score: Score) -> str:
    return f"{score.value:.4g}" + ("" if score.error is None else f" ± {score.error:.2g}")
