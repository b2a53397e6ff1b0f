"""What a proof found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Proof"]


@dataclass(frozen=True)
class Proof:
    """One thing that was tried many times, and how often the promise was broken."""

    promise: int
    """Its number in `registry.PROMISES`."""
    what: str
    """What was tried, in words of the table: "every single-bit flip of six golden files"."""
    tried: int
    failed: int
    failures: tuple[str, ...] = ()
    """Of the first ten failures, enough to repeat each."""
    note: str = ""
    """Further figures: the slowest input, the most memory."""
    peers: Mapping[str, str] = field(default_factory=dict)
    """The same tried on "safetensors", "gguf-py" or "zstd", in the words of the table: "94.1 % silent"."""
