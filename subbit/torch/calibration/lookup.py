"""An embedding as the linear layer that it is: it reads one-hot tokens, whose second moments are their frequencies."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from subbit.model.statistics import LayerMoments

__all__ = ["Lookup", "both_roles"]

_EVEN = 0.5


class Lookup:
    """Squares the gradients of what an embedding gives for `ids`; a context manager around the passes of the model."""

    def __init__(self, embedding: nn.Module, ids: torch.Tensor) -> None:
        self.weight: Any = embedding.weight
        self._embedding = embedding
        self._ids = ids
        self._squares: torch.Tensor | None = None

    def __enter__(self) -> Lookup:
        self._hook = self._embedding.register_forward_hook(self._saw)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def _saw(self, module: nn.Module, given: Any, output: torch.Tensor) -> torch.Tensor | None:
        if not torch.is_grad_enabled():
            return None
        output = output if output.requires_grad else output.detach().requires_grad_()
        output.register_hook(self._add)  # type: ignore[no-untyped-call]
        return output

    def _add(self, gradient: torch.Tensor) -> None:
        found = gradient.detach().float().square().reshape(-1, gradient.shape[-1]).sum(dim=0)
        self._squares = found if self._squares is None else self._squares + found

    def moments(self, name: str, units: int) -> LayerMoments:
        """The weight (tokens, features) by its name: rows are read by frequency, columns are ½ E[g²] of each feature.

        What is read once in the text tells how often a token comes that is not in it: that share of all, or that of
        one token, is spread over the vocabulary. Source: Good, "The population frequencies of species" (1953).
        Columns are 1 where no gradient came; gradients are per unit of the loss (`fisher.backward`).
        """
        tokens, features = self.weight.shape
        counts = np.bincount(self._ids.cpu().numpy().ravel(), minlength=tokens).astype(np.float64)
        total = self._ids.numel()
        unseen = max(int((counts == 1).sum()), 1) / total
        shares = (1 - unseen) * counts / total + unseen / tokens
        columns = np.ones(features) if self._squares is None else self._squares.cpu().numpy() / (2 * max(units, 1))
        arrays = [array.astype(np.float32)[None] for array in (columns, shares)]
        return LayerMoments((tokens, features), name, partial(np.asarray, arrays[0]), partial(np.asarray, arrays[1]))


def both_roles(head: LayerMoments, lookup: LayerMoments) -> LayerMoments:
    """The moments of an embedding that is the output head as well: what errors cost in one role and in the other.

    The cost of an error in row t, column d is a sum of two products; the product that is stored has its sums over rows
    and over columns, and the head's columns move together as much as the head has part in it. Half of the rows' cost is
    spread evenly: near no error rare tokens cost next to nothing, but all of them left out cost much, as each then has
    the logit 0.
    """
    (columns,), (rows,) = head.columns().astype(np.float64), head.rows().astype(np.float64)
    (read,), (shares,) = lookup.columns().astype(np.float64), lookup.rows().astype(np.float64)
    diagonal = columns if columns.ndim == 1 else columns.diagonal()
    written_rows, read_rows = rows * diagonal.mean(), shares * read.mean()
    written, looked_up = written_rows.sum() / diagonal.mean(), read_rows.sum() / read.mean()
    own = looked_up * (read if columns.ndim == 1 else np.diag(read))
    found = (written * columns + own) / (written_rows.sum() + read_rows.sum())
    costs = written_rows + read_rows
    costs += _EVEN * (costs.mean() - costs)
    arrays = [array.astype(np.float32)[None] for array in (found, costs)]
    return LayerMoments(head.shape, lookup.inputs, partial(np.asarray, arrays[0]), partial(np.asarray, arrays[1]))
