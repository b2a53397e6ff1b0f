"""Numba form of the last step of decoding; see `plain.finish` for the definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.simd import LANES, copy, fence, put, read_word

__all__ = ["finish"]


@jit
def finish(block, words, out, kind, stream):  # type: ignore[no-untyped-def]
    spare = np.empty(3 * LANES, np.float32)
    for i in range(block.shape[0]):
        signs = np.intp(words[i].ctypes.data) if words.size else np.intp(0)
        finish_row(
            np.intp(block[i].ctypes.data), signs, 0, block.shape[1], np.intp(out[i].ctypes.data), kind, stream, spare
        )
    if stream:
        fence()


def _loop(kind: int, stream: bool) -> Any:
    """A loop over whole vectors for one type of number: branches within would cost as much as the work."""

    @jit
    def loop(source, words, first, count, target):  # type: ignore[no-untyped-def]
        size = 4 if kind == 0 else 2
        for j in range(0, count, LANES):
            put(source + 4 * j, np.float32(1), _signs(words, first + j, LANES), target + size * j, kind, stream)

    return loop


_singles, _singles_past = _loop(0, False), _loop(0, True)
_halves, _halves_past = _loop(1, False), _loop(1, True)
_bfloats, _bfloats_past = _loop(2, False), _loop(2, True)


@jit
def finish_row(source, words, first, count, target, kind, stream, spare):  # type: ignore[no-untyped-def]
    # `words` is the address of a row's sign words, or 0; the bit of source[j] is first + j.
    size = 4 if kind == 0 else 2
    start = np.intp(0)
    if stream:
        start = min((-target & (size * LANES - 1)) // size, count)
        _piece(source, words, first, start, target, kind, spare)
    whole = (count - start) // LANES * LANES
    at, bit, to = source + 4 * start, first + start, target + size * start
    if kind == 0:
        if stream:
            _singles_past(at, words, bit, whole, to)
        else:
            _singles(at, words, bit, whole, to)
    elif kind == 2:
        if stream:
            _bfloats_past(at, words, bit, whole, to)
        else:
            _bfloats(at, words, bit, whole, to)
    elif stream:
        _halves_past(at, words, bit, whole, to)
    else:
        _halves(at, words, bit, whole, to)
    done = start + whole
    _piece(source + 4 * done, words, first + done, count - done, target + size * done, kind, spare)


@jit
def _piece(source, words, first, count, target, kind, spare):  # type: ignore[no-untyped-def]
    if count <= 0:
        return
    here = np.intp(spare.ctypes.data)
    there = here + 8 * LANES
    copy(source, here, 4 * count)
    signs = _signs(words, first, count)
    if kind == 2:
        put(here, np.float32(1), signs, there, 2, False)
    elif kind == 1:
        put(here, np.float32(1), signs, there, 1, False)
    else:
        put(here, np.float32(1), signs, there, 0, False)
    copy(there, target, (4 if kind == 0 else 2) * count)


@jit
def _signs(words, at, count):  # type: ignore[no-untyped-def]
    if words == 0:
        return np.uint16(0)
    shift = np.uint64(at & 63)
    word = words + 8 * (at >> 6)
    found = read_word(word) >> shift
    if (at & 63) + count > 64:
        found |= read_word(word + 8) << (np.uint64(64) - shift)
    return np.uint16(found)
