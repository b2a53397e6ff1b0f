"""Tensors of a `.sbit` file ↔ torch tensors; every number is decoded straight into torch's own memory."""

from __future__ import annotations

from os import PathLike

import numpy as np
import torch

from subbit.errors import SubbitError
from subbit.model import Checkpoint, Tensor, open_file
from subbit_formats.dtypes import FLOATS, ITEM_SIZES, numpy_dtype

__all__ = ["as_array", "decode_into", "dtype_name", "state_dict", "torch_dtype"]

_SAME_SIZE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}
"""The types through which torch and NumPy see each other's memory: they share no bfloat16 and no float8."""


def state_dict(
    path: str | PathLike[str], dtype: torch.dtype | str | None = None, base: Checkpoint | None = None
) -> dict[str, torch.Tensor]:
    """Decode every tensor of a `.sbit` file: {name: tensor}, on the CPU; tied names share one tensor.

    `dtype` (such as `torch.bfloat16` or "bfloat16") is for the floating tensors; without it each keeps its own type.
    `base` is the parent checkpoint, for files that were compressed against one. Raises :class:`SubbitError` that names
    file and tensor for any damage, for a missing or another parent, and for a type that torch lacks.
    """
    wanted = None if dtype is None else torch_dtype(dtype)
    with open_file(path, base) as file:
        tensors: dict[str, torch.Tensor] = {}
        for name, stored in file.archive.tensors.items():
            own = wanted if wanted is not None and stored.dtype in FLOATS else torch_dtype(stored.dtype)
            tensors[name] = torch.empty(stored.shape, dtype=own)
            decode_into(file[name], tensors[name])
        return tensors | {name: tensors[target] for name, target in file.aliases.items()}


def decode_into(stored: Tensor, tensor: torch.Tensor) -> None:
    """Decode one stored tensor into a torch tensor of its shape; floats are rounded once to the type of `tensor`.

    Contiguous tensors on the CPU are written in place; for all others the numbers pass through one that is.
    """
    if tensor.device.type == "cpu" and tensor.is_contiguous():
        stored.decode(out=as_array(tensor))
        return
    contiguous = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
    stored.decode(out=as_array(contiguous))
    tensor.detach().copy_(contiguous)


def as_array(tensor: torch.Tensor) -> np.ndarray:
    """The memory of a contiguous tensor on the CPU as a NumPy array of the same type; nothing is copied."""
    words: np.ndarray = tensor.detach().view(_SAME_SIZE[tensor.element_size()]).numpy()
    return words.view(numpy_dtype(dtype_name(tensor.dtype)))


def dtype_name(dtype: torch.dtype) -> str:
    """The canonical name of a torch type: torch names them as NumPy and ml_dtypes do."""
    return str(dtype).removeprefix("torch.")


def torch_dtype(name: torch.dtype | str) -> torch.dtype:
    """The torch type of a canonical name; raises :class:`SubbitError` (kind "dtype") where there is none."""
    if isinstance(name, torch.dtype):
        return name
    if not isinstance(name, str) or name not in ITEM_SIZES:
        raise SubbitError(f"unknown element type {name!r}", kind="dtype", hint=f"known: {', '.join(ITEM_SIZES)}")
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        text = f"torch {torch.__version__} has no {name}"
        raise SubbitError(text, kind="dtype", hint="pass another dtype, or update torch")
    return dtype
