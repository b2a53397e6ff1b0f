"""Calibration statistics: the curvature of every weight, measured once and kept in a safetensors file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike, fspath
from typing import Any

import numpy as np
import xxhash

from subbit.curvature import Curvature
from subbit.curvature.layouts import matrix_curvature
from subbit.errors import SubbitError
from subbit.records import Shape
from subbit_formats.safetensors_writer import SafetensorsWriter
from subbit_formats.sources import Source, open_source

__all__ = ["LayerMoments", "Statistics", "content_hash"]

_KEY = "subbit.statistics"
_VERSION = 1
_AGAIN = "calibrate again: subbit calibrate"
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class LayerMoments:
    """What the layer of one weight reads and writes, as measured; arrays are read when `columns` or `rows` is called.

    `columns` gives (groups, inputs, inputs) second moments, or (groups, inputs) diagonals; `rows` (groups, outputs).
    Layers that read the same inputs have the same `inputs`, the name under which their moments are stored once.
    """

    shape: Shape
    inputs: str
    columns: Callable[[], np.ndarray]
    rows: Callable[[], np.ndarray]
    transposed: bool = False

    def curvature(self) -> Curvature:
        """The record for the weight's matrix view; see :func:`subbit.curvature.layouts.matrix_curvature`."""
        return matrix_curvature(self.columns(), self.rows(), self.shape, self.transposed)


class Statistics(Mapping[str, Curvature]):
    """Names of weights → :class:`subbit.curvature.Curvature` of their matrix view, read when asked for.

    `layers` holds the moments as they were measured, `provenance` says from what: tokens, window, text and its hash,
    `model` (the content hash of the weights), versions. Raises :class:`SubbitError` (kind "statistics") naming file
    and tensor for moments with NaN or infinity, and for those without energy: nothing reached the layer.
    """

    def __init__(
        self,
        layers: Mapping[str, LayerMoments],
        provenance: Mapping[str, str] | None = None,
        path: str | PathLike[str] | None = None,
    ) -> None:
        self.layers = dict(sorted(layers.items()))
        self.provenance = dict(provenance or {})
        self.path = None if path is None else fspath(path)

    def __getitem__(self, name: str) -> Curvature:
        layer = self.layers[name]
        try:
            found = layer.curvature()
        except SubbitError as error:
            raise self._error(error.message, name) from None
        if not (found.diagonal.any() and found.rows.any()):
            raise self._error("the statistics have no energy", name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def check(self, source: Source) -> None:
        """Refuse statistics that do not belong to a checkpoint, or that cannot be used; reads all of both.

        Raises :class:`SubbitError` (kind "statistics") for weights that the checkpoint lacks, for other shapes, for
        other contents (the hash of the values, whatever their type), for NaN, infinity and zero energy.
        """
        tensors = {name: source.get(source.aliases.get(name, name)) for name in self}
        for name, layer in self.layers.items():
            tensor = tensors[name]
            if tensor is None:
                raise self._error(f"the statistics are of another model: {source.path} has no such tensor", name)
            if tensor.shape != layer.shape:
                raise self._error(f"has shape {tensor.shape} in {source.path}, the statistics {layer.shape}", name)
        for name in self:
            _ = self[name]
        expected = self.provenance.get("model")
        if expected is not None:
            found = content_hash((name, tensor.read()) for name, tensor in tensors.items() if tensor is not None)
            if found != expected:
                raise self._error(f"the statistics are of another model: the weights of {source.path} differ")

    def save(self, path: str | PathLike[str], force: bool = False) -> None:
        """Write all moments as safetensors, float32, whole or not at all; one set in memory at a time.

        `NAME.columns` (groups, inputs·(inputs+1)/2) holds lower triangles row by row, or (groups, inputs) diagonals;
        `NAME.rows` is (groups, outputs). Layers that read the same inputs share one `columns`; which, and the
        provenance, is JSON in the metadata. Raises :class:`UsageError` where the file exists, unless `force`.
        """
        holders = {layer.inputs: layer for layer in self.layers.values()}
        arrays = {f"{name}.rows": layer.rows for name, layer in self.layers.items()}
        arrays |= {f"{name}.columns": partial(_packed, layer.columns) for name, layer in holders.items()}
        sizes = {f"{name}.rows": ("float32", layer.rows().shape) for name, layer in self.layers.items()}
        sizes |= {f"{name}.columns": ("float32", _packed_shape(layer.columns())) for name, layer in holders.items()}
        table = {
            name: {"shape": list(layer.shape), "inputs": layer.inputs, "transposed": layer.transposed}
            for name, layer in self.layers.items()
        }
        head = {"version": _VERSION, "provenance": self.provenance, "tensors": table}
        metadata = {_KEY: json.dumps(head, sort_keys=True, separators=(",", ":"))}
        with SafetensorsWriter(path, sizes, metadata, force=force) as writer:
            for name in writer.names:
                writer.write(arrays[name]().astype(np.float32, copy=False))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Statistics:
        """Open a file of :meth:`save`; moments are read when asked for, and not kept.

        Raises :class:`SubbitError` for a file that is missing, damaged or holds no statistics (kind "statistics").
        """
        source = open_source(path)
        try:
            head = json.loads(source.metadata[_KEY])
            version, table, provenance = head["version"], head["tensors"], head["provenance"]
            if version != _VERSION:
                text = f"statistics of version {version}; this subbit reads version {_VERSION}"
                raise SubbitError(text, kind="statistics", path=path, hint=_AGAIN)
            layers = {name: _stored(source, name, entry) for name, entry in table.items()}
            provenance = {str(key): str(value) for key, value in provenance.items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            text = "holds no calibration statistics, or damaged ones"
            raise SubbitError(text, kind="statistics", path=path, hint=_AGAIN) from None
        return cls(layers, provenance, path)

    def _error(self, text: str, name: str | None = None) -> SubbitError:
        return SubbitError(text, kind="statistics", path=self.path, tensor=name, hint=_AGAIN)


def content_hash(tensors: Iterable[tuple[str, Any]]) -> str:
    """XXH3-128 over names, shapes and values as float32, in the order of the names; a model in bfloat16 and its
    float32 copy are the same. One tensor is in memory at a time if `tensors` yields them so, sorted by name."""
    total = xxhash.xxh3_128()
    for name, array in tensors:
        total.update(json.dumps([name, list(array.shape)]).encode())
        flat = array.reshape(-1)
        for start in range(0, flat.size, _AT_ONCE):
            total.update(np.ascontiguousarray(flat[start : start + _AT_ONCE], dtype=np.float32).view(np.uint8).data)
    return total.hexdigest()


def _stored(source: Source, name: str, entry: Mapping[str, Any]) -> LayerMoments:
    """The moments of one weight in an open file, whose sizes must fit the weight's."""
    shape, inputs = tuple(int(size) for size in entry["shape"]), str(entry["inputs"])
    columns, rows = source[f"{inputs}.columns"], source[f"{name}.rows"]
    groups, outputs = rows.shape
    width = math.prod(shape) // (groups * outputs)
    if columns.shape not in ((groups, width), (groups, width * (width + 1) // 2)):
        raise ValueError("sizes")
    if groups * outputs * width != math.prod(shape) or {columns.dtype, rows.dtype} != {"float32"}:
        raise ValueError("sizes")
    return LayerMoments(shape, inputs, lambda: _unpacked(columns.read(), width), rows.read, bool(entry["transposed"]))


def _packed_shape(columns: np.ndarray) -> tuple[int, ...]:
    groups, width = columns.shape[:2]
    return (groups, width) if columns.ndim == 2 else (groups, width * (width + 1) // 2)


def _packed(load: Callable[[], np.ndarray]) -> np.ndarray:
    """Lower triangles, row by row; diagonals stay as they are."""
    columns = load()
    if columns.ndim == 2:
        return columns
    packed = np.empty(_packed_shape(columns), np.float32)
    for row in range(columns.shape[1]):
        start = row * (row + 1) // 2
        packed[:, start : start + row + 1] = columns[:, row, : row + 1]
    return packed


def _unpacked(packed: np.ndarray, width: int) -> np.ndarray:
    if width > 1 and packed.shape[1] == width:
        return packed
    columns = np.empty((len(packed), width, width), np.float32)
    for row in range(width):
        start = row * (row + 1) // 2
        columns[:, row, : row + 1] = packed[:, start : start + row + 1]
        columns[:, : row + 1, row] = columns[:, row, : row + 1]
    return columns
