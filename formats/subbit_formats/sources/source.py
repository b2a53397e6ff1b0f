"""The two things every checkpoint becomes: a mapping of names, and tensors that are read when asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from subbit_formats.dtypes import ITEM_SIZES, numpy_dtype
from subbit_formats.errors import SubbitError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Array", "Extras", "Source", "SourceTensor", "naming", "read_range", "typed"]

Array = Any
"""A NumPy array of any type, ml_dtypes' included."""

Extras = Mapping[str, Callable[[], bytes]]
"""Files that travel with the weights, by name; calling one reads or builds its bytes."""


@dataclass(frozen=True)
class SourceTensor:
    """One tensor that has not been read yet: where it stands is inside `fetch`."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    fetch: Callable[[], Array] = field(repr=False, compare=False)
    path: Path | None = field(default=None, repr=False, compare=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the array that :meth:`read` returns."""
        return math.prod(self.shape) * ITEM_SIZES[self.dtype]

    def read(self) -> Array:
        """Read the tensor from disk into a new C-contiguous array of its own type; nothing is cached."""
        with naming(self.path, self.name):
            return self.fetch()


class Source(Mapping[str, SourceTensor]):
    """A checkpoint: tensors by name in the order of their UTF-8 names.

    `aliases` maps each further name of tied data to the name that holds it; aliases are no keys of
    the mapping, so nothing is stored twice. `extras` holds the files that belong to the weights.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        tensors: Iterable[SourceTensor],
        *,
        metadata: Mapping[str, str] | None = None,
        aliases: Mapping[str, str] | None = None,
        extras: Extras | None = None,
    ) -> None:
        self.path = path
        self.kind = kind
        self.metadata = dict(metadata or {})
        self.aliases = dict(sorted((aliases or {}).items()))
        self.extras = dict(sorted((extras or {}).items()))
        self._tensors: dict[str, SourceTensor] = {}
        for tensor in sorted(tensors, key=lambda tensor: tensor.name):  # code points sort as UTF-8 does
            if tensor.name in self._tensors:
                raise SubbitError("stands in the checkpoint twice", kind="duplicate", tensor=tensor.name)
            self._tensors[tensor.name] = tensor
        for name in self.aliases:
            if name in self._tensors:
                raise SubbitError("stands in the checkpoint twice", kind="duplicate", tensor=name)

    def __getitem__(self, name: str) -> SourceTensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"<{self.kind} source {str(self.path)!r}, {len(self)} tensors>"

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget the tensors, and with them whatever their readers hold; arrays already read stay valid."""
        self._tensors = {}


@contextmanager
def naming(path: Path | None = None, tensor: str | None = None) -> Iterator[None]:
    """Turn the system's errors into :class:`SubbitError`; name file and tensor on all that pass."""
    try:
        yield
    except SubbitError as error:
        error.at(path=path, tensor=tensor)
        raise
    except OSError as error:
        path = Path(error.filename) if isinstance(error.filename, str) else path
        if isinstance(error, FileNotFoundError):
            raise SubbitError("no such file or folder", kind="missing", path=path, tensor=tensor) from error
        reason = error.strerror or str(error)
        raise SubbitError(f"cannot be read: {reason}", kind="unreadable", path=path, tensor=tensor) from error


def read_range(path: Path, offset: int, nbytes: int) -> np.ndarray:
    """Read `nbytes` bytes of a file into a new uint8 array; raises ``truncated`` if the file ends before.

    A plain read and no memory map: no page of the file stays resident in the process, and a file
    that shrinks meanwhile is an error and not a crash.
    """
    import numpy as np

    buffer = np.empty(nbytes, np.uint8)
    with path.open("rb") as file:
        file.seek(offset)
        count = file.readinto(buffer.data)
    if count != nbytes:
        raise SubbitError(f"{nbytes - count} bytes are missing", kind="truncated", offset=offset + count)
    return buffer


def typed(data: np.ndarray, dtype: str, shape: tuple[int, ...]) -> Array:
    """View raw bytes as an array of a canonical type and a shape; nothing is copied."""
    return data.view(numpy_dtype(dtype)).reshape(shape)
