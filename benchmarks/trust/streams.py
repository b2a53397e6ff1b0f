"""The numbers behind the entropy coder: where they stand in a section, and others in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import numpy as np

from subbit.coders.adaptive import IntegerReader
from subbit.errors import SubbitError
from subbit.records import Encoded
from subbit.tensors import decode

__all__ = ["LARGEST", "Read", "answered", "place"]

LARGEST = (1 << 32) - 1
Answer = Callable[[np.ndarray, int, int], np.ndarray]
"""From the numbers that stand there, how many are asked for and the most they may be, to those that are read."""


class Read:
    """What was read of a stream: the numbers, and how many bytes they have where nothing was changed."""

    def __init__(self, address: int) -> None:
        self.address = address
        self.numbers: list[np.ndarray] = []
        self.length: int | None = None


def answered(encoded: Encoded, parent: np.ndarray | None, answer: Answer) -> Read | None:
    """Read the numbers of a tensor as `answer` wants them, and no further; None where it has no stream of them."""
    with _reading(answer) as found, suppress(SubbitError):
        decode(encoded, None, parent)
    return found[0] if found else None


def place(encoded: Encoded, parent: np.ndarray | None) -> tuple[str, int, int] | None:
    """The section, the first byte and the length of the numbers that a good tensor starts with."""
    read = answered(encoded, parent, _as_they_stand)
    if read is None or read.length is None:
        return None
    for name, section in encoded.sections.items():
        first = read.address - np.frombuffer(section, np.uint8).ctypes.data
        if 0 <= first < len(section):
            return name, first, read.length
    return None


def _as_they_stand(true: np.ndarray, count: int, limit: int) -> np.ndarray:
    return true


@contextmanager
def _reading(answer: Answer) -> Iterator[list[Read]]:
    found: list[Read] = []
    begin, take, finish = IntegerReader.__init__, IntegerReader.take, IntegerReader.finish

    def started(self: IntegerReader, data: Any) -> None:
        begin(self, data)
        found.append(Read(np.frombuffer(data, np.uint8).ctypes.data))

    def taken(self: IntegerReader, count: int, limit: int = LARGEST) -> np.ndarray:
        try:
            true = take(self, count, LARGEST)
        except SubbitError:
            true = np.empty(0, np.int64)
        numbers = answer(true, count, limit)
        found[-1].numbers.append(numbers)
        if count and int(numbers.max()) > limit:
            raise SubbitError("a number is above its limit", kind="section")
        return numbers

    def finished(self: IntegerReader) -> int:
        found[-1].length = finish(self) if answer is _as_they_stand else None
        raise SubbitError("all numbers are read", kind="section")

    with patch.multiple(IntegerReader, __init__=started, take=taken, finish=finished):
        yield found
