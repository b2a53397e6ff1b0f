"""One process of the soak: threads that open, decode, compare and close files until the time is over.

`python -m benchmarks.trust.soaking SECONDS SEED [leak]` prints one JSON object: what was done, what was wrong, how many
descriptors were open at the end and not before, and (seconds, resident KiB) along the way. With `leak` files stay
open, which must be noticed.
"""

from __future__ import annotations

import gc
import hashlib
import json
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import subbit

__all__ = ["main", "soak"]

_THREADS = 8
_SAMPLES = 200
_FOLDER = Path(__file__).parent.parent.parent / "formats" / "golden" / "0.1"
_FILES = (
    "aliases.sbit", "base.sbit", "deadzone.sbit", "dense-types.sbit", "factors.sbit", "magnitudes.sbit",
    "one-of-n.sbit", "shards.sbit.index.json", "signs.sbit", "trellis.sbit", "uniform.sbit",
)  # fmt: skip


def soak(seconds: float, seed: int, leak: bool = False) -> dict[str, Any]:
    """Decode files at random, each time to the digests that the first time gave."""
    expected = {name: _digests(name, []) for name in _FILES}
    found: dict[str, Any] = {"decoded": 0, "wrong": [], "samples": []}
    kept: list[Any] = []
    before = _descriptors()
    lock, started = threading.Lock(), time.monotonic()

    def work(number: int) -> None:
        draw = random.Random(f"{seed} {number}")
        while time.monotonic() - started < seconds:
            name = draw.choice(_FILES)
            try:
                wrong = "" if _digests(name, kept if leak else []) == expected[name] else "other weights"
            except Exception as error:
                wrong = f"{type(error).__name__}: {error}"
            with lock:
                found["decoded"] += 1
                if wrong:
                    found["wrong"].append(f"{name} after {time.monotonic() - started:.1f} s: {wrong}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(seconds / _SAMPLES)
        found["samples"].append((round(time.monotonic() - started, 2), _resident()))
    for thread in threads:
        thread.join()
    gc.collect()
    found["lost"] = _descriptors() - before
    return found


def _digests(name: str, kept: list[Any]) -> list[str]:
    """Open a file, decode all of it, close it."""
    file = subbit.open(_FOLDER / name, base=_FOLDER / "parent.sbit" if name == "base.sbit" else None)
    kept.append(file)
    try:
        return [hashlib.sha256(np.ascontiguousarray(file[each].decode()).tobytes()).hexdigest() for each in file]
    finally:
        if len(kept) == 1:  # else it leaks, as it was asked to
            file.close()


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def main(seconds: str, seed: str, leak: str = "") -> None:
    """The one process."""
    print(json.dumps(soak(float(seconds), int(seed), bool(leak))))


if __name__ == "__main__":
    main(*sys.argv[1:])
