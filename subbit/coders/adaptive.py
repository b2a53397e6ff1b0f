"""Several arrays of non-negative integers as one short stream, with nothing stored about their statistics.

Made for the side information of a codec: scale codes, table entries, sizes. Every array starts without statistics and
learns them as it goes, which costs about half the logarithm of its length for every bit that tells its values apart.

Stored: a state (uint32) of one rANS coder, then 16-bit words in the order that the reader takes them.
"""

from __future__ import annotations

import numpy as np

from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.records import Buffer

__all__ = ["IntegerReader", "IntegerWriter", "stored_size"]

_INITIAL = 1 << 16
_PRECISION = 16
_LARGEST = (1 << 32) - 1


def _fresh() -> np.ndarray:
    return np.zeros((33, 32, 2), np.int64)


class IntegerWriter:
    """Collects arrays; :meth:`finish` codes them all."""

    def __init__(self) -> None:
        self._spans: list[np.ndarray] = []

    def add(self, values: np.ndarray) -> None:
        """Append integers in 0 … 2^32 - 1; raises :class:`SubbitError` (kind "symbols") for others."""
        values = np.asarray(values).reshape(-1).astype(np.int64)
        if values.size and not 0 <= int(values.min()) <= int(values.max()) <= _LARGEST:
            raise SubbitError("a value is no integer in 0 … 2^32 - 1", kind="symbols")
        digits = np.frexp((values + 1).astype(np.float64))[1] - 1
        spans = np.empty(int((2 * digits + 1).sum()), np.uint32)
        self._spans.append(spans[: kernel("adaptive").encode(values, _fresh(), spans)])

    def finish(self) -> bytes:
        """All arrays as bytes."""
        spans = np.concatenate([*self._spans, np.empty(0, np.uint32)])
        states, words = np.full(1, _INITIAL, np.uint32), np.empty(spans.size, np.uint16)
        first = kernel("rans").put(spans, _PRECISION, states, words)
        return states.astype("<u4").tobytes() + words[first:].astype("<u2").tobytes()


class IntegerReader:
    """Takes the arrays back in the order in which they were added; other data may follow the stream."""

    def __init__(self, data: Buffer) -> None:
        stored = np.frombuffer(data, np.uint8)
        if stored.size < 4:
            raise SubbitError(f"{stored.size} bytes are no stream of integers", kind="section")
        state = int(stored[:4].copy().view("<u4")[0])
        if state < _INITIAL:
            raise SubbitError("a coder state is out of range", kind="section")
        even = stored[4 : stored.size - stored.size % 2]
        self._words = even.copy().view("<u2").astype(np.uint16, copy=False)
        self._state = np.array([state, 0], np.uint32)

    def take(self, count: int, limit: int = _LARGEST) -> np.ndarray:
        """The next `count` integers, int64; raises :class:`SubbitError` (kind "section") for damage."""
        values = np.empty(count, np.int64)
        kernel("adaptive").decode(self._words, self._state, _fresh(), values)
        if int(self._state[1]) > self._words.size:
            raise SubbitError("integers are cut off", kind="section")
        if count and int(values.max()) > limit:
            raise SubbitError(f"integer {values.max()} is above {limit}", kind="section")
        return values

    def finish(self) -> int:
        """How many bytes the stream has; raises :class:`SubbitError` (kind "section") unless it ends here."""
        if int(self._state[0]) != _INITIAL:
            raise SubbitError("integers do not end with the last of them", kind="section")
        return 4 + 2 * int(self._state[1])


def stored_size(*arrays: np.ndarray) -> int:
    """Bytes that arrays add to a stream."""
    stream = IntegerWriter()
    for values in arrays:
        stream.add(values)
    return len(stream.finish()) - 4
