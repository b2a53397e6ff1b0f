"""The sign bits themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from subbit.bits.packing import pack_signs, packed_size, unpack_signs
from subbit.errors import SubbitError
from subbit.records import Buffer

__all__ = ["Stored"]


@dataclass(frozen=True)
class Stored:
    """Every sign as one bit, row after row without padding, lowest bit first: 1 bit a weight."""

    kind: ClassVar[str] = "stored"

    def bits(self, rows: int, cols: int) -> int:
        """One bit a weight, rounded up to a byte."""
        return 8 * packed_size(rows * cols, 1)

    def encode(self, words: np.ndarray, rows: int, cols: int) -> bytes:
        """Drop the padding of the rows."""
        return np.packbits(unpack_signs(words, cols), bitorder="little").tobytes()

    def fill(self, data: Buffer, rows: int, cols: int, start: int, stop: int, out: np.ndarray) -> None:
        """Put the padding back; a SubbitError for a wrong length or set bits behind the last sign."""
        octets, due = np.frombuffer(data, np.uint8), packed_size(rows * cols, 1)
        if len(octets) != due:
            raise SubbitError(f"{len(octets)} bytes of signs where {due} are due", kind="section")
        if rows * cols % 8 and octets[-1] >> (rows * cols % 8):
            raise SubbitError("bits are set behind the last stored sign", kind="section")
        if cols and cols % 8 == 0:  # rows are whole bytes
            padded = np.zeros((stop - start, 8 * out.shape[1]), np.uint8)
            padded[:, : cols // 8] = octets[start * cols // 8 : stop * cols // 8].reshape(-1, cols // 8)
            out[:] = padded.view("<u8")
            return
        first = start * cols // 8
        bits = np.unpackbits(octets[first : -(-stop * cols // 8)], bitorder="little")
        bits = bits[start * cols - 8 * first :][: (stop - start) * cols]
        out[:] = pack_signs(bits.reshape(stop - start, cols).view(bool))
