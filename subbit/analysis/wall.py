"""The one-bit wall: what the signs of a checkpoint cost, and why.

For every matrix under the bit budget: how well its signs can be predicted, whether a low rank holds them, whether
their spectrum is that of random signs, and how far they are from a template or from the initialization. Source:
Sakai & Ichikawa, "Sign Lock-In" (arXiv 2602.17063), the diagnostics of its section on the wall.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import numpy as np

from subbit.analysis.sign_entropy import rate_distortion, sign_entropy
from subbit.analysis.spectrum import compare_samples, random_singular_values, rank_error, singular_values
from subbit.analysis.wall_verdict import judge, sum_up
from subbit.bits.entropy import binary_entropy
from subbit.bits.packing import pack_signs
from subbit.errors import SubbitError
from subbit.planning import Coverage
from subbit.records import matrix_shape
from subbit.signs import SignPlane, agreement, declared, signs
from subbit.tensors import is_finite
from subbit_formats.sources import Source, SourceTensor, open_source
from subbit_formats.sources.source import naming

__all__ = ["DISTORTIONS", "RANKS", "measure_matrix", "measure_wall", "sample"]

VERSION = 1
SAMPLE = 1 << 20
"""At most this many weights of a matrix are looked at for entropy and spectrum: a block from its middle."""

RANKS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
DISTORTIONS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


def measure_wall(
    checkpoint: str | PathLike[str],
    init: str | PathLike[str] | None = None,
    progress: Callable[[str, int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Measure the signs of every covered matrix of a checkpoint, one at a time, as JSON values.

    `entropy` is Ĥ in bits a sign; `ranks` the error that rank r leaves, ‖X − X_r‖² / ‖X‖², for signs, magnitudes and
    random signs at r = share · min(m, n); `ks` the Kolmogorov–Smirnov test of the singular values against those of
    random signs, `random` its distance between two random matrices. `template` is the flip rate against the template
    that the checkpoint declares, `drift` the one against `init`, each with its cost H(p), the passive baseline.
    `bits` is the least of all costs. Matrices above 2^20 weights are sampled, see `sampled`; flips are exact.

    Raises :class:`SubbitError` that names file and tensor: unreadable files, NaN or infinity ("nonfinite"), a tensor
    of another shape in `init` or none at all in common ("init"), nothing to measure ("empty").
    """
    with open_source(checkpoint) as source:
        if init is None:
            return _report(source, None, progress)
        with open_source(init) as start:
            return _report(source, start, progress)


def measure_matrix(matrix: np.ndarray) -> dict[str, Any]:
    """Entropy, rate–distortion curve, rank errors and KS test of one finite float matrix, sampled if it is large."""
    block = sample(matrix).astype(np.float32)
    negative = np.signbit(block)
    found = sign_entropy(negative)
    spectra = {
        "signs": singular_values(1.0 - 2.0 * negative),
        "magnitudes": singular_values(np.abs(block)),
        "random": random_singular_values(*block.shape, seed=0),
    }
    distance, p = compare_samples(spectra["signs"], spectra["random"])
    usual, _ = compare_samples(random_singular_values(*block.shape, seed=1), spectra["random"])
    return {
        "sampled": list(block.shape) if block.size < matrix.size else None,
        "entropy": found.bits,
        "predicted_by": found.best,
        "rate_distortion": [[d, rate_distortion(found.bits, d), rate_distortion(1.0, d)] for d in DISTORTIONS],
        "ranks": [{"share": r, **{k: rank_error(v, r) for k, v in spectra.items()}} for r in RANKS],
        "ks": {"distance": distance, "p": p, "random": usual},
    }


def sample(matrix: np.ndarray) -> np.ndarray:
    """The middle block of at most 2^20 weights, as square as it can be: neighbours stay neighbours."""
    rows, cols = matrix.shape
    side = math.isqrt(SAMPLE)
    height = min(rows, max(side, SAMPLE // max(cols, 1)))
    width = min(cols, max(side, SAMPLE // max(rows, 1)))
    top, left = (rows - height) // 2, (cols - width) // 2
    return matrix[top : top + height, left : left + width]


def _report(
    source: Source, start: Source | None, progress: Callable[[str, int, int, str], None] | None
) -> dict[str, Any]:
    coverage = Coverage()
    covered = [t for t in source.values() if coverage.kept_as(t.name, t.shape, t.dtype) is None]
    if not covered:
        raise SubbitError("holds no float matrix but embeddings and heads", kind="empty", path=source.path)
    if start is not None and not any(tensor.name in start for tensor in covered):
        text = f"has none of the matrices of {str(source.path)!r}, such as {covered[0].name!r}"
        raise SubbitError(text, kind="init", path=start.path)
    tensors = []
    with naming(source.path):
        planes = declared.parse(source.metadata.get(declared.METADATA_KEY, "{}"))
        for done, tensor in enumerate(covered):
            if progress is not None:
                progress("measure", done, len(covered), tensor.name)
            tensors.append(_measure(tensor, planes, start))
    model = sum_up(tensors)
    init = None if start is None else str(start.path)
    return {"version": VERSION, "path": str(source.path), "init": init, "model": model, "tensors": tensors}


def _measure(tensor: SourceTensor, planes: Mapping[str, SignPlane], start: Source | None) -> dict[str, Any]:
    matrix = _matrix(tensor)
    words = pack_signs(matrix)
    result: dict[str, Any] = {"name": tensor.name, "shape": list(tensor.shape), "weights": matrix.size}
    result |= measure_matrix(matrix)
    result["template"] = result["drift"] = None
    if tensor.name in planes:
        plane = planes[tensor.name]
        result["template"] = {"kind": plane.kind, **_flips(words, signs(plane, b"", *matrix.shape), matrix.shape)}
    if start is not None and tensor.name in start:
        before = start[tensor.name]
        if before.shape != tensor.shape:
            text = f"has shape {tensor.shape}, and {before.shape} in the initialization"
            raise SubbitError(text, kind="init", path=start.path, tensor=tensor.name)
        result["drift"] = _flips(words, pack_signs(_matrix(before)), matrix.shape)
    result["bits"], result["verdict"] = judge(result)
    return result


def _matrix(tensor: SourceTensor) -> np.ndarray:
    weight: np.ndarray = tensor.read()
    if not is_finite(weight):
        raise SubbitError("has NaN or infinite weights", kind="nonfinite", path=tensor.path, tensor=tensor.name)
    return weight.reshape(matrix_shape(tensor.shape))


def _flips(words: np.ndarray, others: np.ndarray, shape: tuple[int, int]) -> dict[str, float]:
    rate = 1.0 - agreement(words, others, *shape)
    return {"flips": rate, "bits": max(0.0, binary_entropy(rate))}
