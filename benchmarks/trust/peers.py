"""The same damage to files of others that hold the same weights: what reads them all the same, and what escapes."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
import zstandard

import subbit
from benchmarks.trust.seeds import goldens, parent, room
from benchmarks.trust.workers import SECONDS

__all__ = ["PEERS", "Peer", "damaged", "shares", "zstd"]

Weights = Mapping[str, np.ndarray]
Damage = Callable[[bytes, random.Random], bytes]
"""Makes other bytes of those of a file."""


@dataclass(frozen=True)
class Peer:
    """What writes weights to a file, what reads them, and the error by which that says that a file is damaged."""

    write: Callable[[Path, Weights], None]
    read: Callable[[Path], Weights]
    error: type[BaseException]


_FILES = ("factors", "magnitudes", "signs", "trellis", "uniform")
"""Goldens whose float32 tensors are written."""


def shares(times: int, peers: Mapping[str, Peer], damage: Damage) -> dict[str, str]:
    """What became of so many damaged files of each peer, for its column of the table."""
    found = {}
    for name, peer in peers.items():
        outcome = damaged(peer, times, damage)
        shown = [kind for kind in _KINDS if outcome[kind] or kind in _KINDS[:2]]
        found[name] = ", ".join(f"{100 * outcome[kind] / times:.1f} % {kind}" for kind in shown)
    return found


_KINDS = ("silent", "noticed", "other errors", "slow", "harmless")


def damaged(peer: Peer, times: int, damage: Damage) -> Counter[str]:
    """How many damaged files gave other weights, the peer's own error, another one, or took more than two seconds.

    Those that gave the right weights are "harmless".
    """
    chance, outcome = random.Random(0), Counter[str]()
    with room() as folder:
        path = Path(folder) / "peer"
        peer.write(path, weights())
        good = path.read_bytes()
        whole = _bits(peer.read(path))
        for _ in range(times):
            path.write_bytes(damage(good, chance))
            outcome[_outcome(peer, path, whole)] += 1
    return outcome


def _outcome(peer: Peer, path: Path, whole: dict[str, tuple[object, ...]]) -> str:
    try:
        with _hurried():
            found = _bits(peer.read(path))
    except peer.error:
        return "noticed"
    except TimeoutError:
        return "slow"
    except BaseException:  # some end with what is no Exception: a panic of Rust
        return "other errors"
    return "harmless" if found == whole else "silent"


@contextmanager
def _hurried() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@cache
def weights() -> Weights:
    """float32 tensors of the goldens."""
    found = {}
    with room() as folder:
        for file, data in goldens().items():
            if Path(file).stem in _FILES:
                path = Path(folder) / "golden.sbit"
                path.write_bytes(data)
                loaded = subbit.load(path, base=parent())
                found |= {f"{Path(file).stem}.{name}": w for name, w in loaded.items() if w.dtype == np.float32}
    return found


def _bits(found: Weights) -> dict[str, tuple[object, ...]]:
    return {name: (tensor.dtype.name, tensor.shape, tensor.tobytes()) for name, tensor in found.items()}


def _write_safetensors(path: Path, tensors: Weights) -> None:
    safetensors.numpy.save_file(dict(tensors), path)


def _write_gguf(path: Path, tensors: Weights) -> None:
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    for name, tensor in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _read_gguf(path: Path) -> Weights:
    import gguf

    return {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(path).tensors}


def zstd(checksum: bool) -> Peer:
    """All weights, one after the other, as one frame."""

    def write(path: Path, tensors: Weights) -> None:
        raw = b"".join(tensor.tobytes() for tensor in tensors.values())
        path.write_bytes(zstandard.ZstdCompressor(write_checksum=checksum).compress(raw))

    def read(path: Path) -> Weights:
        return {"": np.frombuffer(zstandard.ZstdDecompressor().decompress(path.read_bytes()), np.uint8)}

    return Peer(write, read, zstandard.ZstdError)


PEERS: dict[str, Peer] = {
    "safetensors": Peer(
        _write_safetensors, lambda path: safetensors.numpy.load(path.read_bytes()), safetensors.SafetensorError
    ),
    "gguf-py": Peer(_write_gguf, _read_gguf, ValueError),
    "zstd": zstd(checksum=False),
}
