from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from subbit.codecs import Vector
from subbit.errors import UsageError
from subbit.torch import lockin
from subbit.torch.lockin.classes import weight_class
from subbit.torch.lockin.statistics import FlipTracker
from tests.subbit.signs.test_excursions import literal


def small_model() -> torch.nn.Module:
    torch.manual_seed(0)
    layers = torch.nn.ModuleDict({"q_proj": torch.nn.Linear(16, 16), "mlp": torch.nn.Linear(16, 4)})
    return torch.nn.Sequential(layers["q_proj"], torch.nn.Tanh(), layers["mlp"])


def trained(model: torch.nn.Module, tracker: FlipTracker, steps: int) -> list[dict[str, np.ndarray]]:
    """Train on noise in long steps, so that weights cross; all weights of all steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.5)
    recorded = [{name: p.detach().numpy().copy() for name, p in model.named_parameters()}]
    for _ in range(steps):
        optimizer.zero_grad()
        x = torch.randn(8, 16)
        torch.nn.functional.mse_loss(model(x), 3 * torch.randn(8, 4)).backward()
        optimizer.step()
        tracker.update()
        recorded.append({name: p.detach().numpy().copy() for name, p in model.named_parameters()})
    return recorded


def test_recorded_training_gives_the_same_counts(tmp_path: Path) -> None:
    model = small_model()
    rhos, eps = (0.25, 0.5, 1.0), 0.2
    tracker = FlipTracker(model, rhos=rhos, eps=eps)
    tracker.history(tmp_path / "flips.jsonl", every=20)
    recorded = trained(model, tracker, 120)
    names = ["0.weight", "2.weight"]
    record = tracker.record()
    assert record["weights"] == 16 * 16 + 16 * 4
    total = 0
    for name in names:
        negative = np.signbit(np.stack([weights[name] for weights in recorded]))
        layer = record["layers"][name]
        assert layer["step_flips"] == np.count_nonzero(negative[-1] != negative[-2])
        assert layer["init_flips"] == np.count_nonzero(negative[-1] != negative[0])
        total += np.count_nonzero(negative[1:] != negative[:-1])
        walks = np.stack([weights[name].ravel() for weights in recorded], axis=1)
        scale = float(np.sqrt(np.square(walks[:, 0], dtype=np.float64).mean()))
        for counted, rho in zip(tracker.excursions(name), rhos, strict=True):
            found = [literal(walk, np.float32(rho * scale), np.float32(eps * scale)) for walk in walks]
            assert (counted["outer"], counted["hits"]) == tuple(map(sum, zip(*found, strict=True)))[:2]
            assert counted["k"] == np.bincount([k for _, _, k in found], minlength=32).tolist()
            assert max(k for _, _, k in found) > 0
    assert record["total_flips"] == total > 0
    lines = [json.loads(text) for text in (tmp_path / "flips.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 60, 80, 100, 120]
    assert lines[-1] == record
    sums = [sum(counted) for counted in zip(*(tracker.excursions(name)[0]["k"] for name in names), strict=True)]
    assert record["excursions"][0]["k"] == sums


def test_tracking_changes_nothing_and_is_small() -> None:
    def final(track: bool) -> torch.Tensor:
        model = small_model()
        tracker = FlipTracker(model if track else [("x", torch.ones(8, 8))])
        trained(model, tracker, 5)
        assert tracker.nbytes <= 4 * tracker.record()["weights"]
        return model[0].weight.detach()

    assert torch.equal(final(True), final(False))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_types_and_layouts_are_followed_too(dtype: torch.dtype) -> None:
    weight = torch.tensor([[1.0, -1.0], [2.0, 0.5]], dtype=dtype).T
    tracker = FlipTracker([("conv.weight", weight)], rhos=(0.5,))
    weight.mul_(0)
    tracker.update()
    weight.copy_(torch.tensor([[-1.0, 2.0], [1.0, 0.5]]))
    tracker.update()
    record = tracker.record()
    assert (record["init_flips"], record["classes"]["conv"]["weights"]) == (2, 4)
    assert record["excursions"][0]["k"][:3] == [2, 2, 0]
    assert record["excursions"][0]["hits"] == 3


def test_only_flips_cost_two_bits_a_weight() -> None:
    tracker = FlipTracker([("w", torch.zeros(64, 64))], rhos=())
    tracker.update()
    assert (tracker.nbytes, tracker.record()["excursions"]) == (64 * 64 // 4, [])


def test_a_resumed_training_goes_on_to_the_same_counts(tmp_path: Path) -> None:
    def begin(seed: int = 0) -> tuple[torch.nn.Module, FlipTracker]:
        model = small_model()
        with torch.no_grad():
            model[0].weight.mul_(1 + seed)  # another scale, and with it other thresholds, which the state replaces
        torch.manual_seed(seed)
        return model, FlipTracker(model, rhos=(0.25, 1.0), eps=0.2)

    model, tracker = begin()
    tracker.history(tmp_path / "whole.jsonl", every=3)
    trained(model, tracker, 10)
    file = io.BytesIO()
    torch.save([model.state_dict(), tracker.state_dict(), torch.get_rng_state()], file)
    trained(model, tracker, 10)

    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "parts.jsonl").write_text("".join(lines[:3]))
    model, tracker = begin(1)
    file.seek(0)
    weights, state, random = torch.load(file, weights_only=True)
    model.load_state_dict(weights)
    tracker.load_state_dict(state)
    torch.set_rng_state(random)
    tracker.history(tmp_path / "parts.jsonl", every=3)
    trained(model, tracker, 10)
    assert [json.loads(line)["step"] for line in lines] == [3, 6, 9, 12, 15, 18]
    assert (tmp_path / "parts.jsonl").read_text() == "".join(lines)


def test_later_updates_leave_a_state_alone() -> None:
    model = small_model()
    tracker = FlipTracker(model, rhos=(0.25, 1.0), eps=0.2)
    trained(model, tracker, 10)
    then, state = tracker.record(), tracker.state_dict()
    for _ in range(2):
        trained(model, tracker, 5)
        assert tracker.record() != then
        tracker.load_state_dict(state)
        assert tracker.record() == then


@pytest.mark.parametrize(
    ("change", "text"),
    [({"rhos": [0.5]}, "rhos"), ({"steps": None}, "lacks 'steps'"), ({"shapes": {"0.weight": [8, 32]}}, "shapes"),
     ({"layers": {}}, "incomplete")],
)  # fmt: skip
def test_a_state_of_another_tracker_is_refused(change: dict[str, object], text: str) -> None:
    tracker = FlipTracker(small_model(), rhos=(0.25, 1.0))
    before = tracker.record()
    state = {key: value for key, value in (tracker.state_dict() | change).items() if value is not None}
    with pytest.raises(UsageError, match=text) as caught:
        tracker.load_state_dict(state)
    assert caught.value.kind == "resume"
    assert tracker.record() == before
    damaged = tracker.state_dict()
    damaged["layers"]["2.weight"]["states"] = torch.zeros(1, 64, dtype=torch.uint8)
    with pytest.raises(UsageError, match="incomplete") as caught:
        tracker.load_state_dict(damaged)
    assert caught.value.tensor == "2.weight"


def test_bad_requests_are_refused() -> None:
    weight = torch.ones(4, 4)

    def refused(kind: str, tensor: torch.Tensor = weight, **choices: object) -> UsageError:
        with pytest.raises(UsageError) as caught:
            FlipTracker([("w", tensor)], **choices)  # type: ignore[arg-type]
        assert caught.value.kind == kind
        return caught.value

    assert "w" in str(refused("targets", targets="x*"))
    assert refused("dtype", torch.ones(3, dtype=torch.int64)).tensor == "w"
    refused("meta", torch.ones(3, device="meta"))
    refused("rho", torch.zeros(3))
    refused("rho", rhos=(0.1, 0.2, 0.3, 0.4))
    refused("rho", step=0.5)
    with pytest.raises(UsageError, match=r"0\.weight"):
        FlipTracker(small_model(), targets="nothing*")
    with pytest.raises(UsageError, match="followed: w"):
        FlipTracker([("w", weight)]).excursions("v")
    with pytest.raises(UsageError):
        FlipTracker([("w", weight)]).history("h.jsonl", every=0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("model.layers.0.self_attn.q_proj.weight", "attention q"),
     ("encoder.layer.3.attention.self.key.weight", "attention k"), ("blocks.1.attn.v.weight", "attention v"),
     ("model.layers.0.self_attn.o_proj.weight", "attention o"),
     ("encoder.layer.0.attention.output.dense.weight", "attention o"), ("h.0.attn.c_proj.weight", "attention o"),
     ("h.0.attn.c_attn.weight", "attention qkv"), ("blocks.0.qkv.weight", "attention qkv"),
     ("h.0.mlp.c_proj.weight", "mlp"), ("encoder.layer.0.output.dense.weight", "mlp"), ("fc2.weight", "mlp"),
     ("model.layers.0.mlp.gate_proj.weight", "mlp"), ("features.conv1.weight", "conv"),
     ("_depthwise_conv.weight", "conv"),
     ("model.embed_tokens.weight", "embedding"), ("lm_head.weight", "embedding"), ("0.weight", "other")],
)  # fmt: skip
def test_names_have_classes(name: str, kind: str) -> None:
    assert weight_class(name) == kind


def test_a_corrected_or_coded_weight_is_followed_under_its_own_name():
    model = nn.Sequential(nn.Linear(16, 24), nn.Linear(24, 8))
    lock = lockin.attach(model, correction_rank=2, keep="free")
    tracker = lockin.FlipTracker(model, rhos=())
    assert list(tracker.record()["layers"]) == ["0.weight", "1.weight"]
    with torch.no_grad():
        lock.locked[1].weight[0] *= -1
    tracker.update()
    assert tracker.record()["layers"]["1.weight"]["init_flips"] == 24
    bare = nn.Linear(16, 8)
    lockin.quantize(bare, Vector(4, 4))
    assert list(lockin.FlipTracker(bare, rhos=()).record()["layers"]) == ["weight"]
