"""One tensor through its codec: encode, decode, measure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from subbit.codecs import Codec, Dense, Same, from_knobs, relative_part, with_parent
from subbit.codecs.blocks import rows_per_block
from subbit.curvature import Curvature
from subbit.errors import SubbitError
from subbit.parents import WAY_OUT
from subbit.records import Encoded, Shape, matrix_shape
from subbit_formats.dtypes import FLOATS, dtype_name

__all__ = ["Parent", "checked_importance", "codec_of", "decode", "encode", "is_finite", "relative_error"]

Parent = np.ndarray | Callable[[], np.ndarray] | None
"""A parent checkpoint's tensor, or what reads it: called only for codecs that need it (see `parents`)."""


def encode(
    weight: np.ndarray, codec: Codec, importance: np.ndarray | Curvature | None = None, parent: Parent = None
) -> Encoded:
    """Turn one tensor into byte sections with `codec`.

    `weight` is any floating tensor of at least two dimensions; `dense` and `same` take every shape and type.
    `importance` broadcasts to the tensor's matrix view (see :func:`records.matrix_shape`), or is its curvature, whose
    diagonal is all that codecs without feedback see. Raises
    :class:`SubbitError` for integers, for fewer than two dimensions, for no weights and for NaN or infinity;
    kind "parent" where the codec needs a parent's tensor and this is none or another.
    """
    codec = _with_parent(codec, parent, weight.shape)
    if not isinstance(codec, (Dense, Same)):
        _check_codable(weight, codec)
        if importance is not None:
            importance = checked_importance(importance, matrix_shape(weight.shape))
            if isinstance(importance, Curvature) and not getattr(codec, "takes_curvature", False):
                importance = importance.importance()
    return codec.encode(weight, importance)


def decode(encoded: Encoded, out: np.ndarray | None = None, parent: Parent = None) -> np.ndarray:
    """Rebuild a tensor in its own dtype, or into `out` (same shape, C-contiguous, floating).

    Bit-identical on every machine. With `out` given nothing of the tensor's size is allocated. `parent` is the parent
    checkpoint's tensor, for codecs that need it. Raises :class:`SubbitError` for damaged sections, an unknown codec,
    an `out` that does not fit, or (kind "parent") a parent's tensor that is missing or another one.
    """
    if out is not None and out.dtype.name != encoded.dtype and dtype_name(out.dtype) not in FLOATS:
        raise SubbitError(f"a {encoded.dtype} tensor cannot be decoded into {out.dtype}", kind="out")
    codec = codec_of(encoded, parent)
    if unknown := sorted(set(encoded.sections) - codec.section_names):
        raise SubbitError(f"{encoded.codec!r} has no section {unknown[0]!r}", kind="section")
    if encoded.dtype not in FLOATS and not isinstance(codec, (Dense, Same)):
        raise SubbitError(f"{encoded.codec!r} cannot hold {encoded.dtype}", kind="dtype")
    if encoded.weights == 0 and not isinstance(codec, (Dense, Same)):  # its sections could ask for any amount of memory
        raise SubbitError(f"{encoded.codec!r} cannot hold shape {tuple(encoded.shape)}: no weights", kind="shape")
    return codec.decode(encoded, out)


def codec_of(encoded: Encoded, parent: Parent = None) -> Codec:
    """The codec that decodes a tensor, with the parent's tensor at hand where it needs and gets one, hash compared."""
    codec = from_knobs(encoded.codec, encoded.knobs)
    part = relative_part(codec)
    if part is not None and part.parent is None:
        raise SubbitError(f"{encoded.codec!r} names no parent", kind="codec")
    return _with_parent(codec, parent, encoded.shape)


def _with_parent(codec: Codec, parent: Parent, shape: Shape) -> Codec:
    if parent is None or relative_part(codec) is None:
        return codec
    tensor = parent() if callable(parent) else parent
    if tensor.shape != tuple(shape):
        text = f"the parent's tensor has shape {tensor.shape}, not {tuple(shape)}"
        raise SubbitError(text, kind="parent", hint=WAY_OUT)
    return with_parent(codec, tensor)


def is_finite(weight: np.ndarray) -> bool:
    """Whether no weight is NaN or infinite, looking at one block of rows at a time."""
    if dtype_name(weight.dtype) not in FLOATS or weight.size == 0:
        return True
    matrix = weight.reshape(matrix_shape(weight.shape))
    step = rows_per_block(matrix.shape[1])
    return all(bool(np.isfinite(matrix[k : k + step]).all()) for k in range(0, matrix.shape[0], step))


def relative_error(weight: np.ndarray, decoded: np.ndarray) -> float:
    """‖W − W'‖² / ‖W‖² in float64, block by block; 0 for equal tensors, also where NaN or infinity are equal.

    The same on every machine, so that files can state it.
    """
    rows, cols = matrix_shape(weight.shape)
    if rows * cols == 0:
        return 0.0
    a, b = weight.reshape(rows, cols), decoded.reshape(rows, cols)
    error = energy = 0.0
    step = rows_per_block(cols)
    for k in range(0, rows, step):
        x, y = (part[k : k + step].astype(np.float64).ravel() for part in (a, b))
        with np.errstate(invalid="ignore"):
            d = x - y
        if not np.isfinite(d).all():
            d[(x == y) | (np.isnan(x) & np.isnan(y))] = 0
        error += _energy(d)
        energy += _energy(x)
    if error == 0:
        return 0.0
    return error / energy if energy else float("inf")


def _energy(values: np.ndarray) -> float:
    """Σ x², by halves: products and sums of BLAS and NumPy have another order on other processors."""
    squares, size = values * values, values.size
    while size > 1:
        rest = size // 2
        squares[:rest] += squares[size - rest : size]
        size -= rest
    return float(squares[0])


def _check_codable(weight: np.ndarray, codec: Codec) -> None:
    dtype = dtype_name(weight.dtype)
    if dtype not in FLOATS:
        raise SubbitError(f"{codec.id!r} cannot code {dtype}", kind="dtype", hint="use subbit.Dense()")
    if weight.ndim < 2 or weight.size == 0:
        text = f"{codec.id!r} needs at least two dimensions and one weight, not shape {weight.shape}"
        raise SubbitError(text, kind="shape", hint="use subbit.Dense()")
    if not is_finite(weight):
        hint = "use subbit.Dense(), or allow_nonfinite=True (--allow-nonfinite) to keep it lossless"
        raise SubbitError("has NaN or infinite weights", kind="nonfinite", hint=hint)
    with np.errstate(over="ignore"):
        if weight.dtype == np.float64 and not is_finite(weight.astype(np.float32)):
            raise SubbitError("has weights beyond float32", kind="nonfinite", hint="use subbit.Dense()")


def checked_importance(importance: np.ndarray | Curvature, matrix: tuple[int, int]) -> np.ndarray | Curvature:
    """Importance broadcast to the matrix view; a :class:`SubbitError` unless it fits, is finite and not negative."""
    if isinstance(importance, Curvature):
        if importance.shape != matrix:
            text = f"the curvature is of a matrix {importance.shape}, the weights are {matrix}"
            raise SubbitError(text, kind="importance", hint="calibrate this model")
        return importance
    try:
        full = np.broadcast_to(importance, matrix)
    except ValueError:
        text = f"importance of shape {importance.shape} does not broadcast to {matrix}"
        raise SubbitError(text, kind="importance") from None
    if not (np.isfinite(importance).all() and (importance >= 0).all()):
        raise SubbitError("importance must be finite and not negative", kind="importance")
    return full
