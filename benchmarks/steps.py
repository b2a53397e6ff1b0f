"""Ablation of `deadzone`: one step a tensor or one a row; and its error at the bits of the peers.

python -m benchmarks.steps        prints a table and writes results/steps.json; about a minute
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import DATASETS, Weights
from subbit import DeadZone

RESULTS = Path(__file__).parent / "results" / "steps.json"
PEERS = (1.125, 1.5625, 1.75, 2.0625, 2.625)  # Q1_0, IQ1_S, IQ1_M, IQ2_XXS, Q2_K


def measure(name: str, weights: Weights, rate: float, step: str) -> dict[str, Any]:
    """Bits of the sections (no container) and relative squared error over all tensors of a data set."""
    codec = DeadZone(rate)
    bits = count = 0
    error = energy = 0.0
    for weight in weights.values():
        encoded = codec.encode(weight, _by_row(weight) if step == "row" else None)
        wide, decoded = weight.astype(np.float64), codec.decode(encoded).astype(np.float64)
        bits, count = bits + encoded.bits, count + weight.size
        error, energy = error + float(((wide - decoded) ** 2).sum()), energy + float((wide**2).sum())
    return {"data": name, "rate": rate, "step": step, "bits": bits / count, "error": error / energy}


def _by_row(weight: np.ndarray) -> np.ndarray:
    """An importance that asks for equal relative errors of all rows."""
    return 1 / np.maximum(np.abs(weight).mean(axis=1, keepdims=True, dtype=np.float64) ** 2, 1e-30)


def main() -> None:
    """Measure, print, write."""
    rows = []
    for name in ("minilm", "synth", "gaussian"):
        weights = DATASETS[name]()
        pairs = [(rate, step) for rate in (0.5, 0.997) for step in ("tensor", "row")]
        for rate, step in pairs + [(rate, "tensor") for rate in PEERS]:
            rows.append(measure(name, weights, rate, step))
            print("{data:9} a step a {step:6} {bits:7.4f} bits  error {error:.4f}".format_map(rows[-1]), flush=True)
    RESULTS.write_text(json.dumps({"version": 1, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
