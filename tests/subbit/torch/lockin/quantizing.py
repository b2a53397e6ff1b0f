"""What the tests of codes in the loop share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import subbit
from subbit.codecs import LowBit, OneOfN, Vector

VECTOR = Vector(4, 8)
SECTIONS = {
    VECTOR: {"codes", "codebook", "scales"},
    LowBit(0.9): {"codes"},
    OneOfN(4): {"places", "factors"},
    OneOfN(4, "seeded", 3): {"factors"},
}
each_codec = pytest.mark.parametrize("codec", SECTIONS, ids=str)


def bits_of(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().contiguous().view(torch.uint8).numpy()


def tuned(model, quantized, loss, steps) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for step in range(steps):
        value = loss(model, step)
        value.backward()
        optimizer.step()
        quantized.step()
        optimizer.zero_grad()
        losses.append(value.item())
    return losses


def assert_file_holds_the_forward_pass(model, quantized, path, targets) -> None:
    report = quantized.to_sbit(path)
    arrays = subbit.load(path)
    for name in targets:
        inside = model.get_submodule(name.removesuffix(".weight")).weight
        assert np.array_equal(arrays[name].view(np.uint8), bits_of(inside))
    with subbit.open(path) as file:
        assert {name for name in file if file[name].covered} == set(targets)
        assert report.coded_bits_per_weight == file.coded_bits_per_weight
        assert report.file_bytes == path.stat().st_size
