"""Multiply by weights as they are stored: no matrix of them is ever in memory.

>>> packed = pack(file["layer.weight"].encoded)
>>> y = packed.multiply(x)  # x (n, columns) → y (n, rows)

Products need not be the same bits as those with the decoded matrix: their sums have another order.
"""

from __future__ import annotations

from subbit.packed.base import Packed
from subbit.packed.blocks import Blocks
from subbit.packed.choice import pack
from subbit.packed.measured import fastest

__all__ = ["Blocks", "Packed", "fastest", "pack"]
