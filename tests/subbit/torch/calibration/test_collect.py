"""Every kind of layer against a literal computation, and the estimate of an error against the error."""

from __future__ import annotations

import os
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

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers")

SMALL = {"vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}


def llama() -> nn.Module:
    return scaled(transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL, num_key_value_heads=2)))


def gpt2() -> nn.Module:
    ends = {"bos_token_id": 1, "eos_token_id": 1}
    return scaled(
        transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=48, n_embd=32, n_layer=2, n_head=4, **ends))
    )


def bert() -> nn.Module:
    return scaled(transformers.BertModel(transformers.BertConfig(**SMALL)))


def mixtral(chosen: int = 2) -> nn.Module:
    options = {"num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": chosen}
    config = transformers.MixtralConfig(**SMALL, **options)
    return scaled(transformers.MixtralForCausalLM(config))


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, groups=8, padding="same"),
        nn.BatchNorm2d(8), nn.Conv2d(8, 16, (1, 2), groups=2, dilation=2), nn.Flatten(2), nn.Conv1d(16, 6, 5, stride=3),
        nn.Flatten(), nn.LazyLinear(5),
    )  # fmt: skip


def scaled(model: nn.Module) -> nn.Module:
    """Larger weights than a fresh model has, so that its predictions depend on them."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return model


def tokens(count: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(48, (4, 16), generator=generator) for _ in range(count)]


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


def all_experts() -> nn.Module:
    """No expert is left out, so that no error changes the choice: that jump has no second order."""
    return mixtral(chosen=4)


@pytest.mark.parametrize("make", [llama, gpt2, all_experts])
def test_the_error_estimates_the_loss_that_is_added(make: Callable[[], nn.Module]) -> None:
    model, data = make().eval(), tokens(8)
    found = calibrate(model, data)
    estimated = 0.0
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        before = [model(batch).logits.log_softmax(-1) for batch in data]
        for name in found:
            parameter = model.get_parameter(name)
            error = torch.randn(parameter.shape, generator=generator) * 0.005
            parameter += error
            estimated += found[name].error(error.numpy().reshape(found[name].shape))
        after = [model(batch).logits.log_softmax(-1) for batch in data]
    added = [float((a.exp() * (a - b)).sum(-1).mean()) for a, b in zip(before, after, strict=True)]
    assert 0.6 < estimated / (sum(added) / len(added)) < 1.6


def test_rows_of_a_given_loss_are_literal() -> None:
    model = convolutions()
    data = [torch.randn(3, 3, 9, 9, generator=torch.Generator().manual_seed(k)) for k in range(2)]
    model(data[0])
    goal = torch.randn(3, 5)
    found = calibrate(model, data, loss=lambda output, batch: ((output - goal) ** 2).sum(dim=1).mean())
    model.eval()
    literal, last = torch.zeros(5), torch.zeros(6)
    for batch in data:
        for item, wanted in zip(batch, goal, strict=True):
            before = model[:7](item[None])
            before.retain_grad()
            output = model[7:](before)
            output.retain_grad()
            ((output - wanted) ** 2).sum().backward()
            literal += output.grad[0] ** 2 / 12
            last += (before.grad[0] ** 2).sum(dim=1) / 12
    assert found.layers["8.weight"].rows()[0] == pytest.approx(literal.numpy(), rel=1e-4)
    assert found.layers["6.weight"].rows()[0] == pytest.approx(last.numpy(), rel=1e-4)


def test_without_fisher_all_rows_are_one_and_nothing_else_differs() -> None:
    model, data = llama(), tokens()
    full, half = calibrate(model, data), calibrate(model, data, fisher=False)
    assert list(full) == list(half)
    for name in full:
        assert (half[name].rows == 1).all()
        assert half[name].columns == pytest.approx(full[name].columns, rel=1e-4, abs=1e-6)
    assert half.provenance["fisher"] == "false"


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
