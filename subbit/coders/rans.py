"""The entropy coder: a block of symbols to bytes and back, given a model of their frequencies.

Stored: L final states (uint32), then 16-bit words in the order the decoder reads them, all little-endian.
Costs what :meth:`Frequencies.cost` says, within about .1 %, plus 4 bytes a lane.
"""

from __future__ import annotations

import numpy as np

from subbit.coders.frequencies import Frequencies
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.records import Buffer

__all__ = ["decode", "encode", "lanes_for"]

_INITIAL = 1 << 16
_NO_CONTEXTS = np.empty(0, np.uint8)


def lanes_for(count: int) -> int:
    """How many states share a block of `count` symbols: the largest power of two ≤ count / 4096, 1 … 16."""
    return 1 << (min(max(count >> 12, 1), 16).bit_length() - 1)


def encode(symbols: np.ndarray, frequencies: Frequencies, contexts: np.ndarray | None = None) -> bytes:
    """Code uint8 symbols, each with the frequencies of its own context (uint8, same length; all 0 if None).

    Raises :class:`SubbitError` (kind "symbols") for a symbol or context that the table does not have.
    """
    symbols = np.ascontiguousarray(_bytes_only(symbols))
    contexts = _checked_contexts(contexts, symbols.size, frequencies, "symbols")
    if symbols.size and int(symbols.max()) >= frequencies.table.shape[1]:
        raise SubbitError(f"symbol {symbols.max()} is outside the alphabet", kind="symbols")
    states = np.full(lanes_for(symbols.size), _INITIAL, np.uint32)
    words = np.empty(symbols.size, np.uint16)
    first = kernel("rans").encode(symbols, contexts, frequencies.spans, states, words)
    if first < 0:
        raise SubbitError("a symbol has frequency 0 in its context", kind="symbols")
    return states.astype("<u4").tobytes() + words[first:].astype("<u2").tobytes()


def decode(
    data: Buffer,
    count: int,
    frequencies: Frequencies,
    contexts: np.ndarray | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Rebuild the `count` symbols as uint8, into `out` (contiguous, of that length) or a new array.

    Raises :class:`SubbitError` (kind "section") unless the data end exactly where the symbols do.
    """
    stored = np.array(np.frombuffer(data, np.uint8))
    lanes = lanes_for(count)
    if stored.size < 4 * lanes or stored.size % 2:
        raise SubbitError(f"{stored.size} bytes are no block of {count} symbols", kind="section")
    states = stored[: 4 * lanes].view("<u4").astype(np.uint32)
    words = stored[4 * lanes :].view("<u2").astype(np.uint16, copy=False)
    contexts = _checked_contexts(contexts, count, frequencies, "section")
    symbols = np.empty(count, np.uint8) if out is None else _bytes_only(out)
    if symbols.size != count or not symbols.flags.c_contiguous:
        raise SubbitError(f"out is not a contiguous array of {count} symbols", kind="out")
    if int(states.min()) < _INITIAL:
        raise SubbitError("a coder state is out of range", kind="section")
    used = kernel("rans").decode(words, contexts, frequencies.slots, states, symbols)
    if used != words.size or np.any(states != _INITIAL):
        raise SubbitError(f"the data do not end with the last of {count} symbols", kind="section")
    return symbols


def _bytes_only(symbols: np.ndarray) -> np.ndarray:
    if symbols.dtype != np.uint8 or symbols.ndim != 1:
        raise SubbitError(f"symbols are 1-D uint8, not {symbols.ndim}-D {symbols.dtype}", kind="symbols")
    return symbols


def _checked_contexts(contexts: np.ndarray | None, count: int, frequencies: Frequencies, kind: str) -> np.ndarray:
    if contexts is None:
        return _NO_CONTEXTS
    contexts = np.ascontiguousarray(_bytes_only(contexts))
    if contexts.size != count:
        raise SubbitError(f"{contexts.size} contexts for {count} symbols", kind=kind)
    if count and int(contexts.max()) >= frequencies.table.shape[0]:
        raise SubbitError(f"context {contexts.max()} has no frequencies", kind=kind)
    return contexts
