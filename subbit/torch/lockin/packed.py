"""Signs of a torch tensor in one bit each, on its device."""

from __future__ import annotations

import torch

__all__ = ["pack_bits", "unpack_bits"]


def pack_bits(negative: torch.Tensor) -> torch.Tensor:
    """A bool tensor as uint8[ceil(n / 8)]: weight i is bit i % 8 of byte i // 8."""
    flat = negative.reshape(-1)
    bits = torch.zeros(-(-flat.numel() // 8) * 8, dtype=torch.uint8, device=flat.device)
    bits[: flat.numel()] = flat
    places = torch.arange(8, dtype=torch.uint8, device=flat.device)
    return (bits.view(-1, 8) << places).sum(1, dtype=torch.uint8)


def unpack_bits(packed: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """The bool tensor behind :func:`pack_bits`."""
    places = torch.arange(8, dtype=torch.uint8, device=packed.device)
    bits = (packed[:, None] >> places) & 1
    return bits.view(torch.bool).reshape(-1)[: shape.numel()].view(shape)
