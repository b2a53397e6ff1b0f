"""Every number that bounds what a `.sbit` file may hold, and the alignment of its parts."""

from __future__ import annotations

__all__ = [
    "LARGE_ALIGNMENT",
    "LARGE_SECTION",
    "MAX_DIMENSIONS",
    "MAX_EXTRAS",
    "MAX_EXTRA_BYTES",
    "MAX_INDEX_BYTES",
    "MAX_KNOB_DEPTH",
    "MAX_NAME_BYTES",
    "MAX_SECTIONS",
    "MAX_SECTION_BYTES",
    "MAX_SHARD_INDEX_BYTES",
    "MAX_TENSORS",
    "MAX_WEIGHTS",
    "SMALL_ALIGNMENT",
]

LARGE_SECTION = 4096
"""Sections of at least so many bytes are aligned for vector loads and pages …"""
LARGE_ALIGNMENT = 64
SMALL_ALIGNMENT = 8
"""… smaller ones, and the index, only for words: padding would outweigh them."""

MAX_INDEX_BYTES = 16 * 2**20
MAX_SHARD_INDEX_BYTES = 128 * 2**20
MAX_TENSORS = 10**6
MAX_EXTRAS = 10**4
MAX_DIMENSIONS = 8
MAX_WEIGHTS = 2**48 - 1
"""Of all tensors of a file together, zero dimensions counted as one, so that no product overflows."""
MAX_SECTIONS = 16
"""Per tensor."""
MAX_SECTION_BYTES = 2**63 - 1
MAX_NAME_BYTES = 1024
MAX_KNOB_DEPTH = 8
MAX_EXTRA_BYTES = 2**30
"""Of one extra, after decompression."""
