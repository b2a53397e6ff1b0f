"""What a compression is made of, so that one that goes on after a kill gives what an undisturbed one would give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import xxhash
import zstandard

from subbit.curvature import Curvature
from subbit.errors import SubbitError
from subbit.model.parent import Parent
from subbit.parents import content_hash
from subbit.version import __version__
from subbit_formats.sources import Source, SourceTensor

if TYPE_CHECKING:
    from subbit.model.job import Importance

__all__ = ["Inputs", "described", "described_checkpoint", "made_by"]


def described(source: Source, options: object, importance: Importance | None, parent: Parent | None) -> dict[str, str]:
    """All that decides the bytes of a file but the weights, by words for people: a hash each.

    Reads the extras of the checkpoint and all of `importance`; options are anything that JSON can say.
    """
    costs = None if importance is None else {name: _hashes(importance[name]) for name in importance}
    return {
        "subbit": made_by(),
        "options": _hash(options),
        "checkpoint": described_checkpoint(source),
        "statistics": _hash(costs),
        "parent": _hash(None if parent is None else [parent.name]),
    }


def described_checkpoint(source: Source) -> str:
    """A hash of all of a checkpoint but its weights; reads its extras."""
    tensors = [(tensor.name, tensor.shape, tensor.dtype) for tensor in source.values()]
    extras = {name: xxhash.xxh3_128_hexdigest(load()) for name, load in source.extras.items()}
    return _hash((tensors, source.metadata, source.aliases, extras))


def made_by() -> str:
    """The versions that decide the bytes of a file."""
    return f"{__version__}, zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}"


class Inputs:
    """Content hashes of the weights that were `seen`, of the checkpoint and of its parent: a later read must agree.

    Raises :class:`SubbitError` (kind "resume") for weights that are others now.
    """

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def of(self, name: str) -> dict[str, str]:
        """What was read for one tensor."""
        return {key: self.seen[key] for key in (f"weights {name}", f"parent {name}") if key in self.seen}

    def check(self, name: str, source: Source, parent: Parent | None) -> None:
        """Read again what an earlier run read for one tensor; both are watched."""
        if f"weights {name}" in self.seen:
            source[name].read()
        if parent is not None and f"parent {name}" in self.seen:
            parent.find(name)

    def watched(self, source: Source) -> Source:
        """The same checkpoint; what is read is compared."""
        tensors = [replace(tensor, fetch=partial(self._read, tensor)) for tensor in source.values()]
        return Source(
            source.path, source.kind, tensors, metadata=source.metadata, aliases=source.aliases, extras=source.extras
        )

    def watched_parent(self, parent: Parent | None) -> Parent | None:
        """The same parent; what is read is compared."""
        return None if parent is None else _Watched(parent, self)

    def compare(self, key: str, tensor: np.ndarray | None) -> None:
        """Remember a tensor, or refuse it."""
        self.agree({key: "" if tensor is None else content_hash(tensor)})

    def agree(self, hashes: Mapping[str, str]) -> None:
        """Remember what was read, here or by a worker, or refuse it."""
        for key, found in hashes.items():
            self._agree(key, found)

    def _agree(self, key: str, found: str) -> None:
        if self.seen.setdefault(key, found) != found:
            whose = "its parent's weights" if key.startswith("parent") else "the weights"
            raise SubbitError(f"{whose} are not those that the compression began with", kind="resume")

    def _read(self, tensor: SourceTensor) -> np.ndarray:
        weights: np.ndarray = tensor.read()
        self.compare(f"weights {tensor.name}", weights)
        return weights


class _Watched(Parent):
    def __init__(self, parent: Parent, inputs: Inputs) -> None:
        self.name, self._parent, self._inputs = parent.name, parent, inputs

    def find(self, name: str) -> np.ndarray | None:
        found = self._parent.find(name)
        self._inputs.compare(f"parent {name}", found)
        return found


def _hash(value: object) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(value, sort_keys=True, default=asdict).encode())


def _hashes(cost: np.ndarray | Curvature) -> list[str]:
    parts = (cost.columns, cost.rows) if isinstance(cost, Curvature) else (np.asarray(cost),)
    return [content_hash(part) for part in parts]
