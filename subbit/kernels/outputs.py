"""What kernels write: the types of numbers, the last step, and memory that suits them."""

from __future__ import annotations

import numpy as np

from subbit.kernels import kernel

__all__ = ["LANES", "NO_SIGNS", "aligned", "finish", "raw", "writes"]

LANES = 16
"""float32 in a line of the cache."""

NO_SIGNS = np.empty((0, 0), np.uint64)
_KINDS = {"float32": 0, "float16": 1, "bfloat16": 2}


def writes(dtype: np.dtype) -> bool:
    """Whether kernels round to this type."""
    return dtype.name in _KINDS


def raw(out: np.ndarray) -> tuple[np.ndarray, int]:
    """The bits of such an array, as uint32 or uint16, and its kind, as kernels know it."""
    kind = _KINDS[out.dtype.name]
    return out.view(np.uint16 if kind else np.uint32), kind


def finish(block: np.ndarray, words: np.ndarray, out: np.ndarray, stream: bool) -> None:
    """Write float32 `block`, with signs from `words` where there are some, as numbers of the type of `out`."""
    kernel("finish").finish(block, words, *raw(out), stream)


def aligned(rows: int, cols: int) -> np.ndarray:
    """Zeros, float32, that start at a line of the cache."""
    memory = np.zeros(rows * cols + LANES, np.float32)
    first = -memory.ctypes.data // 4 % LANES
    return memory[first : first + rows * cols].reshape(rows, cols)
