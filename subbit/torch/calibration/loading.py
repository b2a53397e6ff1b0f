"""Any checkpoint with a config.json → its transformers model in memory, or one part of it at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from subbit.errors import SubbitError
from subbit.model import open_file
from subbit.model.corrected import decode_whole, without_corrections
from subbit.model.settings import parse_settings
from subbit.torch.calibration.allocator import freed
from subbit.torch.modules import materialize, slots
from subbit.torch.pretrained import build, package
from subbit.torch.state import as_array
from subbit_formats.sources import Source, SourceTensor, open_source

__all__ = ["fill", "load_pretrained", "open_weights", "places", "release", "skeleton", "tokenizer_of"]

_NAMES_SHOWN = 4
_NEEDS = "pass a Hugging Face folder, a GGUF file or a .sbit file that carries it"


def load_pretrained(path: str | PathLike[str], dtype: torch.dtype | str = "float32") -> tuple[Any, Any]:
    """The transformers model of a checkpoint, in eval mode, and its `tokenizers.Tokenizer` (None if it carries none).

    `path` is all that `subbit.compress` takes, with a config.json, or a `.sbit` file. Raises :class:`SubbitError` for
    a checkpoint without configuration, an architecture that transformers lacks, and weights that do not fit it.
    """
    with open_weights(path) as source:
        model = skeleton(source, dtype)
        fill(model, source, places(model, source))
        tokenizer = tokenizer_of(source) if "tokenizer.json" in source.extras else None
    return model.eval(), tokenizer


@contextmanager
def open_weights(path: str | PathLike[str]) -> Iterator[Source]:
    """Open a checkpoint of any kind; a `.sbit` file becomes one whose tensors decode when read, corrections added."""
    try:
        source = open_source(path)
    except SubbitError as error:
        if error.kind != "sbit":
            raise
    else:
        with source:
            yield source
        return
    with open_file(path) as file:
        tensors = (
            SourceTensor(name, file[name].shape, file[name].dtype, partial(decode_whole, file, name, None), Path(path))
            for name in without_corrections(file)
            if name not in file.aliases
        )
        extras = {name: partial(file.extra, name) for name in file.extras}
        yield Source(Path(path), "sbit", tensors, aliases=file.aliases, extras=extras)


def skeleton(source: Source, dtype: torch.dtype | str) -> nn.Module:
    """The module that the checkpoint's config.json describes; its weights' memory is not even touched."""
    try:
        model = build(parse_settings(_extra(source, "config.json"), source.path, _NEEDS), dtype)
    except SubbitError as error:
        raise error.at(path=source.path) from None
    for slot in slots(model):
        if slot.tensor.is_meta:
            materialize(slot.tensor)
    return model


def tokenizer_of(source: Source) -> Any:
    """The `tokenizers.Tokenizer` of the checkpoint's tokenizer.json."""
    tokenizer = package("tokenizers").Tokenizer.from_str(_extra(source, "tokenizer.json").decode())
    tokenizer.no_truncation()  # texts are cut into windows here
    tokenizer.no_padding()
    return tokenizer


def places(model: nn.Module, source: Source) -> dict[str, str]:
    """Where each parameter and saved buffer of the module stands in the checkpoint: {first name: name there}.

    Tied parameters take whichever of their names the checkpoint has; the prefix of the architecture (`transformer.`,
    `bert.`) may be absent on either side. Raises :class:`SubbitError` for missing weights (kind "names") and for
    shapes that differ ("shape").
    """
    found, missing = {}, []
    prefix = f"{getattr(model, 'base_model_prefix', '') or '?'}."
    for slot in slots(model):
        tries = [t for name in slot.names for t in (name, name.removeprefix(prefix), prefix + name)]
        there = next((source.aliases.get(t, t) for t in tries if t in source or t in source.aliases), None)
        if there is None:
            missing += [slot.names[0]] * slot.required
        elif source[there].shape != tuple(slot.tensor.shape):
            text = f"has shape {source[there].shape}, and {tuple(slot.tensor.shape)} in the model of config.json"
            raise SubbitError(text, kind="shape", path=source.path, tensor=there)
        else:
            found[slot.names[0]] = there
    if missing:
        more = f" and {len(missing) - _NAMES_SHOWN} more" if len(missing) > _NAMES_SHOWN else ""
        text = f"lacks {', '.join(map(repr, missing[:_NAMES_SHOWN]))}{more}"
        raise SubbitError(text, kind="names", path=source.path, hint="is config.json that of these weights?")
    return found


def fill(model: nn.Module, source: Source, where: Mapping[str, str], only: Iterable[str] | None = None) -> None:
    """Copy weights into the module, one at a time, rounded to its type; `only` names those to fill."""
    wanted = set(where if only is None else only)
    for slot in slots(model):
        name = slot.names[0]
        if name in wanted and name in where:
            array = source[where[name]].read()
            if slot.tensor.shape != array.shape:  # it was released
                slot.tensor.data = torch.empty(array.shape, dtype=slot.tensor.dtype)
            as_array(slot.tensor)[...] = array


def release(module: nn.Module) -> None:
    """Forget the parameters of a module until the next `fill`."""
    count = sum(parameter.data.nbytes for parameter in module.parameters())
    for parameter in module.parameters():
        parameter.data = torch.empty(0, dtype=parameter.dtype)
    freed(count)


def _extra(source: Source, name: str) -> bytes:
    if name not in source.extras:
        raise SubbitError(f"carries no {name}", kind="extra", path=source.path, hint=_NEEDS)
    return source.extras[name]()
