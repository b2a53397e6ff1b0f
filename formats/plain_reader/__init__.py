"""A second reader of `.sbit` files, written from SPEC.md and TEMPLATES.md alone; it shares no line with subbit.

It is made to be read, and slow. It checks versions, checksums and that decoding ends where it should, and refuses
little else that is illegal.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 - teaches NumPy bfloat16 and the floats of 8 bits
import numpy as np
import zstandard
from xxhash import xxh3_128_digest as digest

from .layouts import Sections, factors, signed, uniform
from .parts import check
from .scalar import scalar
from .trellis import trellis


def read(path: Path, parents: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of a file, or of all shards of an index, under all their names; `parents` by the names of theirs."""
    data = path.read_bytes()
    if path.suffix == ".json":
        shards = {name: read(path.parent / name, parents) for name in json.loads(data)["files"]}
        return {name: shards[file][name] for name, file in json.loads(data)["weight_map"].items()}
    magic, major, _, _, size, at, index_size, _ = struct.unpack_from("<8sHHIQQQQ", data)
    check(magic == b"\x89SBT\r\n\x1a\n" and digest(data[:112]) == data[112:128], "no .sbit file, or a damaged header")
    check(major == 1, f"the file has version {major}, this reader knows 1")
    check((size, digest(data[at:]), digest(data[128:])) == (len(data), data[48:64], data[64:80]), "the file is damaged")
    index = json.loads(data[at : at + index_size])
    tensors, extras = index.get("tensors", []), index.get("extras", [])
    required = [extra["name"] for extra in extras if extra.get("required")]
    check(not required, f"only for readers that know {required}")
    sections, end = [], 128
    for size in [size for tensor in tensors for _, size in tensor["sections"]] + [extra["size"] for extra in extras]:
        end += size and -end % (64 if size >= 4096 else 8)
        sections.append(data[end : end + size])
        end += size
    check(b"".join(map(digest, sections)) == data[at + index_size :], "the sections are damaged")
    found, left = {}, iter(sections)
    for tensor in tensors:
        codec, parent = index["codecs"][tensor["codec"]], parents.get(tensor["name"])
        parts = {name: next(left) for name, _ in tensor["sections"]}
        found[tensor["name"]] = decode(codec, np.dtype(tensor["dtype"]), tuple(tensor["shape"]), parts, parent)
    for extra, stored in zip(extras, left, strict=True):
        if "raw_size" in extra:
            unpacked(stored, extra["raw_size"])
    return found | {name: found[target] for name, target in index.get("aliases", {}).items()}


def unpacked(frame: bytes, size: int) -> bytes:
    check(zstandard.frame_content_size(frame) == size, "a frame of another size")
    return zstandard.ZstdDecompressor().decompress(frame)


def decode(
    codec: dict[str, Any], dtype: np.dtype, shape: tuple[int, ...], parts: Sections, parent: np.ndarray | None
) -> np.ndarray:
    name, knobs = codec["id"], codec.get("knobs", {})
    if wanted := knobs.get("parent", knobs.get("signs", {}).get("parent")):
        check(parent is not None, "a parent checkpoint is needed")
        described = " ".join([parent.dtype.name, *map(str, parent.shape)]).encode()
        check(digest(described + b"\n" + parent.tobytes()).hex() == wanted, "another parent checkpoint is needed")
    if name == "same":
        return parent
    if name == "dense":
        return dense(parts["data"], dtype, shape)
    splits = [(math.prod(shape[:k]), math.prod(shape[k:])) for k in range(1, len(shape))]
    rows, cols = min(splits, key=max) if splits else (1, math.prod(shape))
    below = parent.astype("f4").reshape(rows, cols) if wanted else None
    if name == "deadzone":
        weights = scalar(rows, cols, parts["codes"], 2)
    elif name == "delta":
        weights = below + scalar(rows, cols, parts["codes"], 2)
    elif name == "signed":
        weights = signed(knobs, rows, cols, parts, below)
    else:
        layouts = {"uniform": uniform, "factors": factors, "trellis": trellis}
        check(name in layouts, f"this reader does not know the codec {name}")
        weights = layouts[name](knobs, rows, cols, parts)
    return weights.astype(dtype).reshape(shape)


def dense(data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if data[0] == 0:
        return np.frombuffer(data, dtype, offset=1).reshape(shape)
    planes = np.frombuffer(unpacked(data[1:], math.prod(shape) * dtype.itemsize), np.uint8)
    return planes.reshape(dtype.itemsize, -1).T.copy().view(dtype).reshape(shape)
