from __future__ import annotations

import io
import math

import pytest
import torch
from torch import nn

from subbit.errors import SubbitError, UsageError
from subbit.torch import lockin


def adam(model):
    return torch.optim.AdamW(model.parameters(), lr=0.02)


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_free_signs_flip_projection_and_barrier_hold_them(net, training):
    flips = {}
    for keep in ("free", "project", "barrier"):
        model = net()
        lock = lockin.attach(model, keep=keep)
        losses = training(model, lock, adam(model), range(60))
        assert losses[-1] < 0.6 * losses[0]
        flips[keep] = lock.flips().total
    assert flips["free"] > 0.05
    assert flips["project"] == 0
    assert flips["barrier"] < 0.1 * flips["free"]


def test_projection_sets_what_crossed_zero_to_zero_and_touches_nothing_else(net):
    model = net()
    lock = lockin.attach(model, keep="project")
    negative = lock.locked[2].negative()
    with torch.no_grad():
        model.down.weight += 0.3 * torch.randn(16, 32)
    before = model.down.weight.clone()
    wrong = before.signbit() ^ negative
    lock.step()
    assert wrong.any()
    assert torch.equal(model.down.weight, torch.where(wrong, 0.0, before))
    assert torch.equal(model.down.weight.signbit(), negative)  # zeros carry the template's sign bit


def test_flips_are_shares_of_all_weights(net):
    model = net()
    lock = lockin.attach(model, targets=["up.weight", "down.weight"])
    with torch.no_grad():
        model.up.weight[0, :8] *= -1
        model.down.weight[0, :4] = 0
    assert lock.flips() == (8 / 1024, {"up.weight": 8 / 512, "down.weight": 0.0})


@pytest.mark.parametrize("keep", ["project", "barrier"])
@pytest.mark.parametrize("correction", [0, 2])
def test_training_resumes_to_the_same_bits(net, training, keep, correction):
    def begin(seed):
        model = net(seed)
        schedule = lockin.Barrier(1.0, hold=3, decay=6)
        lock = lockin.attach(model, "angle", 4, keep=keep, barrier=schedule, correction_rank=correction)
        return model, lock, adam(model)

    model, lock, optimizer = begin(0)
    training(model, lock, optimizer, range(5))
    file = io.BytesIO()
    torch.save([model.state_dict(), optimizer.state_dict(), lock.state_dict()], file)
    training(model, lock, optimizer, range(5, 10))
    resumed, again, second = begin(1)
    file.seek(0)
    for part, state in zip((resumed, second, again), torch.load(file, weights_only=True), strict=True):
        part.load_state_dict(state)
    training(resumed, again, second, range(5, 10))
    assert same(resumed, model)
    assert again.state_dict() == lock.state_dict()


@pytest.mark.parametrize("options", [{"seed": 1}, {"template": "angle"}, {"targets": "up.weight"}])
def test_a_state_of_another_attachment_is_refused(net, options):
    lock = lockin.attach(net())
    before = lock.state_dict()
    with pytest.raises(UsageError) as caught:
        lock.load_state_dict(lockin.attach(net(), **options).state_dict())
    assert caught.value.kind == "resume"
    with pytest.raises(UsageError, match="lacks 'mean"):
        lock.load_state_dict({})
    assert lock.state_dict() == before


def test_weights_replaced_by_a_checkpoint_are_followed(net, training):
    model = net()
    lock = lockin.attach(model, keep="project")
    model.load_state_dict({name: -value for name, value in model.state_dict().items()}, assign=True)
    assert lock.flips().total == 1
    lock.step()
    assert not model.up.weight.any()


def test_gradients_can_be_accumulated_and_clipped(net, loss):
    model, whole = net(), net()
    locks = [lockin.attach(m) for m in (model, whole)]
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (model, whole)]
    for step in range(4):
        for part in (2 * step, 2 * step + 1):
            ((loss(model, part) + locks[0].penalty()) / 2).backward()
        ((loss(whole, 2 * step) + loss(whole, 2 * step + 1)) / 2 + locks[1].penalty()).backward()
        for m, lock, optimizer in zip((model, whole), locks, optimizers, strict=True):
            nn.utils.clip_grad_norm_(m.parameters(), 0.5)
            optimizer.step()
            lock.step()
            optimizer.zero_grad()
    for a, b in zip(model.parameters(), whole.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    assert locks[0].locked[0].mean_square == pytest.approx(locks[1].locked[0].mean_square, rel=1e-3)


@pytest.mark.parametrize("keep", ["project", "barrier"])
@pytest.mark.parametrize(("dtype", "scale"), [(torch.bfloat16, 1.0), (torch.float16, 2.0**20)])
def test_autocast_with_a_scaler_that_may_skip_steps(net, loss, keep, dtype, scale):
    model = net()
    lock = lockin.attach(model, keep=keep, correction_rank=2)
    optimizer = adam(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000)
    first = last = 0.0
    for step in range(60):
        with torch.autocast("cpu", dtype):
            task = loss(model, step)
            total = task + lock.penalty()
        scaler.scale(total).backward()
        scaler.step(optimizer)
        scaler.update()
        lock.step()
        optimizer.zero_grad()
        first, last = first or task.item(), task.item()
    assert scaler.get_scale() < scale or dtype == torch.bfloat16  # some steps did overflow
    assert last < 0.7 * first
    assert lock.flips().total <= (0 if keep == "project" else 0.01)
    assert all(math.isfinite(value) for value in lock.state_dict()["mean_squares"].values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_other_types(net, training, dtype):
    model = net().to(dtype)
    lock = lockin.attach(model, keep="project")
    training(model, lock, torch.optim.SGD(model.parameters(), lr=0.1), range(3))
    assert lock.flips().total == 0
    model = net().to(dtype)
    lock = lockin.attach(model)
    training(model, lock, torch.optim.SGD(model.parameters(), lr=0.1), range(3))
    assert lock.penalty().dtype == torch.float32
    assert model.up.weight.dtype == dtype


@pytest.mark.parametrize("keep", ["project", "barrier"])
@pytest.mark.parametrize("correction", [0, 2])
def test_a_compiled_model_trains_as_the_plain_one(net, training, keep, correction):
    model, plain = net(), net()
    locks = [lockin.attach(m, keep=keep, correction_rank=correction) for m in (model, plain)]
    compiled = torch.compile(model, backend="aot_eager")
    training(compiled, locks[0], torch.optim.SGD(compiled.parameters(), lr=0.1), range(4))
    training(plain, locks[1], torch.optim.SGD(plain.parameters(), lr=0.1), range(4))
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("keep", ["project", "barrier"])
def test_nan_weights_are_named_before_anything_is_projected(net, keep):
    model = net()
    lock = lockin.attach(model, keep=keep)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    with torch.no_grad():
        model.conv.weight.neg_()
        model.up.weight[3, 3] = torch.nan
    before = model.conv.weight.clone()
    with pytest.raises(SubbitError, match=r"'up\.weight'.*NaN") as caught:
        lock.step()
    assert caught.value.kind == "nonfinite"
    assert torch.equal(model.conv.weight, before)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_stops_before_any_weight_changes(net, loss, value):
    model = net()
    lock = lockin.attach(model)
    task = loss(model, 0)
    assert lock.check(task) is task
    with pytest.raises(SubbitError, match="the loss is") as caught:
        lock.check(task * value + lock.penalty()).backward()
    assert caught.value.kind == "nonfinite"
    assert all(parameter.grad is None for parameter in model.parameters())


def test_tied_weights_are_one_target_and_stay_tied(net, training):
    model = net()
    lock = lockin.attach(model, targets=["*", "head.weight"], keep="project")
    assert list(lock.planes) == ["embed.weight", "conv.weight", "up.weight", "down.weight"]
    training(model, lock, adam(model), range(5))
    assert model.head.weight is model.embed.weight
    assert lock.flips().total == 0


def test_an_expert_that_saw_no_token_has_no_gradient_and_no_penalty():
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    lock = lockin.attach(model)
    model[0].weight.grad = torch.ones(8, 8)
    lock.step()
    assert [item.mean_square > 0 for item in lock.locked] == [True, False]


def test_detached_weights_are_free(net, training):
    model = net()
    lock = lockin.attach(model, keep="project")
    before = model.up.weight.clone()
    lock.detach()
    assert torch.equal(model.up.weight, before)
    training(model, lock, adam(model), range(20))
    assert lock.flips().total > 0
