"""What the container adds to a coded tensor, known before it is written, so that budgets hold for files."""

from __future__ import annotations

import json
from collections.abc import Sequence

from subbit.codecs import Codec
from subbit.codecs.base import stored_knobs
from subbit.records import Shape

__all__ = ["container_bits", "padding_bits"]

_DIGEST = 16
_LARGE = 3500  # bytes of a tensor whose largest section may be aligned to 64 bytes instead of 8


def padding_bits(bits: float) -> float:
    """What aligning the largest section of a tensor of so many bits adds at most."""
    return 8.0 * (63 if bits / 8 > _LARGE else 7)


def container_bits(name: str, shape: Shape, dtype: str, codec: Codec, sections: Sequence[str]) -> float:
    """Index entry, codec record, digests, and padding of all sections but the largest: at most, in bits."""
    entry = {
        "codec": 9999,
        "dtype": dtype,
        "name": name,
        "sections": [[section, 10**9 if section == "codes" else 10**5] for section in sections],
        "shape": list(shape),
    }
    record = {"id": codec.id, "knobs": stored_knobs(codec)}
    text = sum(
        len(json.dumps(part, separators=(",", ":"), ensure_ascii=False).encode()) + 1 for part in (entry, record)
    )
    return 8.0 * (text + _DIGEST * len(sections) + 7 * max(len(sections) - 1, 0))
