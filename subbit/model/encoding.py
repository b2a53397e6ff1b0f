"""One tensor of a checkpoint by the rule of a plan: read, encoded, decoded again, and its error measured."""

from __future__ import annotations

from functools import cache, partial
from typing import NamedTuple

import numpy as np

from subbit.codecs import Dense, Same, Signed
from subbit.curvature import Curvature
from subbit.errors import SubbitError, out_of_memory
from subbit.model.parent import Parent
from subbit.model.report import TensorReport
from subbit.planning import Rule
from subbit.records import Encoded
from subbit.signs import Base, Stored
from subbit.tensors import decode, encode, is_finite, relative_error
from subbit_formats.dtypes import FLOATS, dtype_name
from subbit_formats.sources import SourceTensor

__all__ = ["Done", "encode_by_rule"]


class Done(NamedTuple):
    """A tensor as it will be stored, its row of the report, and its decoded weights, None where nothing is lost."""

    encoded: Encoded
    row: TensorReport
    decoded: np.ndarray | None


def encode_by_rule(
    tensor: SourceTensor,
    rule: Rule,
    importance: np.ndarray | Curvature | None = None,
    parent: Parent | None = None,
    allow_nonfinite: bool = False,
    target: np.ndarray | None = None,
) -> Done:
    """Encode a tensor, or `target` in its place; the error is against the tensor itself.

    The same bytes in every process. Every :class:`SubbitError` names file and tensor.
    """
    try:
        return _encode(tensor, rule, importance, parent, allow_nonfinite, target)
    except SubbitError as refused:
        raise refused.at(path=tensor.path, tensor=tensor.name) from None
    except MemoryError:
        raise out_of_memory().at(path=tensor.path, tensor=tensor.name) from None


def _encode(
    tensor: SourceTensor,
    rule: Rule,
    importance: np.ndarray | Curvature | None,
    parent: Parent | None,
    allow_nonfinite: bool,
    target: np.ndarray | None,
) -> Done:
    weight, codec = tensor.read(), rule.codec
    codable = dtype_name(weight.dtype) in FLOATS and weight.ndim >= 2 and weight.size > 0
    if not isinstance(codec, Same) and (not codable or (allow_nonfinite and not is_finite(weight))):
        codec = Dense()  # a pattern such as "*" also fits tensors that only `dense` can hold
    lossless = isinstance(codec, (Dense, Same))
    read = None if parent is None else cache(partial(parent.read, tensor.name))
    wanted = weight if target is None or lossless else target.reshape(weight.shape).astype(weight.dtype)
    encoded = encode(wanted, codec, importance, read)
    decoded = None if lossless else decode(encoded, parent=read)
    covered = rule.covered and encoded.codec != Dense.id
    free = isinstance(rule.codec, Signed) and not isinstance(rule.codec.signs, (Base, Stored))
    error = 0.0 if decoded is None else relative_error(weight, decoded)
    weighed = importance is not None
    row = TensorReport(tensor.name, encoded.shape, encoded.codec, covered, 0, error, free, weighed)
    return Done(encoded, row, decoded)
