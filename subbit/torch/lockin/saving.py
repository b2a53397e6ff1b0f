"""A template-signed model as a safetensors file that says so."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch

from subbit.signs import SignPlane, declared
from subbit.torch.lockin.correction import SUFFIXES
from subbit.torch.state import as_array, dtype_name
from subbit_formats.safetensors_writer import SafetensorsWriter

__all__ = ["checkpoint", "save_model", "untied"]


def save_model(
    model: torch.nn.Module, planes: Mapping[str, SignPlane], path: str | PathLike[str], *, force: bool = False
) -> Path:
    """Write the state of the model, with the planes in the metadata where `subbit compress` finds them.

    Names are those of `model.state_dict()`. Tied tensors are written once, the metadata maps their other names, as
    safetensors does. A corrected weight is written as its template-signed part, its factors beside it as
    `NAME.correction_a` and `NAME.correction_b`: they are coded and counted like every matrix, and `fold` adds them.
    Raises :class:`SubbitError` for an existing file (unless `force`), a full disk, or a type that safetensors lacks.
    """
    tensors, ties = untied(checkpoint(model, planes))
    described = {name: (dtype_name(tensor.dtype), tuple(tensor.shape)) for name, tensor in tensors.items()}
    metadata = ties | {declared.METADATA_KEY: declared.to_json(planes)}
    with SafetensorsWriter(path, described, metadata, force=force) as writer:
        for name in writer.names:
            writer.write(as_array(tensors[name].cpu().contiguous()))
    return Path(path)


def checkpoint(model: torch.nn.Module, planes: Mapping[str, SignPlane]) -> dict[str, torch.Tensor]:
    """The model's state under the names that it has without corrections."""
    names = {}
    for name in planes:
        path, _, leaf = name.rpartition(".")
        inside = f"{path}.parametrizations.{leaf}" if path else f"parametrizations.{leaf}"
        names[f"{inside}.original"] = name
        names.update({f"{inside}.0.{factor}": name + suffix for factor, suffix in zip("ab", SUFFIXES, strict=True)})
    state = model.state_dict()
    return {names.get(name, name): value for name, value in state.items() if isinstance(value, torch.Tensor)}


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
