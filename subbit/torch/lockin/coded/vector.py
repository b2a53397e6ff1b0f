"""`Vector` in the loop: codebook entries times row scales, both trained."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from torch import nn

from subbit.codecs import Vector
from subbit.codecs.halves import unpack_halves
from subbit.codecs.magnitudes.codebook import unpack_codebook
from subbit.kernels import kernel
from subbit.torch.lockin.coded.base import Halves, Values, straight

__all__ = ["VectorValues"]

_HEADROOM = 1.25
"""How far codebook components may grow in training, in the largest one that they start with."""
_SCORES_AT_ONCE = 1 << 24


class VectorValues(Values):
    """Scale of the row · codebook entry. Starts as :class:`Vector` fits |W|; the codebook has 8 bits a component.

    The parameters are `book` (entries, dim), rounded to 8 bits times `step`, and the scales of the rows.
    """

    step: torch.Tensor
    codes: torch.Tensor

    def __init__(self, target: torch.Tensor, codec: Vector) -> None:
        super().__init__(target, codec)
        self.cols = target.shape[1]
        fitted = codec.encode(target.abs().cpu().numpy())
        parts = {name: np.frombuffer(section, np.uint8) for name, section in fitted.items()}
        dim, entries, self.width = codec.in_use(*target.shape)
        book = torch.from_numpy(unpack_codebook(parts["codebook"], dim, entries).T.copy()).to(target.device)
        codes = torch.zeros(len(target), -(-self.cols // dim), dtype=torch.int32, device=target.device)
        self.register_buffer("step", (book.max() * (_HEADROOM / 255)).clamp(min=2.0**-100))
        self.register_buffer("codes", codes)
        self.book = nn.Parameter(book)
        self.scales = Halves(torch.from_numpy(unpack_halves(parts["scales"], len(target))).to(target.device))
        self.assign(target)

    def forward(self) -> torch.Tensor:
        """Look up, then one multiplication."""
        book = straight(self._levels() * self.step, self.book)
        entries = nn.functional.embedding(self.codes, book).flatten(1)[:, : self.cols]
        return entries * cast(torch.Tensor, self.scales())[:, None]

    @torch.no_grad()
    def assign(self, target: torch.Tensor) -> None:
        """Give every vector its nearest entry."""
        book, scales = self._levels() * self.step, self.scales()
        (rows, count), dim = self.codes.shape, book.shape[1]
        points = target / torch.where(scales > 0, scales, math.inf)[:, None]
        points = nn.functional.pad(points, (0, count * dim - self.cols)).view(rows, count, dim)
        offsets = (book.square().sum(1) / 2).repeat(count, 1)
        offsets[-1] = book[:, : self.cols - (count - 1) * dim].square().sum(1) / 2  # a short vector has no more of them
        chunk = max(1, _SCORES_AT_ONCE // offsets.numel())
        for start in range(0, rows, chunk):
            part = slice(start, start + chunk)
            self.codes[part] = (offsets - points[part] @ book.T).argmin(-1)

    @torch.no_grad()
    def sections(self) -> dict[str, bytes]:
        """Codes, codebook (mode 0) and scales."""
        step = self.step.float().cpu().numpy().astype("<f4").tobytes()
        codes = self.codes.cpu().numpy().astype(np.uint16)
        return {
            "codes": kernel("rows").pack_rows(codes, self.width).tobytes(),
            "codebook": b"\0" + step + self._levels().to(torch.uint8).cpu().numpy().tobytes(),
            "scales": b"".join(self.scales.parts()),
        }

    @torch.no_grad()
    def _levels(self) -> torch.Tensor:
        return (self.book.float() / self.step).clamp(0, 255).round().abs()  # abs: files know no −0
