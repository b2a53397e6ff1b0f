"""Which tensors the bit budget covers, and how the others are kept."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from subbit.codecs import Codec, Dense, Uniform
from subbit.errors import UsageError
from subbit.records import Shape
from subbit_formats.dtypes import FLOATS

__all__ = ["EMBEDDINGS", "Coverage", "check_patterns", "matches"]

EMBEDDINGS = (
    "*embed*weight", "*wte.weight", "*wpe.weight", "*shared.weight", "*token_embd*", "*tok_embeddings*",
    "lm_head.weight", "*.lm_head.weight", "*output_projection.weight", "*predictions.decoder.weight",
)  # fmt: skip
"""Names of embeddings and output heads in the common model families."""


@dataclass(frozen=True)
class Coverage:
    """The budget covers every float tensor of two or more dimensions, less embeddings, heads and `keep`.

    `keep` patterns stay lossless, `cover` patterns are covered whatever their name, embeddings and heads are kept as
    groups of `embeddings` bits (2 … 8), or lossless at 16 or more.
    """

    keep: tuple[str, ...] = ()
    cover: tuple[str, ...] = ()
    embeddings: int = 8

    def __post_init__(self) -> None:
        if not (2 <= self.embeddings <= 8 or self.embeddings >= 16):
            text = f"embeddings cannot be kept in {self.embeddings} bits"
            raise UsageError(text, kind="embeddings", hint="2 … 8 bits in groups, or 16 for lossless")

    def kept_as(self, name: str, shape: Shape, dtype: str) -> Codec | None:
        """The codec of a tensor that the budget does not cover; None if it does."""
        if matches(name, self.keep) or dtype not in FLOATS or len(shape) < 2 or math.prod(shape) == 0:
            return Dense()
        if matches(name, self.cover) or not matches(name, EMBEDDINGS):
            return None
        return Dense() if self.embeddings >= 16 else Uniform(width=self.embeddings)


def check_patterns(names: Iterable[str], patterns: tuple[str, ...]) -> None:
    """Raise :class:`UsageError` for a pattern that fits no tensor: more likely a slip than a wish."""
    known = list(names)
    for pattern in patterns:
        if not any(matches(name, (pattern,)) for name in known):
            close = get_close_matches(pattern, known, n=3, cutoff=0.3) or known[:3]
            hint = f"there are {len(known)} tensors, such as {', '.join(close)}"
            raise UsageError(f"no tensor fits {pattern!r}", kind="pattern", hint=hint)


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a name is one of the patterns or fits one (`*`, `?`, `[…]`)."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)
