"""`OneOfN` in the loop: row factor × column factor at the kept places; both factors are trained."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from torch import nn

from subbit.codecs import OneOfN, Scales
from subbit.torch.lockin.coded.base import Halves, Values

__all__ = ["OneOfNValues"]


class OneOfNValues(Values):
    """Starts as :class:`OneOfN` fits |W|; factors are float16. A stored mask follows the latent weights.

    `places` (rows, groups) says which weight of each group is kept. Only kept weights are seen by the loss, and only
    they move the factors; the gradient at the others tells the latent weights whether they should be kept instead.
    """

    places: torch.Tensor

    def __init__(self, target: torch.Tensor, codec: OneOfN) -> None:
        super().__init__(target, codec)
        self.codec, (rows, self.cols) = codec, target.shape
        row, col = Scales().factors(codec.encode(target.abs().cpu().numpy()), rows, self.cols)
        self.row, self.col = (Halves(torch.from_numpy(factors[0].copy()).to(target.device)) for factors in (row, col))
        places = torch.from_numpy(codec.seeded_places(0, rows, self.cols).astype(np.uint8))
        self.register_buffer("places", places.to(target.device))
        self.assign(target)

    def forward(self) -> torch.Tensor:
        """One multiplication at the kept places, 0 elsewhere."""
        row, col = (cast(torch.Tensor, factors()) for factors in (self.row, self.col))
        columns = torch.arange(self.codec.n, device=self.places.device)
        keep = (self.places[:, :, None] == columns).flatten(1)[:, : self.cols]
        return torch.where(keep, row[:, None] * col, 0.0)

    @torch.no_grad()
    def assign(self, target: torch.Tensor) -> None:
        """Keep the weight of each group that leaves the smallest error; a seeded mask stays."""
        if self.codec.mask == "seeded":
            return
        row, col = self.row(), self.col()
        gain = col * (2 * target / torch.where(row > 0, row, math.inf)[:, None] - col)  # t² − (t − c)², in units of r²
        missing = -self.cols % self.codec.n
        gain = nn.functional.pad(gain, (0, missing), value=-math.inf)
        self.places.copy_(gain.view(*self.places.shape, self.codec.n).argmax(-1))

    @torch.no_grad()
    def sections(self) -> dict[str, bytes]:
        """Places, if they are stored, and factors in mode 1."""
        (row_unit, row), (col_unit, col) = self.row.parts(), self.col.parts()
        stored = self.codec.mask == "stored"
        places = {"places": self.codec.pack(self.places.cpu().numpy().astype(np.uint16))} if stored else {}
        return places | {"factors": b"\1" + row_unit + col_unit + row + col}
