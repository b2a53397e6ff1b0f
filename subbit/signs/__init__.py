"""Sign planes: where the signs of a matrix come from; `base` states the contract.

>>> plane = from_dict({"kind": "angle", "seed": 7})
>>> words = signs(plane, b"", 64, 64)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from subbit.errors import SubbitError
from subbit.records import Buffer
from subbit.signs.angle import Angle
from subbit.signs.base import SignPlane, Turning, agreement, word_count
from subbit.signs.fitted import Fitted
from subbit.signs.hadamard import Hadamard
from subbit.signs.hashed import Hashed
from subbit.signs.lowrank import LowRank
from subbit.signs.parent import Base
from subbit.signs.stored import Stored

__all__ = [
    "KINDS", "Angle", "Base", "Fitted", "Hadamard", "Hashed", "LowRank", "SignPlane", "Stored",
    "Turning", "agreement", "from_dict", "signs", "to_dict", "word_count",
]  # fmt: skip

KINDS: dict[str, Any] = {plane.kind: plane for plane in (Angle, LowRank, Hadamard, Hashed, Fitted, Stored, Base)}
"""Every kind of sign plane by its name."""


def from_dict(value: Mapping[str, Any]) -> SignPlane:
    """Make the plane that `{"kind": …, knobs…}` names; a SubbitError (kind "template") for anything else."""
    knobs = dict(value)
    kind = knobs.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        hint = f"known: {', '.join(KINDS)}"
        raise SubbitError(f"unknown kind of sign plane {kind!r}", kind="template", hint=hint)
    known = {field.name for field in fields(KINDS[kind])}
    if unknown := sorted(set(knobs) - known):
        raise SubbitError(f"a sign plane ({kind}) has no knob {unknown[0]!r}", kind="template")
    try:
        plane: SignPlane = KINDS[kind](**knobs)
    except TypeError:
        missing = ", ".join(sorted(known - set(knobs)))
        raise SubbitError(f"a sign plane ({kind}) needs {missing}", kind="template") from None
    return plane


def to_dict(plane: SignPlane) -> dict[str, Any]:
    """The plane as `{"kind": …, knobs…}`, plain JSON values."""
    return {"kind": plane.kind, **{field.name: getattr(plane, field.name) for field in fields(plane)}}  # type: ignore[arg-type]


def signs(plane: SignPlane, data: Buffer, rows: int, cols: int) -> np.ndarray:
    """All sign words of a plane at once."""
    out = np.empty((rows, word_count(cols)), np.uint64)
    plane.fill(data, rows, cols, 0, rows, out)
    return out
