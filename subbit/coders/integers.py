"""Non-negative integers of any size to bytes and back, model and data in one: gaps of flips, codes, escapes.

A value is split like a floating-point number: its octave and the three bits below the leading one make
a bucket (values below 16 are their own), the rest stays raw. Buckets are rANS-coded.

Stored: a mode byte; then 0: LEB128 varints, where that is shorter (a handful of values), or
1: the frequencies of the buckets, the length of the rANS block as a varint, the block, the raw bits.
Geometric gaps, such as those between independent flips, cost within 1 % of their entropy plus the table.
"""

from __future__ import annotations

import numpy as np

from subbit.bits.packing import pack_fields, unpack_fields
from subbit.coders import rans, varints
from subbit.coders.frequencies import Frequencies
from subbit.errors import SubbitError
from subbit.records import Buffer

__all__ = ["decode", "encode"]

_RAW, _BUCKETS = b"\x00", b"\x01"
_EXACT = 16
_BUCKET_COUNT = _EXACT + 8 * 28
_LARGEST = (1 << 32) - 1


def encode(values: np.ndarray) -> bytes:
    """Code integers of any integer type below 2^32.

    Raises :class:`SubbitError` (kind "symbols") for any other value.
    """
    values = np.asarray(values).reshape(-1)
    if values.size == 0:
        return _RAW
    if values.dtype.kind not in "iu" or int(values.min()) < 0 or int(values.max()) > _LARGEST:
        raise SubbitError("a value is no integer in 0 … 2^32 - 1", kind="symbols")
    values = values.astype(np.int64)
    coded = _encode_buckets(values)
    plain_size = values.size + sum(np.count_nonzero(values >> bits) for bits in (7, 14, 21, 28))
    return _BUCKETS + coded if len(coded) < plain_size else _RAW + varints.write(values.tolist())


def decode(data: Buffer, count: int, limit: int = _LARGEST) -> np.ndarray:
    """Rebuild `count` integers as int64, none above `limit`.

    Raises :class:`SubbitError` (kind "section") for a larger value and for data that :func:`encode`
    cannot have written for that many values.
    """
    stored = np.frombuffer(data, np.uint8)
    mode, body = stored[:1].tobytes(), stored[1:]
    if mode == _RAW:
        values = _decode_varints(body, count)
    elif mode == _BUCKETS:
        values = _decode_buckets(body, count)
    else:
        raise SubbitError(f"integers are stored in an unknown way: {mode!r}", kind="section")
    if count and int(values.max()) > limit:
        raise SubbitError(f"integer {values.max()} is above {limit}", kind="section")
    return values


def _encode_buckets(values: np.ndarray) -> bytes:
    octaves = np.maximum(np.frexp(values.astype(np.float64))[1] - 4, 0).astype(np.int64)
    buckets = (8 * octaves + (values >> octaves)).astype(np.uint8)
    frequencies = Frequencies.fit(np.bincount(buckets))
    block = rans.encode(buckets, frequencies)
    raw = pack_fields(values, octaves)
    return frequencies.to_bytes() + varints.write([len(block)]) + block + raw.tobytes()


def _decode_buckets(body: np.ndarray, count: int) -> np.ndarray:
    frequencies, offset = Frequencies.from_bytes(body)
    if frequencies.table.shape[0] != 1 or frequencies.table.shape[1] > _BUCKET_COUNT:
        raise SubbitError("frequencies do not belong to integers", kind="section")
    length, offset = varints.read(body, offset)
    if offset + length > len(body):
        raise SubbitError("the buckets of integers are cut off", kind="section")
    buckets = rans.decode(body[offset : offset + length], count, frequencies).astype(np.int64)
    octaves = np.maximum(buckets // 8 - 1, 0)
    raw = unpack_fields(body[offset + length :], octaves)
    values: np.ndarray = ((buckets - 8 * octaves) << octaves) | raw
    return values


def _decode_varints(body: np.ndarray, count: int) -> np.ndarray:
    values, offset = np.empty(min(count, len(body)), np.int64), 0
    for index in range(values.size):
        values[index], offset = varints.read(body, offset)
    if values.size != count or offset != len(body):
        raise SubbitError(f"the data do not hold {count} integers", kind="section")
    return values
