"""The parent checkpoint of a file: any checkpoint, arrays, or another `.sbit` file, one tensor read at a time."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from subbit.errors import SubbitError
from subbit.model.tensor import Tensor
from subbit.parents import WAY_OUT
from subbit_formats.sbit import Archive, open_reader
from subbit_formats.sources import Source, SourceTensor, open_source

__all__ = ["Checkpoint", "Parent"]

Checkpoint = str | PathLike[str] | Mapping[str, np.ndarray]


class Parent:
    """An open parent checkpoint; only headers are read before `read`, and nothing is kept. A context manager.

    Raises :class:`SubbitError` for a path that is neither a checkpoint nor a `.sbit` file.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.name = None if isinstance(checkpoint, Mapping) else Path(fspath(checkpoint)).name
        self._opened: Any = checkpoint if isinstance(checkpoint, Mapping) else _open(fspath(checkpoint))

    def find(self, name: str) -> np.ndarray | None:
        """The parent's tensor of this name, or of the name that it is tied to; None if there is none."""
        tensors = self._opened.tensors if isinstance(self._opened, Archive) else self._opened
        found = tensors.get(getattr(self._opened, "aliases", {}).get(name, name))
        if found is None:
            return None
        if isinstance(self._opened, Archive):
            return Tensor(self._opened, found).decode()
        return found.read() if isinstance(found, SourceTensor) else np.asarray(found)

    def read(self, name: str) -> np.ndarray:
        """The same; a :class:`SubbitError` (kind "parent") if there is none."""
        found = self.find(name)
        if found is None:
            text = f"the parent {self.name!r} has" if self.name else "the parent has"
            raise SubbitError(f"{text} no tensor of this name", kind="parent", tensor=name, hint=WAY_OUT)
        return found

    def close(self) -> None:
        """Close the file; arrays that were read stay valid."""
        if isinstance(self._opened, (Archive, Source)):
            self._opened.close()

    def __enter__(self) -> Parent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(path: str) -> Any:
    if path.endswith(".sbit.index.json"):
        return open_reader(path)
    try:
        return open_source(path)
    except SubbitError as error:
        if error.kind != "sbit":
            raise
    return open_reader(path)
