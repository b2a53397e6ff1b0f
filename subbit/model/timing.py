"""How fast a file's tensors decode here, in copies of what decoding writes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from subbit.kernels.outputs import aligned
from subbit.model.file import File
from subbit.model.tensor import Tensor
from subbit_formats.dtypes import numpy_dtype

__all__ = ["DTYPES", "kinds", "ratios", "time_decoding", "time_loading"]

DTYPES = ("float32", "float16", "bfloat16")


def kinds(file: File, most: int) -> list[tuple[Tensor, int]]:
    """A tensor of each codec and shape that the budget covers, and how many there are: those with most weights."""
    groups: dict[tuple[Any, ...], list[Tensor]] = {}
    for name in file.archive.tensors:
        tensor = file[name]
        if tensor.covered:
            groups.setdefault((tensor.codec, str(tensor.entry.knobs), tensor.shape), []).append(tensor)
    found = [(tensors[0], len(tensors)) for tensors in groups.values()]
    found.sort(key=lambda kind: (-kind[0].encoded.weights * kind[1], kind[0].entry.name))
    return found[:most]


def time_decoding(tensor: Tensor, turns: int) -> dict[str, float]:
    """By type: how many times as fast as copying as many bytes, into memory that was touched; medians of turns."""
    encoded = tensor.encoded
    found = {}
    for name in DTYPES:
        dtype = numpy_dtype(name)
        target, source, copy = (_touched(encoded.weights, dtype).reshape(tensor.shape) for _ in range(3))
        found[name] = ratios(partial(tensor.decode, target), partial(np.copyto, copy, source), turns)
    return found


def time_loading(tensor: Tensor, turns: int) -> float:
    """How many times as fast decoding to float16 is as loading a safetensors file of it and copying that.

    The file is written to the temporary folder, and read from the system's page cache.
    """
    from safetensors.numpy import load_file, save_file

    half = numpy_dtype("float16")
    target, copy = (_touched(tensor.encoded.weights, half).reshape(tensor.shape) for _ in range(2))
    with TemporaryDirectory() as folder, np.errstate(over="ignore"):
        path = Path(folder) / "weight.safetensors"
        save_file({"weight": tensor.decode(target)}, path)
        return ratios(partial(tensor.decode, target), lambda: np.copyto(copy, load_file(path)["weight"]), turns)


def _touched(count: int, dtype: np.dtype) -> np.ndarray:
    """Ones that start at a line of the cache."""
    memory = aligned(1, -(-count * dtype.itemsize // 4)).view(np.uint8).ravel()
    found = memory[: count * dtype.itemsize].view(dtype)
    found[:] = 1
    return found


def ratios(ours: Callable[[], Any], theirs: Callable[[], Any], turns: int) -> float:
    """The median over turns of their time ÷ ours; each runs once before, which compiles."""
    found = []
    for turn in range(turns + 1):
        start = time.perf_counter()
        ours()
        middle = time.perf_counter()
        theirs()
        if turn:
            found.append((time.perf_counter() - middle) / max(middle - start, 1e-9))
    return statistics.median(found)
