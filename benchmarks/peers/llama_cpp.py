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

__all__ = ["TYPES", "encode", "version"]

TYPES = {"Q1_0": 41, "IQ1_S": 19, "IQ1_M": 29, "IQ2_XXS": 16, "Q2_K": 10}
"""Names and values of ggml's `enum ggml_type`."""


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
def library() -> ctypes.CDLL:
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
    ggml = library()
    name = ggml.ggml_type_name(TYPES[kind]) or b""
    if name.decode().lower() != kind.lower():
        raise UnavailableError(f"{version()} has no {kind}")
    ggml.ggml_quantize_init(TYPES[kind])
    found: Traits = ggml.ggml_get_type_traits(TYPES[kind]).contents
    return found


def version() -> str:
    """Name and version; raises UnavailableError where it is not installed."""
    return f"libggml {library().ggml_version().decode()}"


def encode(weight: np.ndarray, kind: str) -> Stored:
    """Quantize with an importance of one for every column; widths off the block size are refused."""
    ggml, form, number = library(), traits(kind), TYPES[kind]
    rows, cols = weight.shape
    if cols % form.block_size:
        raise UnavailableError(f"refuses: {cols} columns are no multiple of {form.block_size}")
    blocks = np.zeros(rows * ggml.ggml_row_size(number, cols), np.uint8)
    ones = np.ones(cols, np.float32)
    ggml.ggml_quantize_chunk(number, weight.ctypes.data, blocks.ctypes.data, 0, rows, cols, ones.ctypes.data)

    def decode() -> np.ndarray:
        rebuilt = np.empty((rows, cols), np.float32)
        form.to_float(blocks.ctypes.data, rebuilt.ctypes.data, rebuilt.size)
        return rebuilt

    return Stored(blocks.nbytes, decode)
