"""Files live for ever: released files decode to their digests, and files of versions to come are read or refused."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import subbit
from benchmarks.trust.proof import Proof
from formats import plain_reader
from formats.bad.forge import forged, take_apart

__all__ = ["prove"]

GOLDEN = Path(plain_reader.__file__).parents[1] / "golden"
NEW = "新"
"""Sorts behind the names of all golden tensors."""

Table = dict[str, tuple[str, tuple[int, ...], str]]
"""Element type, shape and SHA-256 of each tensor."""


def prove(share: float) -> list[Proof]:
    """Decode the goldens of every release by three decoders; then make each a file of a newer version, in four ways."""
    stored = json.loads((GOLDEN / "digests.json").read_text("utf-8"))
    names = sorted(stored)[: math.ceil(share * len(stored))]
    tables = {
        name: {k: (t["dtype"], tuple(t["shape"]), t["sha256"]) for k, t in stored[name]["tensors"].items()}
        for name in names
    }
    decoders = {"compiled kernels": compiled, "plain kernels": plain, "the plain reader": second}
    wrong = [
        f"{name} by {decoder}: {tensor}"
        for name, table in tables.items()
        for decoder, decode in decoders.items()
        for tensor in sorted(table.items() ^ decode(GOLDEN / name).items())
    ]
    tensors = sum(map(len, tables.values()))
    what = f"tensors of {len(names)} files of every release decoded by {', by '.join(decoders)}"
    releases = sorted({name.split("/")[0] for name in names})
    goldens = Proof(8, what, len(decoders) * tensors, len(wrong), tuple(wrong[:10]), f"releases {', '.join(releases)}")
    tried = [(name, *case) for name in names if name.endswith(".sbit") for case in newer(GOLDEN / name, tables[name])]
    broken = [f"{name}: {case}" for name, case, kept in tried if not kept]
    what = "forged files of newer versions: unknown extras skipped, required ones, codecs and majors refused by name"
    return [goldens, Proof(8, what, len(tried), len(broken), tuple(broken[:10]))]


def newer(golden: Path, table: Table) -> Iterator[tuple[str, bool]]:
    """What is made of a golden, and whether it is read or refused as the bump rule says."""
    index, sections = take_apart(golden.read_bytes())
    extras, tensors, codecs = index.get("extras", []), index.get("tensors", []), index.get("codecs", [])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / golden.name

        def forge(changes: dict[str, Any], *added: bytes, **header: int) -> None:
            path.write_bytes(forged(index | changes, [*sections, *added], header={"minor": 65535} | header))

        forge({"extras": [*extras, {"name": NEW, "size": 5}]}, b"later")
        yield "an optional extra", compiled(path) == second(path) == table
        forge({"extras": [*extras, {"name": NEW, "required": True, "size": 5}]}, b"later")
        yield "a required extra", all(NEW in refusal(decode, path) for decode in (compiled, second))
        forge({}, major=2, minor=3)
        yield "a major version", all("version 2" in refusal(decode, path) for decode in (compiled, second))
        tensor = {"codec": len(codecs), "dtype": "float32", "name": NEW, "sections": [], "shape": [2, 3]}
        forge({"codecs": [*codecs, {"id": "later"}], "tensors": [*tensors, tensor]})
        with subbit.open(path, base=parent()) as file:
            others = {name: described(file[name].decode()) for name in file if name != NEW}
            said = refusal(lambda _: file[NEW].decode(), path)
        yield "a codec", others == table and "'later'" in said and NEW in said


def refusal(decode: Callable[[Path], object], path: Path) -> str:
    """What a decoder says to a file that it must refuse; nothing if it does not."""
    try:
        decode(path)
    except (subbit.SubbitError, ValueError) as error:
        return str(error)
    return ""


def compiled(path: Path) -> Table:
    with patch.dict(os.environ, SUBBIT_KERNELS="compiled"):
        return {name: described(array) for name, array in subbit.load(path, base=parent()).items()}


def plain(path: Path) -> Table:
    with patch.dict(os.environ, SUBBIT_KERNELS="plain"):
        return {name: described(array) for name, array in subbit.load(path, base=parent()).items()}


def second(path: Path) -> Table:
    return {name: described(array) for name, array in plain_reader.read(path, plain_reader.read(parent(), {})).items()}


def parent() -> Path:
    """The parent checkpoint that some goldens need."""
    return max(GOLDEN.glob("*/parent.sbit"))


def described(array: np.ndarray) -> tuple[str, tuple[int, ...], str]:
    return array.dtype.name, array.shape, hashlib.sha256(array.tobytes()).hexdigest()
