"""A weight that is computed, in every forward pass, from exactly what a file will hold of it."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from subbit.codecs import DeadZone, LowBit, OneOfN, Signed, Vector
from subbit.codecs.base import stored_knobs
from subbit.records import Encoded, matrix_shape
from subbit.signs import SignPlane, Stored
from subbit.torch.lockin.coded.base import Values, straight
from subbit.torch.lockin.coded.oneofn import OneOfNValues
from subbit.torch.lockin.coded.scalar import ScalarValues
from subbit.torch.lockin.coded.vector import VectorValues
from subbit.torch.lockin.packed import pack_bits, unpack_bits
from subbit.torch.state import dtype_name
from subbit.torch.templates import template_signs

__all__ = ["VALUES", "Coded"]

VALUES: dict[type, type[Values]] = {
    DeadZone: ScalarValues, LowBit: ScalarValues, OneOfN: OneOfNValues, Vector: VectorValues,
}  # fmt: skip
"""The module that trains each codec: magnitudes, and codecs that code signs with them."""


class Coded(nn.Module):
    """A parametrization, W' = S ⊙ values: signs and integers stand, the parameters of `values` are trained.

    `plane` gives the signs, a template or :class:`Stored` ones, which follow the latent weight; without a plane `codec`
    codes them itself. The gradient of W' reaches the latent weight unchanged, and the next :meth:`assign` follows it.
    """

    negative: torch.Tensor

    def __init__(self, weight: torch.Tensor, plane: SignPlane | None, codec: Any) -> None:
        super().__init__()
        self.plane, self.codec = plane, Signed(plane, codec) if plane else codec
        self.matrix = torch.Size(matrix_shape(tuple(weight.shape)))
        if plane is not None:
            given = not isinstance(plane, Stored)
            negative = template_signs(plane, tuple(weight.shape), device=weight.device) < 0 if given else None
            self.register_buffer("negative", pack_bits(weight.detach().signbit() if negative is None else negative))
        self.values = VALUES[type(codec)](self._target(weight), codec)

    @property
    def free_signs(self) -> bool:
        """Whether no sign is stored."""
        return self.plane is not None and not isinstance(self.plane, Stored)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """W' in the latent weight's shape and type."""
        values = cast(torch.Tensor, self.values())
        if self.plane is not None:
            values = torch.where(unpack_bits(self.negative, self.matrix), -values, values)
        return straight(values.reshape(weight.shape).to(weight.dtype), weight)

    @torch.no_grad()
    def assign(self, weight: torch.Tensor) -> None:
        """Choose the integers anew for the latent weight; stored signs become its own."""
        if isinstance(self.plane, Stored):
            self.negative.copy_(pack_bits(weight.signbit()))
        self.values.assign(self._target(weight))

    @torch.no_grad()
    def encoded(self, weight: torch.Tensor) -> Encoded:
        """What a file holds: the integers that `forward` reads, packed, and nothing computed anew."""
        signs = {"signs": self.negative.cpu().numpy().tobytes()} if isinstance(self.plane, Stored) else {}
        knobs, sections = stored_knobs(self.codec), signs | self.values.sections()  # files pack signs the same way
        return Encoded(self.codec.id, knobs, tuple(weight.shape), dtype_name(weight.dtype), sections)

    @torch.no_grad()
    def _target(self, weight: torch.Tensor) -> torch.Tensor:
        """What `values` are to come near: float32 in the matrix view, with the plane's signs taken off."""
        matrix = weight.detach().float().reshape(self.matrix)
        return matrix if self.plane is None else torch.where(unpack_bits(self.negative, self.matrix), -matrix, matrix)
