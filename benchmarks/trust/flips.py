"""Every single-bit flip, every truncation and appended bytes of all goldens; and the same of other formats."""

from __future__ import annotations

import mmap
import random
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import accumulate
from pathlib import Path

from benchmarks.trust.damage import overlooked, warm_up
from benchmarks.trust.peers import PEERS, shares, zstd
from benchmarks.trust.proof import Proof
from benchmarks.trust.seeds import goldens
from benchmarks.trust.workers import spread

__all__ = ["prove"]

_PEERS = 10_000
"""Damaged files of a peer: a sample."""


def prove(share: float) -> list[Proof]:
    """All bits and lengths at share 1, else every so many-th."""
    files = f"of {len(goldens())} golden files"
    flips = spread(_flip, _every(8 * _total(), share), 0, warm_up)
    cuts = spread(_cut, _every(_total(), share), 0, warm_up)
    longer = spread(_append, _every(_TAILS * len(goldens()), share), 0, warm_up)
    sample = max(50, round(_PEERS * share))
    better = shares(sample, {"zstd": zstd(checksum=True)}, _flip_any)["zstd"]
    note = f"peers: {sample:,} of each damage; zstd with its optional checksum: {better}"
    peers = [shares(sample, PEERS, damage) for damage in (_flip_any, _cut_any, _append_any)]
    return [
        Proof(2, f"every single-bit flip {files}", flips.tried, flips.failed, tuple(flips.failures), note, peers[0]),
        Proof(2, f"every truncation {files}", cuts.tried, cuts.failed, tuple(cuts.failures), "", peers[1]),
        Proof(2, f"appended bytes {files}", longer.tried, longer.failed, tuple(longer.failures), "", peers[2]),
    ]


def _every(count: int, share: float) -> range:
    step = max(1, round(1 / share))
    return range(0, count, step + 1 - step % 2)  # odd: all bits of a byte come in turn


_TAILS = 260
"""Each byte, and a few longer ends."""


def _tail(number: int, data: bytes) -> bytes:
    return bytes([number]) if number < 256 else (bytes(8), bytes(4096), data, b"\n")[number - 256]


def _flip(number: int, folder: Path) -> list[str]:
    name, bit = _place(number, 8)
    with _copy(name, folder).changed(bit) as path:
        return [f"{name}, bit {bit}: {text}" for text in overlooked(path, goldens()[name])]


def _cut(number: int, folder: Path) -> list[str]:
    name, size = _place(number, 1)
    return _written(name, goldens()[name][:size], folder, f"cut to {size} bytes")


def _append(number: int, folder: Path) -> list[str]:
    name, tail = list(goldens())[number // _TAILS], number % _TAILS
    return _written(name, goldens()[name] + _tail(tail, goldens()[name]), folder, f"tail {tail}")


def _flip_any(data: bytes, chance: random.Random) -> bytes:
    bit = chance.randrange(8 * len(data))
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def _cut_any(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _append_any(data: bytes, chance: random.Random) -> bytes:
    return data + _tail(chance.randrange(_TAILS), data)


def _written(name: str, data: bytes, folder: Path, how: str) -> list[str]:
    path = folder / "changed.sbit"
    path.write_bytes(data)
    return [f"{name}, {how}: {text}" for text in overlooked(path, goldens()[name])]


@cache
def _starts() -> list[int]:
    return list(accumulate(map(len, goldens().values()), initial=0))


def _total() -> int:
    return _starts()[-1]


def _place(number: int, parts: int) -> tuple[str, int]:
    """The golden that a number belongs to, of all bytes in `parts` each, and which part of that file it is."""
    file = bisect_right(_starts(), number // parts) - 1
    return list(goldens())[file], number - parts * _starts()[file]


class _Copy:
    """A golden in a file that is mapped: a bit is changed in place, which costs less than writing a file."""

    def __init__(self, name: str, folder: Path) -> None:
        self._path = folder / name.replace("/", "-")
        self._path.write_bytes(goldens()[name])
        with self._path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    @contextmanager
    def changed(self, bit: int) -> Iterator[Path]:
        """The file with one bit flipped, for a while."""
        self._map[bit // 8] ^= 1 << bit % 8
        try:
            yield self._path
        finally:
            self._map[bit // 8] ^= 1 << bit % 8


_copy = cache(_Copy)
