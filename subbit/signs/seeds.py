"""One seed for a model, another for each of its tensors."""

from __future__ import annotations

import hashlib

from subbit.errors import UsageError

__all__ = ["seed_for"]


def seed_for(seed: int, name: str) -> int:
    """The 64-bit seed of the tensor `name` in a model of `seed`: the same for ever.

    The first 8 bytes, lowest first, that BLAKE2b (RFC 7693, digest of 8 bytes) gives for the seed as 8 bytes, lowest
    first, and the name in UTF-8. Raises :class:`UsageError` (kind "seed") unless `seed` is a whole number in
    0 … 2^64 − 1.
    """
    if type(seed) is not int or not 0 <= seed < 2**64:
        raise UsageError(f"seed={seed!r} is no whole number in 0 … 2^64 - 1", kind="seed")
    digest = hashlib.blake2b(seed.to_bytes(8, "little") + name.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
