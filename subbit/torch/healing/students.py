"""A module made ready for healing: gains on its coded weights, its small parameters free, all else frozen."""

from __future__ import annotations

import torch
from torch import nn

from subbit.codecs import from_knobs
from subbit.codecs.base import takes_gains
from subbit.errors import UsageError
from subbit.model import File
from subbit.records import matrix_shape
from subbit.torch.healing.gains import Gains, gained, ungained
from subbit.torch.modules import slots

__all__ = ["Student"]


class Student:
    """The tuned parts of a module by the names of the file: `gains` of coded weights, `small` 1-D parameters."""

    def __init__(self, model: nn.Module, file: File, rank: int, dtype: torch.dtype | None) -> None:
        self.model, self.gains, self.small = model, dict[str, Gains](), dict[str, nn.Parameter]()
        self._before = [(parameter, parameter.dtype, parameter.requires_grad) for parameter in model.parameters()]
        for parameter, _, _ in self._before:
            parameter.requires_grad_(False)
        for slot in slots(model):
            name = next((name for name in slot.names if name in file), None)
            if name is None or not isinstance(slot.tensor, nn.Parameter):
                continue
            stored, target = file[name], file.aliases.get(name, name)
            if stored.covered and len(slot.names) == 1:
                rows, columns = takes_gains(from_knobs(stored.codec, stored.entry.knobs))
                fits = 0 < rank < min(matrix_shape(stored.shape))
                if rows or columns or fits:
                    self.gains[target] = gains = Gains(slot.tensor, rank if fits else 0, rows, columns)
                    gained(model, slot.names[0], gains, dtype or slot.tensor.dtype)
            elif slot.tensor.ndim == 1 and slot.tensor.is_floating_point():
                slot.tensor.requires_grad_(True)
                self.small[target] = slot.tensor
        if not (self.gains or self.small):
            hint = "its codecs take no gains, and the model has no norms or biases"
            raise UsageError("nothing in this file can be tuned", kind="heal", hint=hint)

    def parameters(self) -> tuple[list[nn.Parameter], list[float]]:
        """What is tuned, in a fixed order, and the learning rate of each relative to that of logarithmic gains."""
        parameters, rates = [], []
        for _, gains in sorted(self.gains.items()):
            for parameter, rate in gains.tuned():
                parameters.append(parameter)
                rates.append(rate)
        for _, small in sorted(self.small.items()):
            parameters.append(small)
            rates.append(max(float(small.detach().float().square().mean().sqrt()), 0.02))
        return parameters, rates

    def __enter__(self) -> Student:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the gains out again: the module has its own layers and types, with the weights from before."""
        ungained(self.model)
        for parameter, dtype, wanted in self._before:
            parameter.data = parameter.data.to(dtype, copy=True)
            parameter.requires_grad_(wanted)
