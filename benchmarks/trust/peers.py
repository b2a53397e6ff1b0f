"""The same single-bit flips in files of others that hold the same weights."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import safetensors.numpy
import zstandard

import subbit
from benchmarks.trust.seeds import goldens, parent, room

__all__ = ["PEERS", "flipped", "shares", "zstd"]

Weights = Mapping[str, np.ndarray]
Peer = tuple[Callable[[Path, Weights], None], Callable[[Path], Weights]]
"""What writes weights to a file, and what reads them."""
_FILES = ("factors", "magnitudes", "signs", "trellis", "uniform")
"""Goldens whose float32 tensors are written."""


def shares(flips: int, peers: Mapping[str, Peer]) -> dict[str, str]:
    """What became of so many flips, at places chosen by chance, in the file of each peer."""
    found = {}
    for name, (write, read) in peers.items():
        outcome = flipped(write, read, flips)
        found[name] = (
            f"{100 * outcome['silent'] / flips:.1f} % silent, {100 * outcome['noticed'] / flips:.1f} % noticed"
        )
    return found


def flipped(write: Callable[[Path, Weights], None], read: Callable[[Path], Weights], flips: int) -> Counter[str]:
    """How many flips gave other weights ("silent"), an error ("noticed"), or no difference ("harmless")."""
    chance, outcome = random.Random(0), Counter[str]()
    with room() as folder:
        path = Path(folder) / "peer"
        write(path, weights())
        good = path.read_bytes()
        whole = _bits(read(path))
        for _ in range(flips):
            bit = chance.randrange(8 * len(good))
            data = bytearray(good)
            data[bit // 8] ^= 1 << bit % 8
            path.write_bytes(data)
            try:
                outcome["harmless" if _bits(read(path)) == whole else "silent"] += 1
            except BaseException:  # some end with what is no Exception: a panic of Rust
                outcome["noticed"] += 1
    return outcome


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

    return write, read


PEERS: dict[str, Peer] = {
    "safetensors": (_write_safetensors, lambda path: safetensors.numpy.load(path.read_bytes())),
    "gguf-py": (_write_gguf, _read_gguf),
    "zstd": zstd(checksum=False),
}
