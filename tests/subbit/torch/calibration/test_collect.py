"""Every kind of layer against a literal computation; what stays as it was, and what cannot be measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import subbit
from subbit.model.statistics import content_hash
from subbit.torch import calibrate
from tests.subbit.torch.calibration.models import bert, convolutions, gpt2, llama, tokens


@contextmanager
def inputs_of(model: nn.Module) -> Iterator[dict[str, list[torch.Tensor]]]:
    """What every module is called with, by its name."""
    seen: dict[str, list[torch.Tensor]] = {}
    handles = [
        module.register_forward_pre_hook(lambda _, args, name=name: seen.setdefault(name, []).append(args[0].detach()))
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)) or type(module).__name__ == "Conv1D"
    ]
    with torch.no_grad():
        yield seen
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("make", [llama, gpt2, bert])
def test_inputs_of_transformers(make: Callable[[], nn.Module]) -> None:
    model = make()
    found = calibrate(model, tokens())
    with inputs_of(model.eval()) as seen:
        for batch in tokens():
            model(batch)
    matrices = {
        name.removesuffix(".weight") for name, _ in model.named_parameters() if name.removesuffix(".weight") in seen
    }
    assert {f"{name}.weight" for name in matrices - {"lm_head", "pooler.dense"}} == set(found)
    for name, layer in found.layers.items():
        x = torch.cat([part.reshape(-1, part.shape[-1]) for part in seen[name.removesuffix(".weight")]]).double()
        literal = (x.T @ x / len(x)).numpy()
        assert layer.columns()[0] == pytest.approx(literal, rel=1e-4, abs=1e-5 * literal.max()), name
        assert layer.transposed is (make is gpt2)
        assert layer.rows().shape == (1, model.get_parameter(name).shape[1 if make is gpt2 else 0])


def test_layers_that_read_the_same_share_their_moments() -> None:
    layers = calibrate(llama(), tokens()).layers
    names = [
        name.removeprefix("model.layers.0.") for name, layer in layers.items() if layer.inputs != name and ".0." in name
    ]
    assert names == ["mlp.up_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"]
    q, k = (layers[f"model.layers.0.self_attn.{part}_proj.weight"].columns() for part in "qk")
    assert q is k


def patches(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """(groups, places, inputs) of a convolution, one output number after the other, from the weights' own gradients."""
    rows = []
    for item in x:
        weight = layer.weight.detach().clone().requires_grad_()
        options = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": layer.groups}
        operation = torch.conv2d if weight.ndim == 4 else torch.conv1d
        output = operation(item[None], weight, **options)[0]
        per_group = output.reshape(layer.groups, output.shape[0] // layer.groups, -1)[:, 0]
        for place in range(per_group.shape[1]):
            (gradient,) = torch.autograd.grad(per_group[:, place].sum(), weight, retain_graph=True)
            rows.append(gradient.reshape(layer.groups, -1, weight[0].numel())[:, 0])
    return torch.stack(rows, dim=1).double()


def test_convolutions() -> None:
    model, data = (
        convolutions(),
        [torch.randn(3, 3, 9, 9, generator=torch.Generator().manual_seed(k)) for k in range(2)],
    )
    model(data[0])
    found = calibrate(model, data)
    with inputs_of(model.eval()) as seen:
        for batch in data:
            model(batch)
    assert {int(name.split(".")[0]) for name in found} == {0, 2, 4, 6, 8}
    for name, xs in seen.items():
        layer = found.layers[f"{name}.weight"]
        with torch.enable_grad():
            module = model.get_submodule(name)
            x = torch.cat(xs)
            literal = patches(x, module) if "Conv" in type(module).__name__ else x.double()[None]
        expected = (literal.mT @ literal / literal.shape[1]).numpy()
        assert layer.columns() == pytest.approx(expected, rel=1e-4, abs=1e-5), name
        assert found[f"{name}.weight"].shape == subbit.records.matrix_shape(layer.shape)


def test_batches_as_tuples_and_dicts_give_the_same() -> None:
    model = bert()
    plain = calibrate(model, tokens(2))
    for other in ([(b,) for b in tokens(2)], [{"input_ids": b} for b in tokens(2)]):
        found = calibrate(model, other)
        assert all(np.array_equal(found[name].columns, plain[name].columns) for name in plain)
        assert all(np.array_equal(found[name].rows, plain[name].rows) for name in plain)


def test_the_model_stays_as_it_was() -> None:
    model = llama().train()
    model.lm_head.requires_grad_(False)
    model.model.layers[0].eval()
    flags = [p.requires_grad for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    calibrate(model, tokens(1))
    assert [p.requires_grad for p in model.parameters()] == flags
    assert [m.training for m in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())


def test_heads_by_their_name_and_targets_by_pattern() -> None:
    assert set(calibrate(llama(), tokens(1), ["*.0.*down_proj*", "lm_head.weight"])) == {
        "lm_head.weight", "model.layers.0.mlp.down_proj.weight",
    }  # fmt: skip


def broken() -> nn.Module:
    model = llama()
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    return model


@pytest.mark.parametrize(
    ("make", "data", "options", "kind"),
    [
        (llama, [], {}, "data"),
        (llama, tokens(1), {"targets": "nothing*"}, "targets"),
        (llama, tokens(1), {"loss": lambda output, batch: output.logits.mean() * float("nan")}, "loss"),
        (llama, tokens(1), {"loss": lambda output, batch: output.logits}, "loss"),
        (broken, tokens(1), {"fisher": False}, "statistics"),
        (broken, tokens(1), {}, "statistics"),
    ],
)
def test_what_cannot_be_measured(make: Any, data: list[Any], options: dict[str, Any], kind: str) -> None:
    with pytest.raises(subbit.SubbitError) as caught:
        calibrate(make(), data, **options)
    assert caught.value.kind == kind


def test_weights_that_no_batch_reaches_are_left_out_with_a_warning() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    model = Half()
    with pytest.warns(UserWarning, match="no batch reached idle.weight"):
        found = calibrate(model, [torch.randn(5, 4)])
    assert set(found) == {"used.weight"}
    assert found.provenance["model"] == content_hash([("used.weight", model.used.weight.detach().numpy())])
    with (
        pytest.warns(UserWarning, match="no batch reached idle.weight"),
        pytest.raises(subbit.SubbitError, match="no weight was reached"),
    ):
        calibrate(Half(), [torch.randn(5, 4)], "idle.weight", fisher=False)
