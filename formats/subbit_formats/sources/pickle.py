"""A torch checkpoint (.pt, .pth, .bin), loaded with `weights_only=True` and never in another way.

torch is imported when such a file is opened. Files of the zip format are mapped, so that opening
reads no weights; those of the format before torch 1.6 are loaded whole.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subbit_formats.dtypes import ITEM_SIZES, numpy_dtype
from subbit_formats.errors import SubbitError
from subbit_formats.sources.source import Array, Source, SourceTensor

if TYPE_CHECKING:
    import torch

__all__ = ["WRAPPERS", "open_torch"]

WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "weights")
"""Keys under which training scripts put the weights, beside optimizer states that are none."""

MAX_DEPTH = 32
_INTEGERS = {1: "uint8", 2: "int16"}
_MADV_PAGEOUT = 21  # Linux 5.4; Python has no name for it


def open_torch(path: Path) -> Source:
    """Load the checkpoint's structure and list its tensors; nested names are joined with dots.

    What is no tensor is ignored. Tensors that share all of their memory become aliases of the first
    in the file. Raises ``unsafe`` for pickles that would run code, ``format`` for damaged ones,
    ``dtype`` for tensors that no array can hold (sparse, quantized, sub-byte).
    """
    with path.open("rb") as file:
        mapped = file.read(4) == b"PK\x03\x04"
    holders: dict[tuple[Any, ...], str] = {}
    aliases = {}
    tensors = []
    for name, tensor in _walk(_weights(_load(path, mapped)), "", 0):
        dtype = _dtype(name, tensor)
        view = tensor.data_ptr(), tensor.shape, tensor.stride(), dtype
        if tensor.numel() and view in holders:
            aliases[name] = holders[view]
            continue
        holders[view] = name
        fetch = partial(_fetch, tensor, dtype, mapped)
        tensors.append(SourceTensor(name, tuple(tensor.shape), dtype, fetch, path))
    if not tensors:
        raise SubbitError("this torch checkpoint holds no tensors", kind="format")
    return Source(path, "torch", tensors, aliases=aliases)


def _load(path: Path, mapped: bool) -> object:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error below says it
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # damaged files raise anything, KeyError and EOFError included
        text = str(error)
        if "Weights only load failed" in text or "TorchScript" in text:
            culprit = re.search(r"GLOBAL\s+([\w.]+)", text)
            what = f"holds {culprit[1]}" if culprit else "holds more than tensors"
            hint = "where you trust it, load it and save only weights: torch.save(model.state_dict(), path)"
            raise SubbitError(f"cannot be loaded safely, it {what}", kind="unsafe", hint=hint) from error
        reason = ": ".join([type(error).__name__, *text.splitlines()[:1]])
        raise SubbitError(f"is no torch checkpoint, or a damaged one ({reason})", kind="format") from error


def _weights(checkpoint: object) -> object:
    """Step through wrappers that hold the weights beside other things."""
    import torch

    for _ in range(MAX_DEPTH):
        if not isinstance(checkpoint, Mapping):
            break
        if any(isinstance(value, torch.Tensor) for value in checkpoint.values()):
            break
        inner = [checkpoint[key] for key in WRAPPERS if isinstance(checkpoint.get(key), Mapping)]
        if not inner:
            break
        checkpoint = inner[0]
    return checkpoint


def _walk(node: object, name: str, depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    import torch

    if depth > MAX_DEPTH:
        raise SubbitError(f"containers are nested more than {MAX_DEPTH} deep", kind="format")
    if isinstance(node, torch.Tensor):
        yield name or "tensor", node.detach()
    elif isinstance(node, (Mapping, list, tuple)):
        for key, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            yield from _walk(value, f"{name}.{key}" if name else str(key), depth + 1)


def _dtype(name: str, tensor: torch.Tensor) -> str:
    import torch

    dtype = str(tensor.dtype).removeprefix("torch.")
    if tensor.layout != torch.strided or tensor.is_quantized or dtype not in ITEM_SIZES:
        what = dtype if tensor.layout == torch.strided else str(tensor.layout).removeprefix("torch.")
        raise SubbitError(f"{what} tensors cannot be read", kind="dtype", tensor=name, hint="save it dense")
    return dtype


def _fetch(tensor: torch.Tensor, dtype: str, mapped: bool) -> Array:
    import torch

    copy = tensor.clone(memory_format=torch.contiguous_format).resolve_conj().resolve_neg()
    if mapped:
        _release(tensor)
    if dtype.startswith(("bfloat", "float8")):  # torch hands NumPy none of these but as integers
        integers = getattr(torch, _INTEGERS[ITEM_SIZES[dtype]])
        return copy.view(integers).numpy().view(numpy_dtype(dtype))
    return copy.numpy()


def _release(tensor: torch.Tensor) -> None:
    """Give the pages of a mapped tensor back, so that reading a whole file leaves none of it resident.

    MADV_PAGEOUT is a hint that never changes what memory holds, wherever torch put the storage.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes
    import mmap

    storage = tensor.untyped_storage()
    first = -(-storage.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
    length = storage.data_ptr() + storage.nbytes() - first
    if length > 0:
        madvise = ctypes.CDLL(None).madvise
        madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), ctypes.c_int(_MADV_PAGEOUT))
