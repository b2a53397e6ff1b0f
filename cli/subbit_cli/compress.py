"""`subbit compress`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from subbit_cli.calibrating import calibration, compressed, planned, refuse_contradictions
from subbit_cli.options import echo_json, force, json_output, quiet, size
from subbit_cli.progress import progress_bar
from subbit_cli.small import ENCODED, small_without_numba
from subbit_cli.tables import aligned, number, shown, totals

if TYPE_CHECKING:
    from subbit.model import Report
    from subbit.model.job import Progress
    from subbit.planning import Plan

__all__ = ["PROFILES", "SIGNS", "command"]

PROFILES = ("size", "speed")
SIGNS = ("auto", "joint", "declared", "fitted", "stored", "base")
_WORST = 5


@click.command("compress")
@click.argument("checkpoint", type=click.Path())
@click.option("-o", "--output", type=click.Path(), help="The file to write.  [default: CHECKPOINT's name with .sbit]")
@click.option(
    "--bits", type=float, default=0.8, show_default=True,
    help="The budget: bits per covered weight, with all that decoding needs included.",
)  # fmt: skip
@click.option(
    "--file-bits", type=float, metavar="FLOAT",
    help="Instead of --bits, the budget for the whole file: every byte over every weight, embeddings included.",
)  # fmt: skip
@click.option(
    "--for", "profile", type=click.Choice(PROFILES), default="size", show_default=True,
    help="What the file is for. size: the smallest error for its bits, by codes of varying rate that are decoded once, "
    "at load. speed: codes of one rate, which can be multiplied as they are stored.",
)  # fmt: skip
@click.option(
    "--signs", type=click.Choice(SIGNS), default="auto", show_default=True,
    help="How signs are coded: together with the magnitudes (joint), from the template that the checkpoint declares, "
    "from one fitted to the weights, as stored bits, or from the parent checkpoint (base); auto takes what costs "
    "least.",
)  # fmt: skip
@click.option(
    "--base", type=click.Path(), metavar="CHECKPOINT",
    help="The parent checkpoint, the initialization or the model that this one was fine-tuned from, or a .sbit file of "
    "it: code what differs. It is not stored; reading the output needs it again.",
)  # fmt: skip
@click.option("--keep", multiple=True, metavar="PATTERN", help="Keep these tensors lossless, as '*norm*'. Repeatable.")
@click.option(
    "--cover", multiple=True, metavar="PATTERN",
    help="Put these tensors under the budget although they look like embeddings or heads. Repeatable.",
)  # fmt: skip
@click.option(
    "--embeddings", type=int, metavar="BITS",
    help="Bits of embeddings and output heads: 2 to 8 in groups, 16 for lossless.  [default: 8; with --file-bits "
    "whatever the budget gives them]",
)  # fmt: skip
@click.option(
    "--plan", "plan_file", type=click.File(encoding="utf-8", errors="replace"),
    help="A plan made by --dry-run --json, edited or not; it "
    "decides instead of --bits, --file-bits, --for, --signs, --keep, --cover and --embeddings.",
)  # fmt: skip
@calibration
@click.option("--dry-run", is_flag=True, help="Print the plan with predicted bits and errors; write nothing.")
@click.option(
    "--shard-size", type=size, metavar="SIZE", help="Split the output into files of at most this size, as 4GB."
)
@click.option(
    "--resume/--no-resume", default=True, show_default=True,
    help="Keep finished tensors in OUTPUT.partial until the output is there, and go on from those of a stopped run of "
    "the same command. Not with --text.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N",
    help="Plan and encode in so many processes, which share the processors. The file is the same to the byte.",
)  # fmt: skip
@click.option(
    "--cluster", metavar="ADDRESS",
    help="Plan and encode on the workers of this dask scheduler, as tcp://host:8786, which see the input under the "
    "same path. Whoever can reach one of them can run code there: trusted networks only.",
)  # fmt: skip
@click.option(
    "--sign-key", type=click.Path(), metavar="PEM",
    help="Sign the output with this private Ed25519 key: see subbit sign. A signature that is left from a file before "
    "is replaced.",
)  # fmt: skip
@click.option("--allow-nonfinite", is_flag=True, help="Keep tensors with NaN or infinite weights lossless.")
@json_output
@force
@quiet
@click.pass_context
def command(
    ctx: click.Context,
    /,
    checkpoint: str,
    output: str | None,
    plan_file: TextIO | None,
    dry_run: bool,
    shard_size: int | None,
    resume: bool,
    workers: int | None,
    cluster: str | None,
    sign_key: str | None,
    allow_nonfinite: bool,
    as_json: bool,
    force: bool,
    quiet: bool,
    **choices: Any,
) -> None:
    """Write a checkpoint as a .sbit file.

    CHECKPOINT is a safetensors, GGUF or torch file, the index of a sharded one, or a folder with one of them. The
    output takes at most --bits bits per covered weight; covered is every float tensor of two or more dimensions, less
    embeddings and output heads. With --text it must be a language model with configuration and tokenizer.

    \b
      subbit compress model.safetensors --bits 0.8
      subbit compress model.safetensors --bits 0.8 --for speed
      subbit compress model.safetensors --dry-run --json > plan.json
      subbit compress model.safetensors --plan plan.json
      subbit compress tuned.safetensors --base model.safetensors --bits 0.3
      subbit compress model_dir --workers 4
      subbit compress model_dir --text corpus.txt --bits 0.8 --heal 20
    """
    refuse_contradictions(ctx)
    import subbit
    from subbit.signing import Signer

    signer = None if sign_key is None else Signer(sign_key)  # now: a key that cannot sign is known before the work
    resume = resume and choices["text"] is None
    with small_without_numba(checkpoint, ENCODED), progress_bar(quiet) as progress, _resumable(resume):
        choices |= {"allow_nonfinite": allow_nonfinite, "progress": _telling(progress)}
        if workers or cluster:
            choices["workers"] = workers or cluster
        if dry_run:
            plan = planned(checkpoint, choices)
        else:
            given = None if plan_file is None else subbit.Plan.from_json(plan_file.read())
            choices |= {"plan": given, "shard_bytes": shard_size, "resume": resume, "force": force}
            report = compressed(checkpoint, output, choices)
    if dry_run:
        _print_plan(plan, as_json)
    else:
        signature = None if signer is None else signer.sign(report.path, force=True)
        _print_report(report, signature, as_json)


def _telling(progress: Progress | None) -> Progress:
    """Progress that also says, to everybody, what a stopped run has left to go on from."""

    def report(phase: str, done: int, total: int, name: str) -> None:
        if phase == "resume":
            click.echo(f"going on where a stopped run was: {done} of {total} tensors are done", err=True)
        elif progress is not None:
            progress(phase, done, total, name)

    return report


@contextmanager
def _resumable(resume: bool) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if resume:
            click.echo("finished tensors are kept: the same command goes on from there", err=True)
        raise


def _print_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        click.echo(plan.to_json())
    else:
        click.echo("\n".join(shown(line) for line in str(plan).split("\n")))


def _print_report(report: Report, signature: Path | None, as_json: bool) -> None:
    if report.warning:
        click.secho("warning: " + shown(report.warning), err=True, bold=True, fg="red")
    if as_json:
        echo_json(report.to_dict() | ({"signature": str(signature)} if signature else {}))
        return
    coded = sorted((t for t in report.tensors if t.covered), key=lambda t: -t.error)
    if coded:
        click.echo(f"the largest errors of {len(coded)} coded tensors (relative squared error)")
        rows = [(number(t.bits_per_weight), number(t.error, 5), t.codec, t.name) for t in coded[:_WORST]]
        click.echo(aligned(("bits/weight", "error", "codec", "tensor"), rows, right=2) + "\n")
    click.echo(totals(report.to_dict()) + "\n")
    if getattr(report, "healing", None) is not None:
        click.echo(f"{report.healing}\n")  # type: ignore[attr-defined]
    click.echo(f"wrote {shown(str(report.path))}")
    if signature is not None:
        click.echo(f"wrote {shown(str(signature))}")
