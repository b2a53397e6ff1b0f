"""Only SubbitError leaves, in bounded time and memory, whatever stands behind valid checksums."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.trust.forgery import forgery, shard_index
from benchmarks.trust.proof import Proof
from benchmarks.trust.seeds import goldens
from benchmarks.trust.victim import ALLOWED, look, use, verify, warm_up
from benchmarks.trust.workers import MEMORY, SECONDS, Found, spread

__all__ = ["opened", "prove", "sharded", "tried", "used"]


def prove(share: float) -> list[Proof]:
    """Forged files, opened; and read to the last weight."""
    count = max(1, round(1_000_000 * share))
    return [
        _proof(opened(count), "opened"),
        _proof(used(max(1, count // 5)), "read whole, every tensor decoded twice"),
        _proof(sharded(max(1, count // 50)), "sets of shards, opened and verified"),
    ]


def opened(count: int) -> Found:
    """Forged files with the numbers 0 … count - 1, opened: the index is read and checked."""
    return tried(look, count)


def used(count: int) -> Found:
    """The same, read whole: extras, checksums, reports, each tensor by Numba's kernels and NumPy's."""
    return tried(use, count)


def sharded(count: int) -> Found:
    """Sets of shards, the index forged."""
    return spread(_attempt_shards, range(count), ALLOWED, warm_up)


def tried(examine: Callable[[Path], list[str]], count: int) -> Found:
    """What `examine` says of forged files."""
    return spread(partial(_attempt, examine), range(count), ALLOWED, warm_up)


def _attempt(examine: Callable[[Path], list[str]], number: int, folder: Path) -> list[str]:
    path = folder / "forged.sbit"
    path.write_bytes(forgery(number))
    return examine(path)


def _attempt_shards(number: int, folder: Path) -> list[str]:
    path = folder / "forged.sbit.index.json"
    if not path.exists():
        for name, data in goldens().items():
            (folder / Path(name).name).write_bytes(data)
    path.write_bytes(shard_index(number))
    return verify(path)


def _proof(found: Found, how: str) -> Proof:
    return Proof(
        promise=3,
        what=f"forged files with valid checksums, {how}: anything but a complete SubbitError, more than "
        f"{SECONDS:.0f} s, or more than {MEMORY >> 20} MiB over the stated size",
        tried=found.tried,
        failed=found.failed,
        failures=tuple(found.failures),
        note=f"slowest {found.slowest:.2f} s",
    )
