"""The healed file: the input's codes with new gains, corrections and small tensors; all else byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from subbit.codecs import Dense, Uniform, from_knobs
from subbit.codecs.base import takes_gains
from subbit.errors import SubbitError
from subbit.model import File
from subbit.planning.corrections import CORRECTION
from subbit.records import Encoded
from subbit.torch.healing.gains import Gains
from subbit.torch.healing.students import Student
from subbit.torch.state import as_array, torch_dtype
from subbit_formats.sbit import Writer

__all__ = ["write_healed"]


def write_healed(file: File, student: Student, output: Path, *, force: bool) -> None:
    """Write `file` with what was tuned. Gains are rounded to the codecs' grids, corrections to 8 bits in groups.

    Corrections count as coded: the budget covers them, with all that decoding them needs.
    """
    with Writer(output, file.metadata, force=force) as writer:
        for name, encoded, covered in sorted(_tensors(file, student), key=lambda item: item[0]):
            writer.add(
                name, shape=encoded.shape, dtype=encoded.dtype, codec=encoded.codec, knobs=encoded.knobs,
                sections=encoded.sections, covered=covered,
            )  # fmt: skip
        for alias, name in file.aliases.items():
            writer.alias(alias, name)
        for name in file.extras:
            writer.extra(name, file.extra(name))


def _tensors(file: File, student: Student) -> Iterator[tuple[str, Encoded, bool]]:
    for name, entry in file.archive.tensors.items():
        encoded = file[name].encoded
        try:
            if name in student.gains:
                gains = student.gains[name]
                yield name, _regained(encoded, gains), entry.covered
                if gains.rank:
                    yield name + CORRECTION, Uniform(width=8).encode(_array(gains.correction(), entry.dtype)), True
            elif name in student.small:
                yield name, Dense().encode(_array(student.small[name], entry.dtype)), entry.covered
            else:
                yield name, encoded, entry.covered
        except SubbitError as error:
            raise error.at(tensor=name) from None


def _regained(encoded: Encoded, gains: Gains) -> Encoded:
    codec = from_knobs(encoded.codec, encoded.knobs)
    if not any(takes_gains(codec)):
        return encoded
    rows, columns = (_array(part, "float32").astype(np.float64) for part in (gains.log_rows, gains.log_columns))
    regained: Encoded = codec.regain(encoded, np.exp(rows), np.exp(columns))  # type: ignore[attr-defined]
    return regained


def _array(tensor: torch.Tensor, dtype: str) -> np.ndarray:
    """A tensor as an array of a file's type; float64 stays what training made of it, float32."""
    return as_array(tensor.detach().cpu().to(torch_dtype(dtype)).contiguous())
