"""llama.cpp's low-bit block formats, through the libggml of the npm package `@node-llama-cpp/linux-x64`.

Set-up: `npm install --no-save @node-llama-cpp/linux-x64` in any folder, and SUBBIT_LLAMA set to that folder
(by default the current one). Counted are the blocks alone; what a GGUF file adds is left out.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.peers.base import Stored, UnavailableError

__all__ = ["FALLBACKS", "TYPES", "encode", "encode_as_file", "encode_flat", "version"]

TYPES = {"Q1_0": 41, "IQ1_S": 19, "IQ1_M": 29, "IQ2_XXS": 16, "Q2_K": 10}
"""Names and values of ggml's `enum ggml_type`."""

FALLBACKS = {"IQ1_S": "IQ4_NL", "IQ1_M": "IQ4_NL", "IQ2_XXS": "IQ4_NL", "Q2_K": "Q4_0"}
"""What `llama-quantize` takes for rows that are no whole number of blocks; it refuses all else."""

_NUMBERS = {**TYPES, "IQ4_NL": 20, "Q4_0": 2, "F16": 1}


class Traits(ctypes.Structure):
    """The head of `struct ggml_type_traits`, as far as the function that dequantizes."""

    _fields_ = (
        ("type_name", ctypes.c_char_p),
        ("block_size", ctypes.c_int64),
        ("block_size_interleave", ctypes.c_int64),
        ("type_size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
    )


@cache
def libggml() -> ctypes.CDLL:
    """libggml-base with the signatures used here; raises UnavailableError where it is not installed."""
    root = Path(os.environ.get("SUBBIT_LLAMA", ".")) / "node_modules" / "@node-llama-cpp" / "linux-x64"
    found = sorted(root.glob("bins/*/libggml-base.so"))
    if not found:
        raise UnavailableError("@node-llama-cpp/linux-x64 is not installed")
    ggml = ctypes.CDLL(str(found[0]), mode=ctypes.RTLD_GLOBAL)
    ggml.ggml_version.restype = ggml.ggml_type_name.restype = ctypes.c_char_p
    ggml.ggml_get_type_traits.restype = ctypes.POINTER(Traits)
    ggml.ggml_quantize_init.restype = None
    ggml.ggml_quantize_chunk.restype = ggml.ggml_row_size.restype = ctypes.c_size_t
    ggml.ggml_row_size.argtypes = (ctypes.c_int, ctypes.c_int64)
    ggml.ggml_quantize_chunk.argtypes = (
        (ctypes.c_int,) + (ctypes.c_void_p,) * 2 + (ctypes.c_int64,) * 3 + (ctypes.c_void_p,)
    )
    return ggml


@cache
def traits(kind: str) -> Traits:
    """The library's description of a type, set up; raises UnavailableError where it has no such type."""
    ggml = libggml()
    name = ggml.ggml_type_name(_NUMBERS[kind]) or b""
    if name.decode().lower() != kind.lower():
        raise UnavailableError(f"{version()} has no {kind}")
    ggml.ggml_quantize_init(_NUMBERS[kind])
    found: Traits = ggml.ggml_get_type_traits(_NUMBERS[kind]).contents
    return found


def version() -> str:
    """Name and version; raises UnavailableError where it is not installed."""
    return f"libggml {libggml().ggml_version().decode()}"


def encode(weight: np.ndarray, kind: str, importance: np.ndarray | None = None) -> Stored:
    """Quantize with an importance of every column (one where none is given); widths off the block size are refused."""
    ggml, form, number = libggml(), traits(kind), _NUMBERS[kind]
    rows, cols = weight.shape
    if cols % form.block_size:
        raise UnavailableError(f"refuses: {cols} columns are no multiple of {form.block_size}")
    blocks = np.zeros(rows * ggml.ggml_row_size(number, cols), np.uint8)
    given = np.ones(cols, np.float32) if importance is None else np.ascontiguousarray(importance, np.float32)
    ggml.ggml_quantize_chunk(number, weight.ctypes.data, blocks.ctypes.data, 0, rows, cols, given.ctypes.data)

    def decode(out: np.ndarray | None = None) -> np.ndarray:
        rebuilt = np.empty((rows, cols), np.float32) if out is None else out
        form.to_float(blocks.ctypes.data, rebuilt.ctypes.data, rebuilt.size)
        return rebuilt

    return Stored(blocks.nbytes, decode)


def encode_as_file(weight: np.ndarray, kind: str, importance: np.ndarray | None = None) -> Stored:
    """As `llama-quantize --pure` would: rows that are no whole number of blocks get another type, of more bits.

    That type comes from FALLBACKS, and is F16 where it does not fit either (`tensor_type_fallback` of llama.cpp).
    """
    cols = weight.shape[1]
    if cols % traits(kind).block_size and kind in FALLBACKS:
        kind = FALLBACKS[kind] if cols % traits(FALLBACKS[kind]).block_size == 0 else "F16"
    return encode(weight, kind, importance)


def encode_flat(weight: np.ndarray, kind: str, importance: np.ndarray | None = None) -> Stored:
    """With blocks that run on across the ends of rows, zeros after the last: no program reads such a file.

    It shows what the type could do at its own bits for widths that llama.cpp does not quantize.
    """
    size = weight.size
    length = -(-size // traits(kind).block_size) * traits(kind).block_size
    row, weights = np.zeros((1, length), np.float32), np.zeros(length, np.float32)
    row[0, :size] = weight.ravel()
    weights[:size] = 1 if importance is None else np.tile(importance, weight.shape[0])
    stored = encode(row, kind, weights)
    return Stored(stored.size, lambda: stored.decode()[0, :size].reshape(weight.shape))
