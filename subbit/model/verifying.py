"""Verifying: every byte against its checksum, every tensor decoded, and weights against the original."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isclose
from os import PathLike
from pathlib import Path

from subbit.errors import SubbitError, out_of_memory
from subbit.figures import rounded, stated_errors
from subbit.model.file import File, open_file
from subbit.model.parent import Checkpoint
from subbit.signing import check_signature
from subbit.tensors import relative_error
from subbit_formats.sources import open_source

__all__ = ["Verification", "verify"]

_NEAR = 1e-6
"""A float32 holds seven digits."""


@dataclass(frozen=True)
class Verification:
    """A file that is whole: its size, and the relative squared error of each tensor if an original was given.

    `stated` says that the file states errors, too, and that they are those, `signed` that a signature was checked.
    """

    path: Path
    bytes: int
    tensors: int
    errors: dict[str, float]
    stated: bool = False
    signed: bool = False


def verify(
    path: str | PathLike[str],
    against: str | PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    base: Checkpoint | None = None,
    public_key: str | PathLike[str] | None = None,
) -> Verification:
    """Read every byte of a `.sbit` file and compare checksums; with `against`, decode and measure errors too.

    Raises :class:`SubbitError` at the first damage, naming file, tensor and offset; also where names, shapes or types
    differ from those of the original, and, kind "figures", where an error is not the one that the file states. Without
    `against` nothing is decoded. With `base`, the parent checkpoint, content hashes of its tensors are compared with
    those that the file names. With `public_key`, an Ed25519 key in PEM, first of all the signature beside the file is
    checked: kind "signature" where that key has not signed every byte.
    """
    with open_file(path, base) as file:
        archive = file.archive
        if public_key is not None:
            check_signature(archive, public_key)
        archive.verify(progress)
        if base is not None:
            for name in archive.tensors:
                file[name].check()
        stated = stated_errors(archive)
        errors = {} if against is None else _errors(file, against, stated)
        return Verification(
            Path(path), archive.size, len(archive.tensors), errors, bool(errors) and stated is not None,
            public_key is not None,
        )  # fmt: skip


def _errors(file: File, against: str | PathLike[str], claimed: Mapping[str, float] | None) -> dict[str, float]:
    errors = {}
    with open_source(against) as source:
        if missing := sorted(set(source) ^ set(file.archive.tensors)):
            where = "the original" if missing[0] in file.archive.tensors else "the file"
            raise SubbitError(f"tensor {missing[0]!r} is not in {where}", kind="against", path=file.archive.path)
        for name, tensor in source.items():
            stored = file[name]
            if (stored.shape, stored.dtype) != (tensor.shape, tensor.dtype):
                text = f"is {stored.dtype} {stored.shape}, the original {tensor.dtype} {tensor.shape}"
                raise SubbitError(text, kind="against", path=file.archive.path, tensor=name)
            try:
                errors[name] = relative_error(tensor.read(), stored.decode())
            except MemoryError:
                raise out_of_memory().at(path=file.archive.path, tensor=name) from None
            if claimed is not None and not isclose(claimed[name], rounded(errors[name]), rel_tol=_NEAR):
                text = f"has an error of {errors[name]:.7g}, and the file states {claimed[name]:.7g}"
                hint = "it was made from another original, or its figures were changed: trust neither"
                raise SubbitError(text, kind="figures", path=file.archive.path, tensor=name, hint=hint)
    return errors
