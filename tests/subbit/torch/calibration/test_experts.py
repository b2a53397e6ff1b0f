"""Fused experts: each by what reached it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from subbit.torch import calibrate
from tests.subbit.torch.calibration.models import mixtral, tokens


def test_experts_one_by_one() -> None:
    model, data = mixtral(), tokens()
    chosen: list[tuple[torch.Tensor, torch.Tensor]] = []
    experts = model.model.layers[0].mlp.experts
    found = calibrate(model, data)
    before = model.config._experts_implementation
    handle = experts.register_forward_pre_hook(lambda _, args: chosen.append((args[0], args[1])))
    with torch.no_grad():
        for batch in data:
            model(batch)
    handle.remove()
    assert model.config._experts_implementation == before
    x, index = (torch.cat(parts) for parts in zip(*chosen, strict=True))
    up, down = (found.layers[f"model.layers.0.mlp.experts.{name}"] for name in ("gate_up_proj", "down_proj"))
    for e in range(4):
        mine = x[(index == e).any(dim=1)]
        assert up.columns()[e] == pytest.approx((mine.T @ mine / len(mine)).numpy(), rel=1e-3, abs=1e-5)
        gate, linear = (mine @ experts.gate_up_proj[e].T).detach().chunk(2, dim=-1)
        inner = nn.functional.silu(gate) * linear
        assert down.columns()[e] == pytest.approx((inner.T @ inner / len(mine)).numpy(), rel=1e-3, abs=1e-5)
    assert up.rows().shape == (4, 80)
    router = model.get_parameter("model.layers.0.mlp.gate.weight")
    assert calibrate(model, data, "*mlp.gate.weight")["model.layers.0.mlp.gate.weight"].shape == router.shape


def test_experts_that_no_token_reached_get_the_mean_of_the_others() -> None:
    model = mixtral()
    with pytest.warns(UserWarning, match=r"experts.gate_up_proj\[\d\].*mean of the other"):
        found = calibrate(model, [torch.tensor([[5]])])
    layer = found.layers["model.layers.0.mlp.experts.gate_up_proj"]
    columns, rows = layer.columns(), layer.rows()
    traces = np.trace(columns, axis1=1, axis2=2)
    assert (traces > 0).all()
    assert len({round(float(t), 6) for t in traces}) == 1  # one token, and its mean
    assert (rows.sum(axis=1) > 0).all()
    assert found["model.layers.0.mlp.experts.gate_up_proj"].shape == (320, 32)
