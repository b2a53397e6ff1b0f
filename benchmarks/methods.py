"""The peers that are measured beside subbit, each at the rates it offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.data import Weights
from benchmarks.peers import hqq, llama_cpp, scalar_ans
from benchmarks.peers.base import Stored, UnavailableError

__all__ = ["BUDGETS", "PEERS", "File", "Method", "versions"]

BUDGETS = (0.25, 0.5, 0.842, 0.997)
"""Bits a weight, everything counted, at which variable-rate methods are measured."""


@dataclass(frozen=True)
class File:
    """Weights after compression: the bytes that decoding needs, and the decoding itself."""

    size: int
    decode: Callable[[], Weights]


@dataclass(frozen=True)
class Method:
    """One way of compressing a set of matrices; `encode` may write to the path that it is given."""

    name: str
    encode: Callable[[Weights, Path], File]


def matrix_by_matrix(encode: Callable[[np.ndarray], Stored], weights: Weights, path: Path) -> File:
    """Give a peer one matrix at a time and add up what it stores; nothing is written."""
    parts = {name: encode(np.ascontiguousarray(weight)) for name, weight in weights.items()}
    return File(
        sum(part.size for part in parts.values()),
        lambda: {name: part.decode() for name, part in parts.items()},
    )


def _peer(name: str, encode: Callable[[np.ndarray], Stored]) -> Method:
    return Method(name, partial(matrix_by_matrix, encode))


PEERS = [
    *(_peer(f"20 lines: scalar + ANS, {bits}", partial(scalar_ans.encode, bits=bits)) for bits in BUDGETS),
    *(_peer(f"llama.cpp {kind}", partial(llama_cpp.encode, kind=kind)) for kind in llama_cpp.TYPES),
    *(_peer(f"hqq 1-bit, groups of {group}", partial(hqq.encode, group=group)) for group in (1024, 64)),
]


def versions() -> list[str]:
    """What of the peers is installed, with its version, or why it is not."""
    found = []
    for peer in (scalar_ans, llama_cpp, hqq):
        try:
            found.append(peer.version())
        except UnavailableError as reason:
            found.append(str(reason))
    return found
