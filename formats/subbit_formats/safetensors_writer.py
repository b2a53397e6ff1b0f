"""Write a safetensors file one tensor at a time; the library's own writer wants all of them in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from subbit_formats.dtypes import ITEM_SIZES
from subbit_formats.errors import SubbitError
from subbit_formats.sbit.atomic import AtomicFile
from subbit_formats.sources.safetensors import DTYPES

__all__ = ["SafetensorsWriter"]

_NAMES = {canonical: name for name, canonical in DTYPES.items()}


class SafetensorsWriter:
    """A file of known names, types and shapes; a context manager that publishes on success and else leaves nothing.

    `tensors` maps names to (dtype, shape). :meth:`write` takes the arrays in the order of `names`: large items
    first, then by name, as the format's library aligns them. Raises :class:`SubbitError` for a type that the format
    has not, :class:`UsageError` where the output exists.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        tensors: Mapping[str, tuple[str, tuple[int, ...]]],
        metadata: Mapping[str, str] | None = None,
        *,
        force: bool = False,
    ) -> None:
        for name, (dtype, _) in tensors.items():
            if dtype not in _NAMES:
                hint = "choose another --dtype"
                raise SubbitError(f"safetensors has no {dtype}", kind="dtype", path=path, tensor=name, hint=hint)
            if name == "__metadata__":
                raise SubbitError("safetensors keeps this name for itself", kind="name", path=path, tensor=name)
        self.names = sorted(tensors, key=lambda name: (-ITEM_SIZES[tensors[name][0]], name))
        header: dict[str, Any] = {"__metadata__": {"format": "pt", **(metadata or {})}}
        end = 0
        for name in self.names:
            dtype, shape = tensors[name]
            start, end = end, end + math.prod(shape) * ITEM_SIZES[dtype]
            header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [start, end]}
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        self._file = AtomicFile(Path(path), force=force)
        self._file.write(len(text).to_bytes(8, "little") + text)
        self._missing = end

    def write(self, array: Any) -> None:
        """Append the next tensor's items."""
        import numpy as np

        items = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        self._missing -= len(items)
        self._file.write(items)

    def __enter__(self) -> SafetensorsWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                if self._missing:
                    raise SubbitError("the tensors are not those of the header", kind="size", path=self._file.path)
                self._file.sync()
                self._file.publish()
        finally:
            self._file.discard()
