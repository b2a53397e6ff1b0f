"""What every tensor costs, counted from the index: nothing is decoded and no NumPy is imported."""

from __future__ import annotations

from typing import Any

from subbit_formats.sbit import Archive

__all__ = ["count_bits"]

VERSION = 1


def count_bits(archive: Archive) -> dict[str, Any]:
    """Count stored bits per tensor, for all covered tensors and for the whole file, as JSON values.

    `file` is every byte on disk over every weight; `coded` the covered tensors with all that decoding them needs; a
    tensor's bytes are all that it adds to the file. Bits per weight of no weights is None. Tied names count once.
    """
    return {
        "version": VERSION,
        "file": {"path": str(archive.path), **_rate(archive.size, archive.weights)},
        "coded": _rate(archive.covered_bytes, archive.covered_weights),
        "tensors": [
            {
                "name": entry.name,
                "shape": list(entry.shape),
                "codec": entry.codec,
                **_rate(entry.stored_bytes, entry.weights),
            }
            for entry in archive.tensors.values()
        ],
    }


def _rate(size: int, weights: int) -> dict[str, Any]:
    return {"bytes": size, "weights": weights, "bits_per_weight": 8 * size / weights if weights else None}
