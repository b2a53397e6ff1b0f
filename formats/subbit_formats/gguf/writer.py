"""Write a GGUF file one tensor at a time, by the gguf package."""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from subbit_formats.errors import SubbitError
from subbit_formats.sbit.atomic import AtomicFile, translated

__all__ = ["TYPES", "GgufWriter", "file_fields", "stored_type"]

TYPES = {"F32": "ALL_F32", "F16": "MOSTLY_F16", "BF16": "MOSTLY_BF16", "Q8_0": "MOSTLY_Q8_0"}
"""What most tensors of a file are stored as, and what GGUF calls such a file."""


def file_fields(metadata: Mapping[str, str], kind: str) -> dict[str, Any]:
    """The key-values of a file of that kind: what GGUF calls it, and the name that the model came with."""
    from gguf.constants import GGML_QUANT_VERSION, LlamaFileType

    named = {key: metadata[key] for key in ("general.name",) if key in metadata}
    code = int(LlamaFileType[TYPES[kind]])
    return {**named, "general.file_type": code, "general.quantization_version": GGML_QUANT_VERSION}


def stored_type(kind: str, shape: tuple[int, ...]) -> str:
    """What a tensor is stored as in a file of that kind: vectors stay F32, rows that do not split into blocks F16."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    if len(shape) < 2:
        return "F32"
    block, _ = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    return "F16" if shape[-1] % block else kind


class GgufWriter:
    """A file of known key-values, names, types and shapes; publishes on success and else leaves nothing.

    `fields` are key-values: texts, numbers, flags, or lists of one kind. `tensors` maps names to (type, shape), rows
    first; :meth:`write` takes the weights in that order. Raises :class:`UsageError` where the output exists.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        architecture: str,
        fields: Mapping[str, Any],
        tensors: Mapping[str, tuple[str, tuple[int, ...]]],
        *,
        force: bool = False,
    ) -> None:
        import gguf

        self._types = [kind for kind, _ in tensors.values()]
        self._file = AtomicFile(Path(path), force=force)
        self._writer = gguf.GGUFWriter(self._file.temporary, architecture)
        try:
            for key, value in fields.items():
                _add(self._writer, key, value)
            for name, (kind, shape) in tensors.items():
                self._declare(name, kind, shape)
            with translated(self._file.path):
                self._writer.write_header_to_file()
                self._writer.write_kv_data_to_file()
                self._writer.write_ti_data_to_file()
        except BaseException:
            self._close()
            raise

    def _declare(self, name: str, kind: str, shape: tuple[int, ...]) -> None:
        import numpy as np
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        code = GGMLQuantizationType[kind]
        block, block_bytes = GGML_QUANT_SIZES[code]
        size = math.prod(shape) // block * block_bytes
        self._writer.add_tensor_info(name, shape, np.dtype(np.float32), size, raw_dtype=code)

    def write(self, weights: Any) -> None:
        """Append the next tensor, float32 weights, as what it was declared to be."""
        from gguf.constants import GGMLQuantizationType
        from gguf.quants import quantize

        with translated(self._file.path):
            self._writer.write_tensor_data(quantize(weights, GGMLQuantizationType[self._types.pop(0)]))

    def _close(self) -> None:
        self._writer.close()
        self._file.discard()

    def __enter__(self) -> GgufWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                if self._types:
                    raise SubbitError("tensors of the header are missing", kind="size", path=self._file.path)
                with translated(self._file.path):
                    self._writer.close()
                self._file.sync()
                self._file.publish()
        finally:
            self._close()


def _add(writer: Any, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
