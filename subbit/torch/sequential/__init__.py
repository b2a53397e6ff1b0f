"""Compressing a model in the order in which it computes: each weight makes up for what those before it lost.

`stages` finds what a block multiplies and in which order, `residual` which of its weights write to the residual
stream, `solving` the weights that answer best to changed inputs, `driver` goes block by block.
"""

from __future__ import annotations

from subbit.torch.sequential.driver import Sequential

__all__ = ["Sequential"]
