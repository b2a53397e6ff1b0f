"""Weights with the low-rank corrections that a file keeps beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from subbit.model.file import File
from subbit.planning.corrections import CORRECTION
from subbit.records import matrix_shape
from subbit_formats.dtypes import numpy_dtype

__all__ = ["decode_whole", "without_corrections"]


def without_corrections(file: File) -> list[str]:
    """The names in a file but those of tensors that are added to others."""
    return [name for name in file if not (name.endswith(CORRECTION) and name.removesuffix(CORRECTION) in file)]


def decode_whole(file: File, name: str, dtype: str | None) -> np.ndarray[Any, Any]:
    """Decode a weight, and add its correction if the file has one: A Bᵀ, stored as [Aᵀ Bᵀ].

    The sum is taken in float32, one column of A and B after the other: the same bits on every machine.
    """
    stored = file[name]
    correction = stored.entry.name + CORRECTION
    if correction not in file:
        return stored.decode(dtype=dtype)
    weights = stored.decode(dtype="float32")
    matrix = weights.reshape(matrix_shape(weights.shape))
    for factor in file[correction].decode(dtype="float32"):
        matrix += factor[: len(matrix), None] * factor[len(matrix) :]
    return weights.astype(numpy_dtype(dtype or stored.dtype), copy=False)
