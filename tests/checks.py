"""Checks that hold for any codec and for any part of one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from subbit.codecs.base import Codec, knobs_of, stored_knobs
from subbit.codecs.blocks import Filler, decode_matrix
from subbit.codecs.magnitudes.base import Magnitudes
from subbit.errors import SubbitError
from subbit.records import Encoded
from subbit_formats.dtypes import dtype_name

__all__ = [
    "ODD_SHAPES",
    "check_codec",
    "check_magnitudes",
    "check_same_bytes",
    "relative_error",
    "same_bits",
    "weights",
]

ODD_SHAPES = [(1, 1), (1, 7), (3, 1), (5, 64), (17, 33), (64, 129), (3, 5, 7), (8, 3, 3, 3), (257, 2)]
"""Shapes of two and more dimensions that fit no block, group or vector length."""

_OPTIONAL = ("flips", "beyond")
"""Sections that are left out where there is nothing to say: only the file's checksums can miss them."""

_OUTPUTS = (np.float32, np.float16, ml_dtypes.bfloat16, np.float64)


def weights(shape: tuple[int, ...], seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    """Gaussian weights with uneven rows, as a trained layer has them."""
    random = np.random.default_rng(seed)
    scales = 0.02 * np.exp(0.5 * random.standard_normal((shape[0],) + (1,) * (len(shape) - 1)))
    return np.asarray(random.standard_normal(shape) * scales).astype(dtype)


def relative_error(weight: np.ndarray, decoded: np.ndarray) -> float:
    """‖W − W′‖² / ‖W‖²."""
    exact = weight.astype(np.float64)
    return float(((exact - decoded.astype(np.float64)) ** 2).sum() / max((exact**2).sum(), 1e-300))


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """SUBBIT_KERNELS, SUBBIT_THREADS … for the length of a block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


def check_codec(
    codec: Codec, weight: np.ndarray, importance: np.ndarray | None = None, max_error: float | None = None
) -> Encoded:
    """Assert the contract of `codecs.base` on one tensor of floats; returns what was encoded."""
    encoded = codec.encode(weight, importance)
    assert encoded.codec == codec.id
    assert encoded.shape == weight.shape
    assert encoded.dtype == dtype_name(weight.dtype)
    assert encoded.bits == 8 * sum(len(bytes(section)) for section in encoded.sections.values())
    assert encoded.bits <= codec.bits(weight.shape)
    _check_knobs(codec, encoded.knobs)
    _check_outputs(codec, encoded, weight, max_error)
    check_same_bytes(codec, encoded, weight, importance)
    _check_damage(codec, encoded)
    return encoded


def check_magnitudes(
    part: Magnitudes, matrix: np.ndarray, importance: np.ndarray | None = None, max_error: float | None = None
) -> Encoded:
    """Assert the contract of `magnitudes.base` on a float32 matrix ≥ 0: a codec's, and no value below 0."""
    encoded = check_codec(_Unsigned(part), matrix, importance, max_error)
    assert not np.signbit(_Unsigned(part).decode(encoded)).any()
    return encoded


class _Unsigned:
    """A magnitude coder as the whole codec, for tests."""

    def __init__(self, part: Magnitudes) -> None:
        self.part = part
        self.id = part.kind

    def bits(self, shape: tuple[int, ...]) -> int:
        return self.part.bits(*shape)

    def encode(self, weight: np.ndarray, importance: np.ndarray | None = None) -> Encoded:
        sections = self.part.encode(weight, importance)
        return Encoded(self.id, stored_knobs(self.part), weight.shape, dtype_name(weight.dtype), sections)

    def decode(self, encoded: Encoded, out: np.ndarray | None = None) -> np.ndarray:
        return decode_matrix(encoded, out, Filler(*self.part.decoder(encoded.sections, *encoded.shape)))


def _check_knobs(codec: Any, knobs: Mapping[str, Any]) -> None:
    owner = codec.part if isinstance(codec, _Unsigned) else codec
    assert json.loads(json.dumps(knobs)) == dict(knobs) == stored_knobs(owner)
    everything = json.loads(json.dumps(knobs_of(owner)))
    if not any(isinstance(value, dict) for value in everything.values()):
        assert type(owner)(**everything) == owner


def _check_outputs(codec: Any, encoded: Encoded, weight: np.ndarray, max_error: float | None) -> None:
    decoded = codec.decode(encoded)
    assert decoded.shape == weight.shape
    assert decoded.dtype == weight.dtype
    single = codec.decode(encoded, np.full(weight.shape, np.nan, np.float32))
    assert np.isfinite(single).all()
    for dtype in _OUTPUTS:
        out = np.full(weight.shape, np.nan, dtype)
        assert codec.decode(encoded, out) is out
        with np.errstate(over="ignore"):
            same_bits(out, single.astype(dtype))
    same_bits(decoded, single.astype(weight.dtype))
    if max_error is not None:
        assert relative_error(weight, single) <= max_error
    with pytest.raises(SubbitError):
        codec.decode(encoded, np.empty((*weight.shape, 1), np.float32))


def check_same_bytes(codec: Any, encoded: Encoded, weight: np.ndarray, importance: np.ndarray | None = None) -> None:
    """Assert that kernels and thread counts change neither the sections nor what they decode to."""
    decoded = codec.decode(encoded)
    for kernels, threads in (("plain", "2"), ("compiled", "1"), ("compiled", "2")):
        with environment(SUBBIT_KERNELS=kernels, SUBBIT_THREADS=threads):
            again = codec.encode(weight, importance)
            assert list(again.sections) == list(encoded.sections)
            for name, section in encoded.sections.items():
                assert bytes(again.sections[name]) == bytes(section), (kernels, threads, name)
            same_bits(codec.decode(encoded), decoded)


def _check_damage(codec: Any, encoded: Encoded) -> None:
    for name, section in encoded.sections.items():
        data = bytes(section)
        shorter = {len(data) - 1, len(data) // 2, 1, 0} - {len(data), -1}
        for broken in [data[:size] for size in sorted(shorter)] + [data + b"\0"]:
            with pytest.raises(SubbitError) as caught:
                codec.decode(replace(encoded, sections={**encoded.sections, name: broken}))
            assert caught.value.kind == "section"
    for name in encoded.sections:
        rest = {key: value for key, value in encoded.sections.items() if key != name}
        if encoded.weights and len(bytes(encoded.sections[name])) and name not in _OPTIONAL:
            with pytest.raises(SubbitError):
                codec.decode(replace(encoded, sections=rest))


def same_bits(a: np.ndarray, b: np.ndarray) -> None:
    """Assert equal dtype, shape and bytes."""
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()
