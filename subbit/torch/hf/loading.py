"""Every weight of a `.sbit` file into a transformers model, through transformers' own renaming and fusing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key
from transformers.modeling_utils import LoadStateDictConfig

from subbit.errors import SubbitError
from subbit.model import File
from subbit.planning.corrections import CORRECTION
from subbit.torch.hf.experts import keep_experts
from subbit.torch.modules import decode_corrected, names_error
from subbit.torch.packed import keep_packed
from subbit.torch.state import torch_dtype
from subbit_formats.dtypes import FLOATS

__all__ = ["load_weights"]


def load_weights(model: Any, file: File, *, packed: bool | None) -> dict[str, str]:
    """Fill every parameter and persistent buffer; linear layers and experts may keep the file's bytes.

    They do with `packed`, with None where the codes multiply as they are stored, and with False nowhere.

    Returns which weights were kept packed: {name in the file: name in the model}.

    Names are those of the checkpoint that was compressed; transformers maps them onto the model, and fuses what newer
    versions fuse (experts). A model without head leaves the head's weights in the file. Raises :class:`SubbitError` for
    damage, and (kinds "names" and "shape") where something is missing, left over, or does not fit.
    """
    stored = [name for name in file.archive.tensors if not _folded(name, file)]
    for name in file.archive.tensors:
        file[name].check()
    mapping = get_model_conversion_mapping(model)
    kept = {} if packed is False else _keep_packed(model, file, stored, mapping, fast=packed is None)
    weights = {name: _decoded(file, name, model.dtype) for name in stored if name not in kept}
    weights |= {alias: weights[name] for alias, name in file.aliases.items() if name in weights}
    plan = model._get_dtype_plan(model.dtype)
    settings = LoadStateDictConfig(dtype=model.dtype, dtype_plan=plan, weight_mapping=mapping)
    found, _ = model._load_pretrained_model(model, weights, None, settings)
    try:
        _refuse(model, found)
    except SubbitError as error:
        raise error.at(path=file.archive.path) from None
    model.tie_weights()
    file.archive.release()
    return kept


def _keep_packed(model: Any, file: File, stored: Iterable[str], mapping: list[Any], *, fast: bool) -> dict[str, str]:
    """Put packed layers where the file's bytes can stay as they are."""
    renamings = [entry for entry in mapping if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, WeightConverter)]
    places, tied = dict(model.state_dict()), set(model.all_tied_weights_keys)
    tied |= set(model.all_tied_weights_keys.values())
    kept = {}
    for name in stored:
        place, fused = rename_source_key(name, renamings, converters, model.base_model_prefix, places)
        plain = fused is None and place in places and place not in tied and name + CORRECTION not in file
        if (
            plain
            and tuple(places[place].shape) == file[name].shape
            and keep_packed(model, place, file[name], fast=fast)
        ):
            kept[name] = place
    return kept | keep_experts(model, file, stored, renamings, converters, fast=fast)


def _folded(name: str, file: File) -> bool:
    """Whether a tensor is a correction, which is added to its weight."""
    return name.endswith(CORRECTION) and name.removesuffix(CORRECTION) in file


def _decoded(file: File, name: str, dtype: torch.dtype) -> torch.Tensor:
    own = file[name]
    tensor = torch.empty(own.shape, dtype=dtype if own.dtype in FLOATS else torch_dtype(own.dtype))
    decode_corrected(file, own, tensor)
    return tensor


def _refuse(model: Any, found: Any) -> None:
    if problems := [*found.conversion_errors.values(), *found.error_msgs]:
        raise SubbitError(f"does not fit the model: {problems[0]}", kind="shape", hint="is it the file of this model?")
    if found.mismatched_keys:
        name, shape, own = sorted(found.mismatched_keys)[0]
        text = f"has shape {tuple(shape)} in the file and {tuple(own)} in the model"
        raise SubbitError(text, kind="shape", tensor=name, hint="is it the file of this model?")
    tied = set(model.all_tied_weights_keys)
    missing = _strict(found.missing_keys - tied, model._keys_to_ignore_on_load_missing)
    left = _strict(found.unexpected_keys - tied, model._keys_to_ignore_on_load_unexpected)
    if type(model).__name__ not in (model.config.architectures or []):
        prefix = f"{model.base_model_prefix}."
        left = [name for name in left if name.startswith(prefix)]  # all else belongs to a head that was not asked for
    if missing or left:
        raise names_error(tuple(missing), tuple(left))


def _strict(names: Iterable[str], optional: Iterable[str] | None) -> list[str]:
    patterns = [re.compile(pattern) for pattern in optional or ()]
    return sorted(name for name in names if not any(pattern.search(name) for pattern in patterns))
