"""A million random edits of whole files: each is noticed, none changes what is handed out."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from benchmarks.trust.damage import overlooked, warm_up
from benchmarks.trust.peers import PEERS, shares
from benchmarks.trust.proof import Proof
from benchmarks.trust.seeds import goldens
from benchmarks.trust.workers import spread

__all__ = ["changed_bytes", "prove"]

_BYTES = (b"\0", b"\1", b"\x7f", b"\x80", b"\xff", bytes(4), b"\xff" * 4, b"\0\0\x80\x7f", b"\0\0\xc0\x7f")

_PEERS = 10_000


def prove(share: float) -> list[Proof]:
    """Edit goldens that are chosen by chance."""
    found = spread(_attempt, range(max(1, round(1_000_000 * share))), 0, warm_up)
    what = (
        f"random edits of {len(goldens())} golden files: bytes overwritten, inserted, deleted, repeated, moved, zeroed"
    )
    sample = max(50, round(_PEERS * share))
    note, peers = f"peers: {sample:,} edits", shares(sample, PEERS, changed_bytes)
    return [Proof(2, what, found.tried, found.failed, tuple(found.failures), note, peers)]


def changed_bytes(data: bytes, chance: random.Random) -> bytes:
    """Bytes with some overwritten, inserted, deleted, repeated, moved or set to zero: anything but the same."""
    found = data
    while found == data:
        found = chance.choice(_EDITS)(data, chance)
    return found


def _attempt(number: int, folder: Path) -> list[str]:
    chance = random.Random(number)
    name = chance.choice(list(goldens()))
    path = folder / "edited.sbit"
    path.write_bytes(changed_bytes(goldens()[name], chance))
    return [f"{name}: {text}" for text in overlooked(path, goldens()[name])]


def _overwrite(data: bytes, chance: random.Random) -> bytes:
    at = _place(data, chance)
    new = chance.choice(_BYTES) if chance.random() < 0.4 else chance.randbytes(chance.choice((1, 1, 2, 4, 16)))
    return data[:at] + new[: max(len(data) - at, 1)] + data[at + len(new) :]


def _flip(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return b"\1"
    at = _place(data, chance)
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def _insert(data: bytes, chance: random.Random) -> bytes:
    at = _place(data, chance)
    return data[:at] + chance.randbytes(chance.choice((1, 2, 4, 64))) + data[at:]


def _delete(data: bytes, chance: random.Random) -> bytes:
    at = _place(data, chance)
    return data[:at] + data[at + chance.choice((1, 2, 4, 64, len(data))) :] if data else b"\0"


def _repeat(data: bytes, chance: random.Random) -> bytes:
    start, end = _range(data, chance)
    return data[:end] + (data[start:end] or b"\0") + data[end:]


def _swap(data: bytes, chance: random.Random) -> bytes:
    a, b = _range(data, chance)
    c = chance.randint(b, min(len(data), b + 64))
    return data[:a] + data[b:c] + data[a:b] + data[c:] if data else b"\0"


def _zero(data: bytes, chance: random.Random) -> bytes:
    start, end = _range(data, chance)
    return data[:start] + bytes(end - start) + data[end:] if data else b"\0"


def _place(data: bytes, chance: random.Random) -> int:
    """Anywhere, but one time in three in the first bytes, where formats say what follows."""
    return chance.randrange(min(len(data), 8) if data and chance.random() < 0.33 else max(len(data), 1))


def _range(data: bytes, chance: random.Random) -> tuple[int, int]:
    start = _place(data, chance)
    return start, chance.randint(start, min(len(data), start + chance.choice((1, 8, 64, 4096))))


_EDITS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _overwrite, _overwrite, _flip, _flip, _insert, _delete, _repeat, _swap, _zero,
)  # fmt: skip
