"""How the signs of one tensor move during training: flips, and excursions by stopping times.

With ρ the outer threshold and ε the radius of the boundary around 0: σ₀ = inf{t : |w_t| ≥ ρ},
τ_k = inf{t > σ_{k−1} : |w_t| ≤ ε}, σ_k = inf{t > τ_k : |w_t| ≥ ρ}. K_eff(ρ) counts the excursions
σ_{k−1} → τ_k → σ_k that come back with the other sign. Source: Sakai & Ichikawa, "Sign Lock-In" (arXiv 2602.17063).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from subbit.bits.packing import pack_signs
from subbit.errors import UsageError
from subbit.kernels import kernel

__all__ = ["MOST_COUNTED", "MOST_RHOS", "Excursions"]

MOST_RHOS = 3
MOST_COUNTED = 31
"""The largest K_eff that is told from larger ones."""


class Excursions:
    """Follow the weights of one tensor, given as NumPy arrays at every step, in two bits and a byte a weight and ρ.

    `step_flips` are the signs that changed at the latest step, `init_flips` those that differ from the first,
    `total_flips` the sum over all steps. -0.0 counts as negative, as everywhere.
    """

    def __init__(self, weights: np.ndarray, rhos: Sequence[float] = (), eps: float = 0.0) -> None:
        """Start at t = 0 with `weights`; thresholds are rounded to float32. At most 3 ρ, each above ε ≥ 0."""
        if len(rhos) > MOST_RHOS:
            raise UsageError(f"{len(rhos)} values of ρ, at most {MOST_RHOS} fit into 4 bytes a weight", kind="rho")
        self._eps = np.float32(eps)
        self._rhos = [np.float32(rho) for rho in rhos]
        if not (eps >= 0 and all(np.isfinite(rho) and rho > self._eps for rho in self._rhos)):
            hint = "a larger ρ, or smaller steps and a smaller ε"
            raise UsageError(f"every ρ of {list(rhos)} must be above ε = {eps:.4g} ≥ 0", kind="rho", hint=hint)
        values = self._flat(weights)
        self._first = self._latest = pack_signs(values[None])
        self._states = np.zeros((len(self._rhos), values.size), np.uint8)
        self.missed = [0] * len(self._rhos)
        self.weights = values.size
        self.step_flips = self.init_flips = self.total_flips = 0
        self._advance(values)

    @property
    def nbytes(self) -> int:
        """Memory that is held between steps."""
        return self._first.nbytes + self._latest.nbytes + self._states.nbytes

    def update(self, weights: np.ndarray) -> None:
        """Take the weights after one more step, any floating type, compared as float32."""
        values = self._flat(weights)
        if values.size != self.weights:
            raise UsageError(f"{values.size} weights, {self.weights} are followed", kind="shape")
        words = pack_signs(values[None])
        disagreement = kernel("sign_planes").disagreement
        self.step_flips = int(disagreement(words, self._latest))
        self.init_flips = int(disagreement(words, self._first))
        self.total_flips += self.step_flips
        self._latest = words
        self._advance(values)

    def state(self) -> dict[str, Any]:
        """What following on needs: arrays of bytes and plain numbers, which later updates leave alone."""
        return {
            "rhos": [float(rho) for rho in self._rhos],
            "eps": float(self._eps),
            "first": self._first.view(np.uint8),
            "latest": self._latest.view(np.uint8),
            "states": self._states.copy(),
            "missed": list(self.missed),
            "flips": [self.step_flips, self.init_flips, self.total_flips],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken, on as many weights and ρ; thresholds are those of the state."""
        self._rhos = [np.float32(rho) for rho in state["rhos"]]
        self._eps = np.float32(state["eps"])
        self._first, self._latest = (state[name].copy().view(np.uint64) for name in ("first", "latest"))
        self._states = state["states"].copy()
        self.missed = list(state["missed"])
        self.step_flips, self.init_flips, self.total_flips = state["flips"]

    def count(self, which: int) -> dict[str, object]:
        """Of ρ number `which`, how many weights: reached ρ (σ₀) and the boundary since (τ₁), have K_eff = 0, 1, … 31.

        The last of the 32 counts is for 31 and more. `missed` weights have, now, another sign than at their latest
        outer visit without having been seen within ε: if there are any, steps are longer than ε allows.
        """
        states = np.bincount(self._states[which], minlength=256).reshape(32, 4, 2).sum(2)
        stages = states.sum(0)
        # a weight far out again (stage 3) may have no change of sign, yet has been at the boundary
        return {
            "outer": int(stages[1:].sum()),
            "hits": int(stages[2:].sum()),
            "missed": self.missed[which],
            "k": [int(count) for count in states.sum(1)],
        }

    def _advance(self, values: np.ndarray) -> None:
        advance = kernel("crossings").advance
        for which, rho in enumerate(self._rhos):
            self.missed[which] = advance(values, self._states[which], rho, self._eps)

    @staticmethod
    def _flat(weights: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(weights, np.float32).reshape(-1)
