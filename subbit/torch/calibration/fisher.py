"""How much each output of a layer matters to the loss: mean squared gradients, the diagonal of the output Fisher."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from subbit.errors import SubbitError
from subbit.torch.calibration.moments import Part
from subbit.torch.calibration.watching import Read

__all__ = ["Fisher", "Loss", "backward", "sampled_gradient", "samples"]

_ROWS = 256

Loss = Callable[[Any, Any], torch.Tensor]
"""(output, batch) → the loss, a mean over the samples of the batch."""


class Fisher:
    """Sums of g² over everything that a layer writes; `rows` halves them and divides by the units of the loss.

    For a token loss of which g is the gradient, ½ Σ rows · E H Eᵀ is then the loss that an error E adds per token, to
    second order: layers and experts that few tokens reach count by their share. Source: the Kronecker-factored Fisher
    of Martens and Grosse, arXiv 1503.05671, with a diagonal output factor.
    """

    def __init__(self) -> None:
        self._sums: dict[Part, torch.Tensor] = {}
        self.units = 0

    def watch(self, read: Read) -> None:
        """Square the gradient of this output when the backward pass brings it."""
        if not read.output.requires_grad:
            return
        part = Part(read.target.name, read.group)
        squares = _squares_of(read)

        def add(gradient: torch.Tensor) -> None:  # holds nothing of `read`: its output would hold itself alive
            found = squares(gradient.detach())
            self._sums[part] = self._sums[part] + found if part in self._sums else found

        read.output.register_hook(add)  # type: ignore[no-untyped-call]

    def rows(self, part: Part) -> torch.Tensor | None:
        """(groups, outputs) in float32; None where no gradient arrived."""
        found = self._sums.get(part)
        return None if found is None else found * (0.5 / max(1, self.units))


def backward(output: Any, batch: Any, loss: Loss | None, generator: torch.Generator) -> int:
    """Send gradients back from what a model returned for one batch; returns how many units of the loss they are of.

    With `loss` the units are the samples of the batch (its first dimension). Without: logits get the gradient of the
    cross entropy with labels sampled from their own distribution, and each position is a unit; any other output gets a
    random Gaussian gradient, so that the loss is half the squared change of the output, and samples are the units.
    Raises :class:`SubbitError` (kind "loss") for an output without gradients or a loss that is no finite scalar.
    """
    if loss is not None:
        value = loss(output, batch)
        if value.numel() != 1 or not bool(torch.isfinite(value.detach()).all()):
            raise SubbitError(f"the loss is no finite number: {value}", kind="loss", hint="return a scalar, a mean")
        units = samples(batch)
        (value * units).backward()  # type: ignore[no-untyped-call]
        return units
    logits = getattr(output, "logits", None)
    main = logits if isinstance(logits, torch.Tensor) else _main(output)
    if not main.requires_grad:
        raise SubbitError("no weight that is calibrated leads to the output", kind="loss", hint="pass fisher=False")
    if main is logits:
        main.backward(sampled_gradient(main.detach(), generator))
        return math.prod(main.shape[:-1])
    noise = torch.randn(main.shape, generator=generator, dtype=torch.float32)
    main.backward(noise.to(main.device, main.dtype))  # type: ignore[no-untyped-call]
    return len(main)


def sampled_gradient(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """softmax − one-hot: the gradient of the cross entropy of every position with a label sampled from the model."""
    gradient = torch.empty_like(logits)
    flat = gradient.reshape(-1, logits.shape[-1])
    for source, target in zip(torch.split(logits.reshape(flat.shape), _ROWS), torch.split(flat, _ROWS), strict=True):
        chances = source.float().softmax(dim=-1)
        drawn = torch.rand(len(chances), 1, generator=generator).to(chances.device)
        labels = torch.searchsorted(chances.cumsum(dim=-1), drawn).clamp_(max=chances.shape[-1] - 1)
        target.copy_(chances.scatter_add_(1, labels, chances.new_full(labels.shape, -1.0)))
    return gradient


def samples(batch: Any) -> int:
    """The first dimension of the first tensor in a batch."""
    for value in batch.values() if isinstance(batch, dict) else batch if isinstance(batch, (tuple, list)) else [batch]:
        if isinstance(value, torch.Tensor) and value.ndim:
            return len(value)
    raise SubbitError("a batch holds no tensor", kind="data", hint="yield a tensor, a tuple or a dict of tensors")


def _main(output: Any) -> torch.Tensor:
    """The tensor that counts: the output itself, its last hidden state, or the first tensor in it."""
    for name in ("last_hidden_state", "pooler_output"):
        if isinstance(found := getattr(output, name, None), torch.Tensor):
            return found
    values = output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else [output]
    for value in values:
        if isinstance(value, torch.Tensor):
            return value
    hint = "pass loss=, a function of the model's output and the batch, or fisher=False"
    raise SubbitError(f"no tensor in the model's output, a {type(output).__name__}", kind="loss", hint=hint)


def _of_convolution(read: Read) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function from a gradient to Σ (gradient of the weights)² of each output ÷ the mean |x|² of what it reads.

    A weight errs at all places alike, so that what its errors do adds up over places before it is squared. Of a batch
    the gradients are added before as well: those of sampled labels and of noise have no common part. Source:
    Eschenhagen et al., arXiv 2311.00636 ("reduce" in place of "expand").
    """
    kernel, stride, before, after, dilation, groups = cast(tuple[Any, ...], read.convolution)
    x = read.input.detach().float().clone()  # what comes after may change it in place
    x = x.reshape(-1, x.shape[1], *((1,) * (4 - x.ndim)), *x.shape[2:])
    x = functional.pad(x, (before[1], after[1], before[0], after[0]))
    size = read.target.parameter.shape[0], x.shape[1] // groups, *kernel

    def squares(gradient: torch.Tensor) -> torch.Tensor:
        g = gradient.float().reshape(len(x), size[0], *((1,) * (4 - gradient.ndim)), *gradient.shape[2:])
        weights = conv2d_weight(x, size, g, stride, 0, dilation, groups)  # type: ignore[no-untyped-call]
        own = weights.square().flatten(1).sum(dim=1)
        ones = x.new_ones(groups, *size[1:])
        energy = functional.conv2d(x.square(), ones, None, stride, 0, dilation, groups).mean(dim=(0, 2, 3))
        found: torch.Tensor = own.reshape(groups, -1) / energy.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
        return found

    return squares


def _squares_of(read: Read) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function from a gradient of the read's output to Σ g² of each output, (groups, outputs)."""
    if read.convolution is not None:
        return _of_convolution(read)
    if read.batched:
        return lambda g: g.float().square().sum(dim=1)
    return lambda g: torch.linalg.vector_norm(g.float().reshape(-1, g.shape[-1]), dim=0, keepdim=True).square()
