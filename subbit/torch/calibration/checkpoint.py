"""Calibrating a checkpoint on text: block by block where the model has blocks, so that it may be larger than memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from subbit.errors import SubbitError, UsageError
from subbit.model.compressing import Progress
from subbit.model.statistics import LayerMoments, Statistics, content_hash
from subbit.torch.calibration.blocks import Blocks, block_list
from subbit.torch.calibration.collect import Collector, ready, run, statistics
from subbit.torch.calibration.loading import fill, open_weights, places, release, skeleton, tokenizer_of
from subbit.torch.calibration.lookup import Lookup, both_roles
from subbit.torch.calibration.spool import Spool
from subbit.torch.calibration.streaming import Stream
from subbit.torch.calibration.texts import file_hash, sample, windows
from subbit.torch.precision import fast_dtype
from subbit.torch.pretrained import package
from subbit.torch.targets import Target, chosen
from subbit_formats.sources import Source

__all__ = ["SELF", "batches_of", "calibrate_checkpoint", "token_windows"]

SELF = "self"
"""In place of a text file: the model writes the text."""

_TOKENS_AT_ONCE = 2048


def calibrate_checkpoint(
    path: str | PathLike[str],
    text: str | PathLike[str],
    *,
    tokens: int = 24576,
    window: int = 512,
    fisher: bool = True,
    seed: int = 0,
    ids: torch.Tensor | None = None,
    progress: Progress | None = None,
) -> Statistics:
    """Run text through the model of a checkpoint and measure what its weights read and write, by their names there.

    `path` is a Hugging Face folder, a GGUF file, or another checkpoint or `.sbit` file that carries config.json and
    tokenizer.json; `text` a UTF-8 file, of which `tokens` tokens in windows of `window` are taken, evenly spread, or
    "self"; `ids` are these windows where `token_windows` has made them already. Covered are the weights that
    `calibrate` takes by "*", the output head, and the embedding of tokens (`lookup`); a tied one in both roles, but
    without `fisher` as the head alone.

    Decoders and encoders with one list of blocks are loaded one block at a time: forward, and with `fisher` once more
    in reverse, each block computed again for its gradients. Memory: the embedding and head, one block with its moments,
    a batch of 2,048 tokens; hidden states and finished moments go to a temporary file. Other models,
    and the writing of a "self" text, need the whole model in memory. Raises :class:`SubbitError` for a checkpoint
    without configuration or tokenizer, weights that do not fit, and a text too short.
    """
    with open_weights(path) as source:
        model = _model(source)
        where = places(model, source)
        targets = chosen(model, ("*", *_head(model)))
        targets = [target for target in targets if target.name in where]
        if ids is None:
            ids = _ids(model, source, where, text, tokens, window, seed)
        lookup = Lookup(model.get_input_embeddings(), ids)
        with ready(model), lookup:
            layers, units = _layers(model, source, where, targets, batches_of(ids), fisher, seed, progress)
        renamed = {where[name]: replace(layer, inputs=where[layer.inputs]) for name, layer in layers.items()}
        embedding = where.get(_name_of(model, lookup.weight), "")
        if embedding and embedding not in renamed:
            renamed[embedding] = lookup.moments(embedding, units)
        elif embedding and fisher:  # without it nothing tells what an error costs in either role
            renamed[embedding] = both_roles(renamed[embedding], lookup.moments(embedding, units))
        hashed = content_hash((name, source[name].read()) for name in sorted(renamed))
    provenance = {
        "text": SELF if text == SELF else Path(text).name, "tokens": str(ids.numel()), "window": str(ids.shape[1]),
        "fisher": str(fisher).lower(), "seed": str(seed), "model": hashed,
        "transformers": package("transformers").__version__,
    }  # fmt: skip
    return statistics(renamed, provenance if text == SELF else provenance | {"text_hash": file_hash(text)})


def token_windows(
    path: str | PathLike[str], text: str | PathLike[str], *, tokens: int = 24576, window: int = 512, seed: int = 0
) -> torch.Tensor:
    """`tokens // window` windows of tokens for the model of a checkpoint, int64 (count, window): see `texts`.

    Raises what :func:`calibrate_checkpoint` raises for a text, a tokenizer and a configuration that do not serve.
    """
    with open_weights(path) as source:
        model = _model(source)
        return _ids(model, source, places(model, source), text, tokens, window, seed)


def batches_of(ids: torch.Tensor) -> list[dict[str, Any]]:
    """Windows as arguments of the model, 2,048 tokens at a time."""
    return [{"input_ids": part} for part in torch.split(ids, max(1, _TOKENS_AT_ONCE // ids.shape[1]))]


def _model(source: Source) -> Any:
    """The checkpoint's module without its weights, ready to be read through."""
    model: Any = skeleton(source, "float32").requires_grad_(False).eval()
    model.config.use_cache = False  # keys and values of one pass serve no other
    return model


def _ids(
    model: Any, source: Source, where: Mapping[str, str], text: str | PathLike[str], tokens: int, window: int, seed: int
) -> torch.Tensor:
    """The windows, checked against what the model can read."""
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None) or window
    if window > longest:
        said = f"windows of {window} tokens, and the model reads at most {longest}"
        raise UsageError(said, kind="text", path=source.path, hint=f"--window {longest}")
    if text == SELF:
        fill(model, source, where)
        ids = sample(model, tokens, window, seed)
    else:
        ids = windows(text, tokenizer_of(source), tokens, window)
    known = model.get_input_embeddings().num_embeddings
    if int(ids.max()) >= known:
        said = f"the tokenizer gives token {int(ids.max())}, and the model knows {known}"
        raise SubbitError(said, kind="text", path=source.path, hint="is the tokenizer that of this model?")
    return ids


def _layers(
    model: nn.Module, source: Source, where: Mapping[str, str], targets: list[Target],
    batches: list[dict[str, Any]], fisher: bool, seed: int, progress: Progress | None,
) -> tuple[dict[str, LayerMoments], int]:  # fmt: skip
    """All moments, by the names of the module, and the units of the loss (see `fisher.backward`)."""
    generator = torch.Generator().manual_seed(seed)
    found = block_list(model)
    if found is None:
        fill(model, source, where)
        collector = Collector(targets, fisher)
        run(model, batches, collector, None, generator, progress)
        return collector.layers(Spool(0).keep), collector.fisher.units
    prefix, blocks = found
    names = [[n for n in where if n.startswith(f"{prefix}.{k}.")] for k in range(len(blocks))]
    inside = [[t for t in targets if t.name.startswith(f"{prefix}.{k}.")] for k in range(len(blocks))]
    outside = [t for t in targets if not t.name.startswith(f"{prefix}.")]

    def report(done: int, total: int, name: str) -> None:
        if progress is not None:
            progress("calibrate", done, total, name)

    for block in blocks:
        release(block)
    fill(model, source, where, [name for name in where if not name.startswith(f"{prefix}.")])
    passes = Blocks(model, blocks, fast_dtype(torch.device("cpu")))
    stream = Stream(
        passes, batches, inside, outside, lambda k: fill(model, source, where, names[k]), lambda k: release(blocks[k]),
        fisher, generator, report,
    )  # fmt: skip
    return stream.layers(), stream.units


def _head(model: Any) -> list[str]:
    """The name of the output head's weight, where the model has one."""
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    name = _name_of(model, getattr(head, "weight", None))
    return [name] if name else []


def _name_of(model: nn.Module, weight: Any) -> str:
    """The first name of a parameter; empty where it is none."""
    return next((name for name, found in model.named_parameters(remove_duplicate=False) if found is weight), "")
