"""What proofs damage: the goldens, and their tensors one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

import subbit
from formats.bad.forge import forged, take_apart
from subbit.figures import ERRORS, LOSSLESS, pack_errors

__all__ = ["SHARD_INDEX", "goldens", "parent", "room", "single_tensors"]

_GOLDENS = Path(__file__).parents[2] / "formats" / "golden"
_MEMORY = Path("/dev/shm")
SHARD_INDEX = max(_GOLDENS.glob("*/shards.sbit.index.json")).read_bytes()
"""The index of the two golden shards."""


@cache
def goldens() -> dict[str, bytes]:
    """All golden files, of all releases, by folder and name."""
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in sorted(_GOLDENS.glob("*/*.sbit"))}


@cache
def parent() -> Mapping[str, np.ndarray]:
    """The parent checkpoint of those goldens that need one."""
    return subbit.load(max(_GOLDENS.glob("*/parent.sbit")))


def single_tensors() -> dict[str, bytes]:
    """Each tensor of each golden as a file of its own, which states an error of those that lost something."""
    found = {}
    for file, data in goldens().items():
        index, sections = take_apart(data)
        for tensor in index["tensors"]:
            own, sections = sections[: len(tensor["sections"])], sections[len(tensor["sections"]) :]
            codec = index["codecs"][tensor["codec"]]
            alone = {"codecs": [codec], "tensors": [tensor | {"codec": 0}]}
            if codec["id"] not in LOSSLESS:
                alone["extras"] = [{"name": ERRORS, "size": 4}]
                own.append(pack_errors([0.5]))
            found[f"{file}: {tensor['name']}"] = forged(alone, own)
    return found


def room() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder, in memory where the system has such a place: millions of files are written there."""
    return tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)
