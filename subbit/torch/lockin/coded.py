"""A weight that is computed, in every forward pass, from exactly what a file will hold of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from subbit.codecs import Signed, Vector
from subbit.codecs.base import stored_knobs
from subbit.codecs.halves import unpack_halves
from subbit.codecs.magnitudes.codebook import unpack_codebook
from subbit.kernels import kernel
from subbit.records import Encoded, matrix_shape
from subbit.signs import SignPlane, Stored
from subbit.torch.lockin.packed import pack_bits, unpack_bits
from subbit.torch.state import dtype_name
from subbit.torch.templates import template_signs

__all__ = ["Coded"]

_HEADROOM = 1.25
"""How far codebook components may grow in training, in the largest one that they start with."""
_HALF = 65504.0
_SCORES_AT_ONCE = 1 << 24


class Coded(nn.Module):
    """A parametrization, W' = S ⊙ (scale of the row · codebook entry): signs and codes stand, the rest is trained.

    The parameters `book` (entries, dim) and `scales` (rows) pass through the rounding of the file: 8 bits times `step`,
    and float16 times `unit`, a power of two; gradients go straight through it. The gradient of W' reaches the latent
    weight as well, which the next :meth:`assign` follows. Starts as :class:`Vector`, whose layout this is, fits |W|.
    """

    step: torch.Tensor
    unit: torch.Tensor
    codes: torch.Tensor
    negative: torch.Tensor

    def __init__(self, weight: torch.Tensor, plane: SignPlane, vector: Vector) -> None:
        super().__init__()
        self.plane, self.vector = plane, vector
        self.matrix = rows, cols = matrix_shape(tuple(weight.shape))
        fitted = vector.encode(weight.detach().float().abs().reshape(rows, cols).cpu().numpy())
        parts = {name: np.frombuffer(section, np.uint8) for name, section in fitted.items()}
        scales = torch.from_numpy(unpack_halves(parts["scales"], rows)).to(weight.device)
        dim, entries, self.width = vector.in_use(rows, cols)
        book = torch.from_numpy(unpack_codebook(parts["codebook"], dim, entries).T.copy()).to(weight.device)
        unit = torch.tensor(math.ldexp(1.0, max(math.frexp(scales.max().item())[1], -100)), device=weight.device)
        self.register_buffer("unit", unit)
        self.register_buffer("step", (book.max() * (_HEADROOM / 255)).clamp(min=2.0**-100))
        self.register_buffer("codes", torch.zeros(rows, -(-cols // dim), dtype=torch.int32, device=weight.device))
        given = None if isinstance(plane, Stored) else template_signs(plane, tuple(weight.shape), device=weight.device)
        self.register_buffer("negative", pack_bits(weight.detach().signbit() if given is None else given < 0))
        self.book, self.scales = nn.Parameter(book), nn.Parameter(scales / unit)
        self.assign(weight)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """W' in the latent weight's shape and type."""
        book = _straight(self._levels() * self.step, self.book)
        scales = _straight(self._halves().float(), self.scales) * self.unit
        entries = nn.functional.embedding(self.codes, book).flatten(1)[:, : self.matrix[1]]
        values = (entries * scales[:, None]).reshape(weight.shape)
        values = torch.where(unpack_bits(self.negative, weight.shape), -values, values)
        return _straight(values.to(weight.dtype), weight)

    @torch.no_grad()
    def assign(self, weight: torch.Tensor) -> None:
        """Give every vector of the latent weight its nearest entry; stored signs become the latent weight's own."""
        if isinstance(self.plane, Stored):
            self.negative.copy_(pack_bits(weight.signbit()))
        book, scales = self._levels() * self.step, self._halves().float() * self.unit
        (rows, cols), (count, dim) = self.matrix, (self.codes.shape[1], book.shape[1])
        values = torch.where(unpack_bits(self.negative, weight.shape), -weight, weight).float().reshape(rows, cols)
        values = values / torch.where(scales > 0, scales, math.inf)[:, None]
        points = nn.functional.pad(values, (0, count * dim - cols)).view(rows, count, dim)
        offsets = (book.square().sum(1) / 2).repeat(count, 1)
        offsets[-1] = book[:, : cols - (count - 1) * dim].square().sum(1) / 2  # a short vector has no more components
        chunk = max(1, _SCORES_AT_ONCE // offsets.numel())
        for start in range(0, rows, chunk):
            part = slice(start, start + chunk)
            self.codes[part] = (offsets - points[part] @ book.T).argmin(-1)

    @torch.no_grad()
    def encoded(self, weight: torch.Tensor) -> Encoded:
        """What a file holds: the integers that `forward` reads, packed, and nothing computed anew."""
        codes = self.codes.cpu().numpy().astype(np.uint16)
        step, unit = (number.float().cpu().numpy().astype("<f4").tobytes() for number in (self.step, self.unit))
        sections: dict[str, Any] = {
            "codes": kernel("rows").pack_rows(codes, self.width).tobytes(),
            "codebook": b"\0" + step + self._levels().to(torch.uint8).cpu().numpy().tobytes(),
            "scales": unit + self._halves().cpu().numpy().astype("<f2").tobytes(),
        }
        if isinstance(self.plane, Stored):
            sections["signs"] = self.negative.cpu().numpy().tobytes()  # files pack them the same way
        knobs = stored_knobs(Signed(self.plane, self.vector))
        return Encoded(Signed.id, knobs, tuple(weight.shape), dtype_name(weight.dtype), sections)

    @torch.no_grad()
    def _levels(self) -> torch.Tensor:
        return (self.book.float() / self.step).clamp(0, 255).round().abs()  # abs: files know no −0

    @torch.no_grad()
    def _halves(self) -> torch.Tensor:
        return self.scales.float().clamp(0, _HALF).abs().half()


class _Straight(torch.autograd.Function):
    """A value forward; backward the gradient goes to it and to the source that it was rounded from."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return gradient, gradient


def _straight(value: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    rounded: torch.Tensor = _Straight.apply(value, source)  # type: ignore[no-untyped-call]
    return rounded
