"""The peers at their lowest, matrix by matrix, with an importance of every column where they take one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.peers import hqq, llama_cpp, quanto
from benchmarks.peers.base import Stored, UnavailableError

__all__ = ["PEERS", "Peer", "versions"]

Encoder = Callable[[np.ndarray, np.ndarray | None], Stored]

SMOLLM2, LANGUAGE, ALL = ("smollm2",), ("smollm2", "minilm"), ("smollm2", "minilm", "efficientnet", "crepe")


@dataclass(frozen=True)
class Peer:
    """One way of coding a matrix, (rows, columns), for these models; `importance` says whether it takes one."""

    encode: Encoder
    importance: bool
    models: tuple[str, ...]


def _llama_cpp(kind: str, flat: bool, importance: bool, models: tuple[str, ...]) -> Peer:
    encode = llama_cpp.encode_flat if flat else llama_cpp.encode_as_file
    return Peer(lambda weight, given: encode(weight, kind, given), importance, models)


def _plain(encode: Callable[[np.ndarray], Stored]) -> Peer:
    return Peer(lambda weight, given: encode(weight), False, ALL)


IQ = {"IQ1_S": LANGUAGE, "IQ1_M": SMOLLM2, "IQ2_XXS": SMOLLM2}

PEERS: dict[str, Peer] = {
    "llama.cpp Q1_0": _llama_cpp("Q1_0", False, False, LANGUAGE),
    "llama.cpp Q1_0, across rows": _llama_cpp("Q1_0", True, False, ALL),
    **{f"llama.cpp {kind}": _llama_cpp(kind, False, True, models) for kind, models in IQ.items()},
    **{f"llama.cpp {kind}, across rows": _llama_cpp(kind, True, True, models) for kind, models in IQ.items()},
    "hqq 1-bit": _plain(partial(hqq.encode, group=64)),
    "hqq 2-bit": _plain(partial(hqq.encode, group=64, bits=2)),
    "quanto qint2": _plain(quanto.encode),
}
"""Q1_0 takes an importance and ignores it. "across rows": blocks run on across the ends of rows (`encode_flat`)."""


def versions() -> list[str]:
    """What of the peers is installed, with its version, or why it is not."""
    found = []
    for peer in (llama_cpp, hqq, quanto):
        try:
            found.append(peer.version())
        except UnavailableError as reason:
            found.append(str(reason))
    return found
