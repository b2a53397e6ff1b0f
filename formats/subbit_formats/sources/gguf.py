"""A GGUF file: quantized tensors are dequantized when read, under the names of the Hugging Face model."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from subbit_formats.errors import SubbitError
from subbit_formats.sources.gguf_config import config_json
from subbit_formats.sources.gguf_header import GgufHeader, GgufTensor, read_header
from subbit_formats.sources.gguf_names import FAMILY, hf_name, row_heads, uninterleave
from subbit_formats.sources.gguf_tokenizer import tokenizer_config_json, tokenizer_json
from subbit_formats.sources.source import Array, Source, SourceTensor, naming, read_range, typed

__all__ = ["open_gguf"]

_PLAIN = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
}  # fmt: skip
"""Types that are stored as they are; every other type is a quantized one and is read as float32."""

_UPDATE = "a newer gguf package may know it"


def open_gguf(path: Path) -> Source:
    """List the tensors; shapes in NumPy's order, so a linear layer's rows are its outputs.

    Names and the row order of q and k are those of transformers for the architectures in `FAMILY`.
    Names that are not known stay as they are and metadata["gguf.kept_names"] says which. Extras are
    a config.json and a tokenizer.json where they can be rebuilt. Raises ``format``, ``truncated``,
    ``duplicate`` or ``dtype``.
    """
    header = read_header(path)
    if header.fields.get("split.count", 1) not in (0, 1):
        hint = "merge the parts with llama.cpp's `llama-gguf-split --merge`"
        raise SubbitError("is one part of a split GGUF model", kind="format", hint=hint)
    size = path.stat().st_size
    tensors = []
    for tensor in header.tensors:
        with naming(tensor=tensor.name):
            tensors.append(_source_tensor(path, header, tensor, size))
    dtypes = {tensor.name: tensor.dtype for tensor in tensors}
    dtype = dtypes.get("model.embed_tokens.weight", "float32")
    return Source(path, "gguf", tensors, metadata=_metadata(header), extras=_extras(header, dtype))


def _source_tensor(path: Path, header: GgufHeader, tensor: GgufTensor, size: int) -> SourceTensor:
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        kind = GGMLQuantizationType(tensor.type)
        block, block_bytes = GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError):
        raise SubbitError(f"unknown ggml type {tensor.type}", kind="dtype", hint=_UPDATE) from None
    if kind.name not in _PLAIN and not _can_dequantize(kind):
        raise SubbitError(f"ggml type {kind.name} cannot be dequantized", kind="dtype", hint=_UPDATE)
    width = tensor.shape[-1] if tensor.shape else 1
    if width % block:
        raise SubbitError(f"rows of {width} do not split into blocks of {block}", kind="format")
    nbytes = math.prod(tensor.shape) // block * block_bytes
    if missing := max(0, tensor.offset + nbytes - size):
        what = f"the file is truncated: {missing} bytes of this tensor are missing"
        raise SubbitError(what, kind="truncated", offset=size, hint="copy or download the file again")
    heads = row_heads(header, tensor.name, tensor.shape[0] if tensor.shape else 1)
    name = hf_name(header.architecture, tensor.name) or tensor.name
    fetch = partial(_fetch, path, tensor, kind, nbytes, heads)
    return SourceTensor(name, tensor.shape, _PLAIN.get(kind.name, "float32"), fetch, path)


@cache
def _can_dequantize(kind: Any) -> bool:
    """Ask the package itself, with one block, so that a newer one is used to the full."""
    import numpy as np
    from gguf.constants import GGML_QUANT_SIZES
    from gguf.quants import dequantize

    try:
        dequantize(np.zeros((1, GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def _fetch(path: Path, tensor: GgufTensor, kind: Any, nbytes: int, heads: int | None) -> Array:
    data = read_range(path, tensor.offset, nbytes)
    if kind.name in _PLAIN or nbytes == 0:
        array = typed(data, _PLAIN.get(kind.name, "float32"), tensor.shape)
    else:
        from gguf.quants import dequantize

        array = dequantize(data.reshape(math.prod(tensor.shape[:-1]), -1), kind).reshape(tensor.shape)
    return uninterleave(array, heads) if heads else array


def _metadata(header: GgufHeader) -> dict[str, str]:
    fields = header.fields
    general = {key: value for key, value in fields.items() if key.startswith("general.")}
    metadata = {key: str(value) for key, value in general.items() if isinstance(value, (str, int, float))}
    architecture = header.architecture
    kept = [tensor.name for tensor in header.tensors if hf_name(architecture, tensor.name) is None]
    if architecture not in FAMILY:
        metadata["gguf.kept_names"] = f"all: architecture {architecture!r} has no known Hugging Face names"
    elif kept:
        metadata["gguf.kept_names"] = ", ".join(sorted(kept))
    return metadata


def _extras(header: GgufHeader, dtype: str) -> dict[str, Callable[[], bytes]]:
    extras: dict[str, Callable[[], bytes]] = {}
    if (config := config_json(header, dtype)) is not None:
        extras["config.json"] = lambda: config
    if (tokenizer := tokenizer_json(header)) is not None:
        extras["tokenizer.json"] = lambda: tokenizer
        extras["tokenizer_config.json"] = lambda: tokenizer_config_json(header)
    return extras
