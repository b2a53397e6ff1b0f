"""Codecs: one file a family; `base` states the contract.

>>> codec = from_dict({"codec": "deadzone", "rate": 0.8})
>>> codec.encode(weight).bits_per_weight
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from subbit.codecs.base import Codec, knobs_of
from subbit.codecs.deadzone import DeadZone
from subbit.codecs.delta import Delta
from subbit.codecs.dense import Dense
from subbit.codecs.factors import Factors
from subbit.codecs.magnitudes.lowbit import LowBit
from subbit.codecs.magnitudes.oneofn import OneOfN
from subbit.codecs.magnitudes.scales import Scales
from subbit.codecs.magnitudes.trellis import TrellisMagnitudes
from subbit.codecs.magnitudes.vector import Vector
from subbit.codecs.relative import relative_part, with_parent
from subbit.codecs.same import Same
from subbit.codecs.signed import Signed
from subbit.codecs.trellis.codec import Trellis
from subbit.codecs.uniform import Uniform
from subbit.errors import SubbitError, UsageError
from subbit.signs import from_dict as plane_from_dict

__all__ = [
    "CODECS", "MAGNITUDES", "Codec", "DeadZone", "Delta", "Dense", "Factors", "LowBit", "OneOfN", "Same", "Scales",
    "Signed", "Trellis", "TrellisMagnitudes", "Uniform", "Vector", "from_dict", "from_knobs", "relative_part",
    "to_dict", "with_parent",
]  # fmt: skip

CODECS: dict[str, Any] = {
    codec.id: codec for codec in (DeadZone, Delta, Dense, Factors, Same, Signed, Trellis, Uniform)
}
"""Every codec by its id. Retired ids stay listed here with the class that still reads them."""

MAGNITUDES: dict[str, Any] = {part.kind: part for part in (LowBit, OneOfN, Scales, TrellisMagnitudes, Vector)}
"""Every magnitude coder by its kind."""


def from_dict(value: Mapping[str, Any]) -> Codec:
    """Make the codec that `{"codec": id, knobs…}` names; a :class:`UsageError` for anything else."""
    knobs = dict(value)
    name = knobs.pop("codec", None)
    if not isinstance(name, str) or name not in CODECS:
        raise UsageError(f"unknown codec {name!r}", kind="codec", hint=f"known: {', '.join(CODECS)}")
    return from_knobs(name, knobs)


def from_knobs(codec_id: str, knobs: Mapping[str, Any]) -> Codec:
    """Make a codec from the id and knobs of a file; raises :class:`SubbitError` (kind "codec") if it is unknown."""
    if codec_id not in CODECS:
        hint = "update subbit to a version that knows it"
        raise SubbitError(f"codec {codec_id!r} is not known to this version", kind="codec", hint=hint)
    values = dict(knobs)
    if codec_id == Signed.id:
        values["signs"] = plane_from_dict(_part(values, "signs"))
        values["magnitudes"] = _magnitudes(_part(values, "magnitudes"))
    codec: Codec = _make(CODECS[codec_id], codec_id, values)
    return codec


def to_dict(codec: Codec) -> dict[str, Any]:
    """The codec as `{"codec": id, knobs…}`, plain JSON values."""
    return {"codec": codec.id, **knobs_of(codec)}


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = values.get(name)
    if not isinstance(part, Mapping):
        raise SubbitError(f"'signed' needs {name}: {{\"kind\": …}}", kind="codec")
    return part


def _magnitudes(value: Mapping[str, Any]) -> Any:
    knobs = dict(value)
    kind = knobs.pop("kind", None)
    if not isinstance(kind, str) or kind not in MAGNITUDES:
        raise SubbitError(f"unknown magnitudes {kind!r}", kind="codec", hint=f"known: {', '.join(MAGNITUDES)}")
    return _make(MAGNITUDES[kind], kind, knobs)


@cache
def _knob_names(cls: Any) -> frozenset[str]:
    return frozenset(field.name for field in fields(cls))


def _make(cls: Any, name: str, knobs: Mapping[str, Any]) -> Any:
    known = _knob_names(cls)
    if unknown := sorted(knobs.keys() - known):
        raise SubbitError(
            f"{name!r} has no knob {unknown[0]!r}", kind="codec", hint=f"knobs: {', '.join(sorted(known))}"
        )
    try:
        return cls(**knobs)
    except (TypeError, ValueError) as error:
        raise SubbitError(f"the knobs of {name!r} do not fit: {error}", kind="codec") from None
