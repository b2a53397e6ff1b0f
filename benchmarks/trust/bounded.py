"""Small files that state or hold much: what opening, reading and verifying them takes, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import subbit
from benchmarks.trust.proof import Proof
from benchmarks.trust.seeds import goldens, room
from benchmarks.trust.victim import complaint, warm_up
from benchmarks.trust.workers import MEMORY, SECONDS
from formats.bad.container_cases import with_extra
from formats.bad.forge import forged, take_apart
from formats.bad.frames import repeated
from subbit.analysis.contents import list_tensors
from subbit.errors import SubbitError
from subbit.figures import ERRORS

__all__ = ["BOMBS", "Bomb", "Cost", "cost", "prove"]

_ALLOWED = 64 << 20
_MIB = 1 << 20
_IN_ONE_ROW = 10 * _ALLOWED
"""Codes and steps of columns are eight bytes each: they are more than the weights where there is one row."""
_OF_INDEX, _SLOW = 512 << 20, 5.0
"""What an index of 16 MiB, the largest, may take: a few tens of bytes for each of its own."""


@dataclass(frozen=True)
class Bomb:
    """A file, what is done with it, the bytes of memory that it may have besides 64 MiB, and its seconds."""

    file: Callable[[], bytes]
    use: Callable[[Path], object]
    stated: int = 0
    seconds: float = SECONDS


@dataclass(frozen=True)
class Cost:
    """What became of it: the kind of the error, bytes of memory at the peak, seconds of processor time."""

    kind: str
    memory: int
    seconds: float


def prove(share: float) -> list[Proof]:
    """Every bomb, whatever the share."""
    failures, notes = [], []
    for name, bomb in BOMBS.items():
        found = cost(bomb)
        text = f"{name}: {found.kind}, {found.memory / _MIB:.0f} MiB, {found.seconds:.2f} s"
        notes.append(text)
        if found.memory > bomb.stated + MEMORY or found.seconds > bomb.seconds or found.kind.startswith("!"):
            failures.append(text)
    what = (
        f"bombs: refused, or within the stated size and {MEMORY >> 20} MiB and {SECONDS:.0f} s; for an index of 16 MiB "
        f"{(_OF_INDEX + MEMORY) >> 20} MiB and {_SLOW:.0f} s, for 64 MiB in one row "
        f"{(_IN_ONE_ROW + MEMORY) >> 20} MiB and {_SLOW:.0f} s, both set after they were measured"
    )
    return [Proof(4, what, len(BOMBS), len(failures), tuple(failures[:10]), "; ".join(notes))]


def cost(bomb: Bomb) -> Cost:
    """Use a bomb in a process of its own, which has all modules and caches already."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    with room() as folder:
        path = Path(folder) / "bomb.sbit"
        path.write_bytes(bomb.file())
        process = context.Process(target=_use, args=(bomb.use, path, theirs), daemon=True)
        process.start()
        theirs.close()
        try:
            found: Cost = mine.recv()
        except EOFError:
            found = Cost("!the process died", 0, 0.0)
        process.join()
        return found


def _use(use: Callable[[Path], object], path: Path, pipe: Connection) -> None:
    warm_up(path.parent)
    os.environ["SUBBIT_KERNELS"] = "compiled"
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak is where we are now
    before, start, kind = _peak(), time.process_time(), "read"
    try:
        use(path)
    except Exception as error:
        fine = isinstance(error, SubbitError) and (error.kind == "memory" or complaint(error) is None)
        kind = error.kind if fine else f"!{error!r}"
    pipe.send(Cost(kind, _peak() - before, time.process_time() - start))


def _peak() -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _extra(path: Path) -> None:
    with subbit.open(path) as file:
        file.extra("config.json")


def _list(path: Path) -> None:
    with subbit.open(path) as file:
        list_tensors(file.archive)


def _load(path: Path) -> None:
    subbit.load(path)


def _load_some(path: Path) -> None:
    subbit.load(path, max_bytes=_ALLOWED)


def _inspect(path: Path) -> None:
    subbit.open(path).close()


def _tensor(golden: str, shape: list[int]) -> bytes:
    """The first tensor of a golden with another shape: a few bytes that state as many weights as one likes."""
    index, sections = take_apart(goldens()[golden])
    tensor = index["tensors"][0] | {"shape": shape}
    alone = {"codecs": [index["codecs"][tensor["codec"]]], "tensors": [tensor | {"codec": 0}]}
    return forged(alone, sections[: len(tensor["sections"])])


def _knobs(value: bytes) -> bytes:
    """An index of 16 MiB that is knobs of one codec: the most objects that so many bytes can make."""
    count = (2**24 - 300) // (len(value) + 1)
    knobs = b'{"codecs":[{"id":"c","knobs":{"a":[' + b",".join([value] * count) + b"]}}],"
    return forged(knobs + b'"tensors":[{"codec":0,"dtype":"int8","name":"a","sections":[],"shape":[]}]}', [])


def _scalars() -> bytes:
    entry = b'{"codec":0,"dtype":"int8","name":"%06d","sections":[],"shape":[]}'
    entries = b",".join(entry % number for number in range((2**24 - 100) // (len(entry % 0) + 1)))
    return forged(b'{"codecs":[{"id":"c"}],"tensors":[' + entries + b"]}", [])


BOMBS: dict[str, Bomb] = {
    "an extra of 256 MiB that states 1000 bytes": Bomb(lambda: with_extra(repeated(2**28, 1000), 1000), _extra),
    "an extra whose frame states 256 MiB, its entry 1000": Bomb(lambda: with_extra(repeated(2**28), 1000), _extra),
    "an extra that states 1 GiB in 33 KB": Bomb(lambda: with_extra(repeated(2**30), 2**30), _extra, stated=2**30),
    "the same with max_bytes": Bomb(lambda: with_extra(repeated(2**30), 2**30), _load_some),
    "stated errors of 1 GiB": Bomb(lambda: with_extra(repeated(2**30), 2**30, name=ERRORS), _list),
    "raw weights, 2^47 of them": Bomb(lambda: _tensor("0.1/tiny-dense.sbit", [2**47]), _load),
    "dead-zone weights, 2^40 in one row": Bomb(lambda: _tensor("0.1/tiny-deadzone.sbit", [1, 2**40]), _load),
    "dead-zone weights, 2^46 in a square": Bomb(lambda: _tensor("0.1/tiny-deadzone.sbit", [2**23, 2**23]), _load_some),
    "trellis weights, 2^40 in a square": Bomb(lambda: _tensor("0.1/trellis.sbit", [2**20, 2**20]), _load_some),
    "uniform weights, 2^46 in a square": Bomb(lambda: _tensor("0.1/tiny-uniform.sbit", [2**23, 2**23]), _load),
    "dead-zone weights that state 64 MiB": Bomb(
        lambda: _tensor("0.1/tiny-deadzone.sbit", [2**12, 2**12]), _load_some, stated=_ALLOWED
    ),
    "trellis weights that state 64 MiB": Bomb(
        lambda: _tensor("0.1/trellis.sbit", [2**12, 2**12]), _load_some, stated=_ALLOWED
    ),
    "dead-zone weights that state 64 MiB in one row": Bomb(
        lambda: _tensor("0.1/tiny-deadzone.sbit", [1, 2**24]), _load_some, stated=_IN_ONE_ROW, seconds=_SLOW
    ),
    "an index of 16 MiB, all numbers": Bomb(lambda: _knobs(b"1.5"), _inspect, stated=_OF_INDEX, seconds=_SLOW),
    "an index of 16 MiB, all arrays": Bomb(lambda: _knobs(b"[]"), _inspect, stated=_OF_INDEX, seconds=_SLOW),
    "an index of 16 MiB, all tensors": Bomb(_scalars, _inspect, stated=_OF_INDEX, seconds=_SLOW),
}  # fmt: skip
