"""The options of `subbit compress` that bring a text or statistics into it, and what they ask of the library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from subbit_cli.options import tokens, window

if TYPE_CHECKING:
    from subbit.model import Report
    from subbit.planning import Plan

__all__ = ["calibration", "compressed", "planned", "refuse_contradictions"]

_OF_TEXT = ("tokens", "window", "fisher", "sequential", "heal")
_DECIDED_BY_PLAN = ("bits", "file_bits", "profile", "signs", "keep", "cover", "embeddings", "dry_run")

_OPTIONS = (
    click.option(
        "--text", type=click.Path(), metavar="FILE",
        help="Calibrate on this UTF-8 text, and compress block by block against what the model made of it; 'self' lets "
        "the model write it.",
    ),
    click.option(
        "--stats", type=click.Path(), metavar="FILE",
        help="Statistics from subbit calibrate, of this model; with --text they need not be measured again.",
    ),
    tokens,
    window,
    click.option(
        "--fisher/--no-fisher", default=True, show_default=True,
        help="Also measure what each output matters to the loss.",
    ),
    click.option(
        "--sequential/--no-sequential", default=True, show_default=True,
        help="Let each block make up for what those before it have lost.",
    ),
    click.option(
        "--heal", type=click.FloatRange(min=0, min_open=True), metavar="MINUTES",
        help="Then tune the file on the text for so long: see subbit heal.",
    ),
)  # fmt: skip


def calibration(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets their values by name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def refuse_contradictions(ctx: click.Context) -> None:
    """Raise a usage error for options that were given and cannot be, or say nothing, beside others."""
    given = {
        parameter.name or "": parameter.opts[0]
        for parameter in ctx.command.params
        if ctx.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    }

    def refuse(names: tuple[str, ...], why: str) -> None:
        for name in names:
            if name in given:
                raise click.UsageError(f"{given[name]} {why}", ctx)

    if "plan_file" in given:
        refuse(_DECIDED_BY_PLAN, "contradicts --plan, which has decided already")
    if "file_bits" in given:
        refuse(("bits",), "contradicts --file-bits: one budget")
    if "cluster" in given:
        refuse(("workers",), "contradicts --cluster, whose workers are all used")
    if not ctx.params["resume"]:
        refuse(("workers", "cluster"), "contradicts --no-resume: tensors wait in OUTPUT.partial for their turn")
    if "text" not in given:
        refuse(_OF_TEXT, "needs --text")
    else:
        refuse(("workers", "cluster"), "contradicts --text: block by block, each needs those before it (--stats can)")
    if "text" in given and ctx.params["resume"]:
        refuse(("resume",), "contradicts --text: what is calibrated as it goes cannot be taken up again")
    if "stats" in given:
        refuse(("fisher",), "contradicts --stats, which are measured already")
        if not (ctx.params["sequential"] or ctx.params["heal"]):
            refuse(("text",), "has no use beside --stats and --no-sequential")
    if "dry_run" in given:
        refuse(("heal", "sign_key"), "contradicts --dry-run, which writes nothing")


def compressed(checkpoint: str, output: str | None, choices: Mapping[str, Any]) -> Report:
    """The file, calibrated where a text is given."""
    import subbit

    how, others = _parted(choices)
    statistics = None if how["stats"] is None else subbit.Statistics.load(how["stats"])
    if how["text"] is None:
        return subbit.compress(checkpoint, output, importance=statistics, **others)
    from subbit.torch import compress_calibrated

    options = {name: how[name] for name in ("text", "tokens", "window", "fisher", "sequential")}
    return compress_calibrated(
        checkpoint, output, statistics=statistics, heal_minutes=how["heal"] or 0.0, **options, **others
    )


def planned(checkpoint: str, choices: Mapping[str, Any]) -> Plan:
    """The plan, by statistics where there are some or a text to measure them on."""
    import subbit

    how, others = _parted(choices)
    if how["stats"] is not None:
        return subbit.plan(checkpoint, importance=subbit.Statistics.load(how["stats"]), **others)
    if how["text"] is None:
        return subbit.plan(checkpoint, **others)
    from subbit.torch import calibrate_checkpoint

    options = {name: how[name] for name in ("text", "tokens", "window", "fisher")}
    found = calibrate_checkpoint(checkpoint, progress=others["progress"], **options)
    return subbit.plan(checkpoint, importance=found, **others)


def _parted(choices: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the options here ask for, and the rest."""
    names = {"text", "stats", *_OF_TEXT}
    how = {name: value for name, value in choices.items() if name in names}
    return how, {name: value for name, value in choices.items() if name not in names}
