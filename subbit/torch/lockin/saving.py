"""A template-signed model as a safetensors file that says so."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch

from subbit.errors import UsageError
from subbit.planning.corrections import CORRECTION
from subbit.signs import SignPlane, declared
from subbit.torch.lockin.coded import Coded
from subbit.torch.lockin.correction import joined
from subbit.torch.state import as_array, dtype_name
from subbit_formats.safetensors_writer import SafetensorsWriter

__all__ = ["checkpoint", "save_model", "untied"]


def save_model(
    model: torch.nn.Module, planes: Mapping[str, SignPlane], path: str | PathLike[str], *, force: bool = False
) -> Path:
    """Write the state of the model, with the planes in the metadata where `subbit compress` finds them.

    Names are those of `model.state_dict()`. Tied tensors are written once, the metadata maps their other names, as
    safetensors does. A corrected weight is written as its template-signed part, its factors beside it as one tensor
    `NAME.correction` of shape (k, rows + cols): it is coded and counted like every matrix, and `fold` adds it.
    Raises :class:`SubbitError` for an existing file (unless `force`), a full disk, a type that safetensors lacks, and
    weights that are computed from codes ("quantized"): what is stored of those is not what the model computes with.
    """
    for name, module in model.named_modules():
        if isinstance(module, Coded):
            weight = name.replace("parametrizations.", "").removesuffix(".0")
            hint = "quantized.to_sbit(path) writes the codes"
            raise UsageError("is computed from codes", kind="quantized", tensor=weight, hint=hint)
    tensors, ties = untied(checkpoint(model, planes))
    described = {name: (dtype_name(tensor.dtype), tuple(tensor.shape)) for name, tensor in tensors.items()}
    metadata = ties | {declared.METADATA_KEY: declared.to_json(planes)}
    with SafetensorsWriter(path, described, metadata, force=force) as writer:
        for name in writer.names:
            writer.write(as_array(tensors[name].cpu().contiguous()))
    return Path(path)


def checkpoint(model: torch.nn.Module, planes: Mapping[str, SignPlane]) -> dict[str, torch.Tensor]:
    """The model's state under the names that it has without corrections, and each correction as one tensor."""
    state = {name: value for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    for name in planes:
        path, _, leaf = name.rpartition(".")
        inside = f"{path}.parametrizations.{leaf}" if path else f"parametrizations.{leaf}"
        if f"{inside}.0.a" in state:
            state[name + CORRECTION] = joined(state.pop(f"{inside}.0.a"), state.pop(f"{inside}.0.b"))
        if f"{inside}.original" in state:
            state[name] = state.pop(f"{inside}.original")
    return state


def untied(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Each tensor once, under its first name, and {other name: first name}."""
    first: dict[object, str] = {}
    ties = {}
    for name, tensor in tensors.items():
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        held = first.setdefault(place, name) if tensor.numel() else name
        if held != name:
            ties[name] = held
    return {name: tensor for name, tensor in tensors.items() if name not in ties}, ties
