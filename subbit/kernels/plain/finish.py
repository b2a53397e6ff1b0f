"""The last step of decoding: signs, and the type of number that is wanted."""

from __future__ import annotations

import numpy as np

__all__ = ["finish"]


def finish(block: np.ndarray, words: np.ndarray, out: np.ndarray, kind: int, stream: bool) -> None:
    """Write float32 `block`, negated where a bit of `words` is set, as float32 (kind 0), float16 (1), bfloat16 (2).

    No sign words: all signs stay. `out` holds the bits, as uint32 or uint16, rounded to nearest even:
    subnormal numbers are kept, what is too large is infinite, NaN becomes some NaN. It may be the block's own memory.
    `stream` writes past the caches, for large outputs that nobody reads soon.
    """
    bits = block.view(np.uint32)
    if words.size:
        octets = np.ascontiguousarray(words.astype("<u8")).view(np.uint8)
        negative = np.unpackbits(octets, axis=1, count=block.shape[1], bitorder="little")
        bits = bits ^ (negative.astype(np.uint32) << np.uint32(31))
    if kind == 0:
        out[:] = bits
    elif kind == 1:
        out[:] = halves(bits.view(np.float32))
    else:
        out[:] = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)


def halves(block: np.ndarray) -> np.ndarray:
    """The bits of float32 numbers as float16."""
    with np.errstate(over="ignore", under="ignore"):
        found: np.ndarray = block.astype(np.float16).view(np.uint16)
    return found
