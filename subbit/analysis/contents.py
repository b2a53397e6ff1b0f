"""What a `.sbit` file holds, read from its header and index: nothing is decoded and no NumPy is imported."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from subbit.figures import stated_errors
from subbit_formats.sbit import Archive
from subbit_formats.sbit.header import HEADER_BYTES, Header

__all__ = ["count_parts", "describe_file", "list_tensors"]

VERSION = 1


def list_tensors(archive: Archive) -> dict[str, Any]:
    """Every tensor with shape, type, codec, knobs, the bytes of its sections and the error that the file states.

    Then what tied names stand for. Errors are None where the file states none.
    """
    stated = stated_errors(archive) or {}
    return {
        "version": VERSION,
        "path": str(archive.path),
        "tensors": [
            {
                "name": entry.name,
                "shape": list(entry.shape),
                "dtype": entry.dtype,
                "codec": entry.codec,
                "knobs": entry.knobs,
                "covered": entry.covered,
                "sections": entry.sections,
                "error": _finite(stated.get(entry.name)),
            }
            for entry in archive.tensors.values()
        ],
        "aliases": dict(archive.aliases),
    }


def describe_file(archive: Archive) -> dict[str, Any]:
    """Format version, sizes, checksums, metadata, names of the extras, and what each codec holds."""
    codecs: dict[str, dict[str, Any]] = {}
    for entry in archive.tensors.values():
        total = codecs.setdefault(entry.codec, {"codec": entry.codec, "tensors": 0, "weights": 0, "bytes": 0})
        total["tensors"] += 1
        total["weights"] += entry.weights
        total["bytes"] += entry.stored_bytes
    return {
        "version": VERSION,
        "path": str(archive.path),
        "format": ".".join(map(str, archive.version)),
        "bytes": archive.size,
        "weights": archive.weights,
        "tensors": len(archive.tensors),
        "aliases": len(archive.aliases),
        "files": [_describe_header(path) for path in _files(archive.path)],
        "codecs": [codecs[name] for name in sorted(codecs)],
        "metadata": archive.metadata,
        "extras": list(archive.extras),
    }


def count_parts(archive: Archive) -> dict[str, Any]:
    """How much there is to check: bytes, tensors, their sections, and extras."""
    return {
        "version": VERSION,
        "path": str(archive.path),
        "bytes": archive.size,
        "tensors": len(archive.tensors),
        "sections": sum(len(entry.sections) for entry in archive.tensors.values()),
        "extras": len(archive.extras),
    }


def _finite(error: float | None) -> float | None:
    return error if error is not None and math.isfinite(error) else None


def _files(path: Path) -> list[Path]:
    """The `.sbit` files of an archive that is open, so that its index is known to be sound."""
    if path.suffix != ".json":
        return [path]
    return [path.with_name(name) for name in sorted(json.loads(path.read_bytes())["files"])]


def _describe_header(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        header = Header.unpack(file.read(HEADER_BYTES))
    return {
        "path": str(path),
        "bytes": header.file_size,
        "index_bytes": header.index_size,
        "index_hash": header.index_hash.hex(),
        "body_hash": header.body_hash.hex(),
    }
