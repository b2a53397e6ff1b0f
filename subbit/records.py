"""The frozen records that all layers share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Buffer", "Encoded", "Shape", "matrix_shape"]

Shape = tuple[int, ...]
Buffer = Any
"""Anything with the buffer protocol: bytes, a memoryview into the mapped file, a uint8 array."""


@dataclass(frozen=True)
class Encoded:
    """One tensor as bytes: which codec, its knobs, and the named sections that decoding needs.

    `bits` is the sum of the sections, counted and never claimed; what the container adds (index
    entry, checksums, padding) is counted by the file.
    """

    codec: str
    knobs: Mapping[str, Any]
    shape: Shape
    dtype: str
    sections: Mapping[str, Buffer]

    @property
    def weights(self) -> int:
        """How many numbers the tensor holds (1 for a 0-d tensor, 0 for an empty one)."""
        return math.prod(self.shape)

    @property
    def bits(self) -> int:
        """Stored bits of all sections together."""
        return 8 * sum(memoryview(section).nbytes for section in self.sections.values())

    @property
    def bits_per_weight(self) -> float:
        """Stored bits divided by weights; infinite for an empty tensor that still needs bytes."""
        if self.weights == 0:
            return math.inf if self.bits else 0.0
        return self.bits / self.weights


def matrix_shape(shape: Shape) -> tuple[int, int]:
    """View a tensor as the matrix (rows, columns) that codecs and sign templates work on.

    The dimensions are split at the place that makes the matrix most nearly square (the first such
    place on a tie): a linear stays as it is, a convolution (64, 64, 3, 3) becomes 64 × 576, experts
    (8, 512, 1024) become 4096 × 1024. 1-D tensors are one row, 0-d tensors one weight.
    """
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) < 2:
        return 1, math.prod(shape)
    splits = ((math.prod(shape[:k]), math.prod(shape[k:])) for k in range(1, len(shape)))
    return min(splits, key=lambda split: max(split))
