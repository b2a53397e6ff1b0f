"""From a walk along a bitshift trellis to its weights.

A tile is a run of weights and a string of bits. The running sum of the rates (integers, 2^-16 bit a weight) says
after how many bits a weight stands: ⌈sum / 65536⌉. Its state is the last `state_bits` bits before there, the newest
one on top, zeros before the first one. Its phase counts the weights since the last new bit. Weights of rate 0 are 0
and touch nothing. `table` float32[8, 2**state_bits] holds the value of every phase and state.
Source: Tseng et al., "QTIP: Quantization with Trellises and Incoherence Processing", arXiv 2406.11235.
"""

from __future__ import annotations

import numpy as np

from subbit.kernels.plain.finish import finish

__all__ = ["decode", "decode_even"]


def steps(rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """New bits (0 … 8) and phase (0 … 7) of every weight, as int64; both 0 where the rate is 0."""
    sums = np.cumsum(rates, dtype=np.int64)
    bits = ((sums + 65535) >> 16) - ((sums - rates + 65535) >> 16)
    number = np.cumsum(rates > 0)
    since = np.maximum.accumulate(np.where(bits > 0, number, 1))
    phases = np.where(rates > 0, number - since, 0)
    return bits, phases


def decode(
    packed: np.ndarray,
    starts: np.ndarray,
    tile_rows: int,
    classes: np.ndarray,
    rates: np.ndarray,
    scales: np.ndarray,
    table: np.ndarray,
    out: np.ndarray,
) -> None:
    """out[rows, cols] = scale · value; row i has the rates and scales [classes[i]], tile k the bits from starts[k].

    A tile is `tile_rows` rows, one behind the other; the last may hold fewer. Two bytes follow the last tile.
    """
    top = table.shape[1].bit_length() - 1
    for k, start in enumerate(range(0, len(out), tile_rows)):
        rows = classes[start : start + tile_rows]
        tile_rates = rates[rows].ravel().astype(np.int64)
        bits, phases = steps(tile_rates)
        ends = np.cumsum(bits)
        count = int(ends[-1]) if ends.size else 0
        first = int(starts[k])
        string = np.unpackbits(packed[first >> 3 : (first + count + 7) >> 3], bitorder="little")[first & 7 :]
        string = np.concatenate([np.zeros(top, np.int64), string])
        state = sum(string[ends + place] << place for place in range(top))
        values = np.where(tile_rates > 0, table[phases, state], np.float32(0)).reshape(len(rows), -1)
        with np.errstate(over="ignore", invalid="ignore"):
            np.multiply(values, scales[rows], out=out[start : start + tile_rows])


def decode_even(
    packed: np.ndarray, starts: np.ndarray, tile_rows: int, classes: np.ndarray, scales: np.ndarray, table: np.ndarray,
    bits: int, out: np.ndarray, kind: int, stream: bool,
) -> None:  # fmt: skip
    """The same where all look-ups of as many weights as the table is wide take so many bits; finished as `finish` does.

    The table is that of :func:`windows`; those bits a weight, times the columns, are whole. Eight bytes precede the
    first tile, and eight follow the last.
    """
    rows = np.arange(len(out))
    done = rows % tile_rows * (out.shape[1] * bits // table.shape[1])
    block = even_values(packed, starts[rows // tile_rows] + done, done, table, bits, out.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = block * scales[classes]
    finish(scaled, np.empty((0, 0), np.uint64), out, kind, stream)


def even_values(
    packed: np.ndarray, places: np.ndarray, done: np.ndarray, table: np.ndarray, bits: int, cols: int
) -> np.ndarray:
    """float32[rows, cols] before scales: row i has its first new bit at places[i], bit done[i] of its tile."""
    width, steps = len(table).bit_length() - 1, -(-cols // table.shape[1])
    string = np.unpackbits(packed, bitorder="little")
    of = bits * np.arange(1, steps + 1)[:, None] + np.arange(-width, 0)  # [step, place in the window]
    codes = np.empty((len(places), steps), np.int64)
    for i, (place, before) in enumerate(zip(places.tolist(), done.tolist(), strict=True)):
        at = np.minimum(place + of, string.size - 1)  # weights past the last column are dropped
        codes[i] = np.where(before + of >= 0, string[at], 0) @ (1 << np.arange(width))
    return table[codes].reshape(len(places), -1)[:, :cols].astype(np.float32) / np.float32(1024)
