"""Tensors that no encoder writes, made from goldens: checksums are right, knobs or sections are not."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from formats.bad.forge import forged, take_apart
from formats.bad.frames import frame, repeated

__all__ = ["CASES"]

_GOLDEN = Path(__file__).parents[1] / "golden" / "0.1"
_SEED = {"kind": "hashed", "seed": 7}
_SCALES = {"kind": "scales", "rank": 1}


def _tensor(file: str, name: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, bytes]]:
    """A golden tensor: codec entry, tensor entry, sections."""
    index, sections = take_apart((_GOLDEN / f"{file}.sbit").read_bytes())
    for tensor in index["tensors"]:
        own = {part: sections.pop(0) for part, _ in tensor["sections"]}
        if tensor["name"] == name:
            return index["codecs"][tensor["codec"]], tensor, own
    raise KeyError(name)


def _bad(
    golden: tuple[str, str],
    sections: Mapping[str, bytes | None] | None = None,
    *,
    knobs: Mapping[str, Any] | None = None,
    codec: str | None = None,
    **entry: Any,
) -> bytes:
    """A golden tensor with other sections (None leaves one out), knobs, codec, or keys of its index entry."""
    record, tensor, own = _tensor(*golden)
    changed = {part: data for part, data in (own | dict(sections or {})).items() if data is not None}
    record = {"id": codec or record["id"], "knobs": record.get("knobs", {}) | dict(knobs or {})}
    if not record["knobs"]:
        del record["knobs"]
    sizes = [[part, len(data)] for part, data in changed.items()]
    tensor = tensor | {"codec": 0, "sections": sizes} | entry
    return forged({"codecs": [record], "tensors": [tensor]}, [*changed.values()])


def _section(file: str, name: str, part: str) -> bytes:
    return _tensor(file, name)[2][part]


def _put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


_NAN, _NEGATIVE = struct.pack("<f", float("nan")), struct.pack("<f", -1.0)
_DENSE, _UNIFORM = ("tiny-dense", "w"), ("tiny-uniform", "w")
_DEADZONE, _LOWBIT = ("tiny-deadzone", "w"), ("magnitudes", "lowbit")
_TRELLIS, _FACTORS, _SAME = ("trellis", "3-d"), ("factors", "3-d"), ("base", "same")
_SIGNED, _STORED, _FITTED = ("signs", "hashed-mask"), ("signs", "stored"), ("signs", "fitted")
_VECTOR, _ONE_OF_N = ("magnitudes", "vector-half"), ("one-of-n", "4")

_uniform, _deadzone = _section(*_UNIFORM, "scales"), _section(*_DEADZONE, "codes")
_trellis, _scales = _section(*_TRELLIS, "codes"), _section(*_FACTORS, "scales")
_flips, _signs, _factors = _section(*_SIGNED, "flips"), _section(*_STORED, "signs"), _section(*_STORED, "factors")
_codebook, _places = _section(*_VECTOR, "codebook"), _section(*_ONE_OF_N, "places")

CASES: dict[str, tuple[str, bytes]] = {
    "codec-unknown": ("codec", _bad(_DENSE, codec="denser")),
    "codec-has-no-such-knob": ("codec", _bad(_UNIFORM, knobs={"more": 1})),
    "codec-has-no-such-section": ("section", _bad(_DENSE, {"more": b""})),
    "codec-is-for-floats": ("dtype", _bad(_UNIFORM, dtype="int32")),
    "dense-empty": ("section", _bad(_DENSE, {"data": b""})),
    "dense-mode": ("section", _bad(_DENSE, {"data": b"\2" + bytes(24)})),
    "dense-short": ("section", _bad(_DENSE, {"data": bytes(24)})),
    "dense-other-shape": ("section", _bad(_DENSE, shape=[2, 4])),
    "dense-frame-of-another-size": ("section", _bad(_DENSE, {"data": b"\1" + frame(bytes(23))})),
    "dense-frame-states-nothing": ("section", _bad(_DENSE, {"data": b"\1" + frame(bytes(24), None)})),
    "dense-frame-holds-less": ("section", _bad(_DENSE, {"data": b"\1" + frame(bytes(20), 24)})),
    "dense-frame-and-more": ("section", _bad(_DENSE, {"data": b"\1" + frame(bytes(24)) + b"\0"})),
    "dense-bomb-stated": ("section", _bad(_DENSE, {"data": b"\1" + repeated(2**28)})),
    "dense-bomb-unstated": ("section", _bad(_DENSE, {"data": b"\1" + repeated(2**28, 24)})),
    "uniform-width": ("knobs", _bad(_UNIFORM, knobs={"width": 9})),
    "uniform-width-is-text": ("knobs", _bad(_UNIFORM, knobs={"width": "8"})),
    "uniform-group": ("knobs", _bad(_UNIFORM, knobs={"group": 0})),
    "uniform-codes-missing": ("section", _bad(_UNIFORM, {"codes": None})),
    "uniform-codes-long": ("section", _bad(_UNIFORM, {"codes": bytes(7)})),
    "uniform-scale-nan": ("section", _bad(_UNIFORM, {"scales": _put(_uniform, 0, _NAN)})),
    "uniform-scale-negative": ("section", _bad(_UNIFORM, {"scales": _put(_uniform, 0, _NEGATIVE)})),
    "uniform-no-weights": ("shape", _bad(_UNIFORM, {"codes": b"", "scales": bytes(4)}, shape=[2**40, 0])),
    "deadzone-cut": ("section", _bad(_DEADZONE, {"codes": _deadzone[:3]})),
    "deadzone-step-negative": ("section", _bad(_DEADZONE, {"codes": _put(_deadzone, 0, _NEGATIVE)})),
    "deadzone-step-nan": ("section", _bad(_DEADZONE, {"codes": _put(_deadzone, 0, _NAN)})),
    "deadzone-state": ("section", _bad(_DEADZONE, {"codes": _put(_deadzone, 4, bytes(4))})),
    "deadzone-model": ("section", _bad(_DEADZONE, {"codes": _put(_deadzone, 4, b"\xff" * 8)})),
    "deadzone-word-missing": ("section", _bad(_DEADZONE, {"codes": _deadzone[:-2]})),
    "deadzone-word-too-many": ("section", _bad(_DEADZONE, {"codes": _deadzone + b"\0\0"})),
    "deadzone-other-shape": ("section", _bad(_DEADZONE, shape=[3, 3])),
    "trellis-state-bits": ("knobs", _bad(_TRELLIS, knobs={"state_bits": 17})),
    "trellis-rotation": ("knobs", _bad(_TRELLIS, knobs={"rotation": -1})),
    "trellis-mode": ("section", _bad(_TRELLIS, {"codes": _put(_trellis, 0, b"\3")})),
    "trellis-step-nan": ("section", _bad(_TRELLIS, {"codes": _put(_trellis, 1, _NAN)})),
    "trellis-offset": ("section", _bad(_TRELLIS, {"codes": _put(_trellis, 9, b"\xff" * 6)})),
    "trellis-tiles-short": ("section", _bad(_TRELLIS, {"codes": _trellis[:-1]})),
    "trellis-tiles-long": ("section", _bad(_TRELLIS, {"codes": _trellis + b"\0"})),
    "factors-unit-negative": ("section", _bad(_FACTORS, {"scales": _put(_scales, 0, _NEGATIVE)})),
    "factors-latents": ("section", _bad(_FACTORS, {"rows": b"\0" * 400})),
    "factors-scales-cut": ("section", _bad(_FACTORS, {"scales": _scales[:-2]})),
    "factors-scales-long": ("section", _bad(_FACTORS, {"scales": _scales + b"\0\0"})),
    "factors-residual-unannounced": ("section", _bad(_FACTORS, {"residual": _deadzone})),
    "same-names-no-parent": ("codec", _bad(_SAME, knobs={"parent": None})),
    "same-parent-is-no-hash": ("parent", _bad(_SAME, knobs={"parent": "../parent"})),
    "signed-without-signs": ("codec", _bad(_SIGNED, codec="signed", knobs={"signs": None})),
    "signed-magnitudes-unknown": ("codec", _bad(_SIGNED, knobs={"magnitudes": {"kind": "more"}})),
    "signed-negative-drop": ("knobs", _bad(_SIGNED, knobs={"drop": -1})),
    "signed-flips-empty": ("section", _bad(_SIGNED, {"flips": b""})),
    "signed-flips-too-many": ("section", _bad(_SIGNED, {"flips": b"\xff\x7f" + _flips[1:]})),
    "signed-flips-cut": ("section", _bad(_SIGNED, {"flips": b"\x80"})),
    "signed-flip-outside": ("section", _bad(_SIGNED, {"flips": b"\1\0\x3f"})),
    "signed-flip-varint-long": ("section", _bad(_SIGNED, {"flips": b"\x81\0\0\0"})),
    "signed-mask-short": ("section", _bad(_SIGNED, {"flips": b"\0" + bytes(7)})),
    "signed-mask-behind-the-last": ("section", _bad(_SIGNED, {"flips": b"\0" + b"\xff" * 8})),
    "signs-kind": ("template", _bad(_SIGNED, knobs={"signs": {"kind": "dice"}})),
    "signs-seed": ("template", _bad(_SIGNED, knobs={"signs": {"kind": "hashed", "seed": -1}})),
    "signs-rank": ("template", _bad(_SIGNED, knobs={"signs": {"kind": "lowrank", "seed": 1, "rank": 2**60}})),
    "signs-width": ("template", _bad(_FITTED, knobs={"signs": {"kind": "fitted", "width": 99}})),
    "signs-of-a-seed-stored": ("section", _bad(_SIGNED, {"signs": b"\0"})),
    "signs-missing": ("section", _bad(_STORED, {"signs": None})),
    "signs-short": ("section", _bad(_STORED, {"signs": _signs[:-1]})),
    "signs-behind-the-last": ("section", _bad(_STORED, {"signs": _signs[:-1] + b"\xff"})),
    "scales-rank": ("knobs", _bad(_STORED, knobs={"magnitudes": {"kind": "scales", "rank": 65}})),
    "scales-mode": ("section", _bad(_STORED, {"factors": _put(_factors, 0, b"\2")})),
    "scales-nan": ("section", _bad(_STORED, {"factors": _put(_factors, 1, _NAN)})),
    "scales-short": ("section", _bad(_STORED, {"factors": _factors[:-1]})),
    "vector-dim": ("knobs", _bad(_VECTOR, knobs={"magnitudes": {"kind": "vector", "dim": 65}})),
    "vector-codes-short": ("section", _bad(_VECTOR, {"codes": b"\0"})),
    "vector-codebook-mode": ("section", _bad(_VECTOR, {"codebook": _put(_codebook, 0, b"\2")})),
    "vector-codebook-nan": ("section", _bad(_VECTOR, {"codebook": _put(_codebook, 1, _NAN)})),
    "lowbit-cut": ("section", _bad(_LOWBIT, {"codes": _deadzone[:4]})),
    "one-of-n-n": ("knobs", _bad(_ONE_OF_N, knobs={"magnitudes": {"kind": "one-of-n", "n": 5}})),
    "one-of-n-mask": ("knobs", _bad(_ONE_OF_N, knobs={"magnitudes": {"kind": "one-of-n", "mask": "both"}})),
    "one-of-n-places-short": ("section", _bad(_ONE_OF_N, {"places": _places[:-1]})),
    "one-of-n-place-outside": ("section", _bad(_ONE_OF_N, {"places": b"\xff" * len(_places)})),
}  # fmt: skip
"""File name without its end → the kind of the error that it must give, its bytes."""
