from __future__ import annotations

from pathlib import Path

import pytest
import torch

import subbit
from subbit.figures import stated_errors
from subbit.torch import attach, heal, state_dict
from subbit.torch.healing.tuning import Tuner
from subbit_formats.sbit import open_reader
from tests.subbit.torch.healing.conftest import Net, compressed


def error(model: torch.nn.Module, teacher: torch.nn.Module, data: list[torch.Tensor]) -> float:
    with torch.no_grad():
        wanted = torch.cat([teacher(x) for x in data])
        return float((torch.cat([model(x) for x in data]) - wanted).square().mean() / wanted.square().mean())


def test_it_follows_its_teacher_better_and_the_file_says_so(net: Net, data: list[torch.Tensor], tmp_path: Path) -> None:
    path = compressed(net, tmp_path / "net.sbit", bits=2.0)
    attach(student := Net(), path)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    fresh = [torch.randn(64, 24, generator=torch.Generator().manual_seed(5))]
    first = error(student, net, fresh)
    report = heal(path, net, data, steps=120, rate=0.01)
    assert report.path == tmp_path / "net.healed.sbit"
    assert (report.steps, report.stopped) == (120, "budget")
    attach(student, report.path)
    assert error(student, net, fresh) < 0.6 * first
    assert report.after.loss < 0.6 * report.before.loss
    assert report.after.perplexity is None
    assert report.size_after.bytes == report.path.stat().st_size
    for which, stated in ((path, True), (report.path, False)):  # the errors of before are not those of the healed file
        with open_reader(which) as archive:
            assert (stated_errors(archive) is not None) is stated
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not list(tmp_path.glob("*.healing"))


def test_codes_stay_and_small_tensors_are_exact(net: Net, data: list[torch.Tensor], tmp_path: Path) -> None:
    path = compressed(net, tmp_path / "net.sbit", bits=2.0)
    student = Net()
    report = heal(path, net, data, student=student, steps=30)
    healed, old = state_dict(report.path), state_dict(path)
    assert all(torch.equal(tensor, healed[name]) for name, tensor in student.state_dict().items())
    for name in ("first.weight", "last.weight", "conv.weight"):
        assert torch.equal(healed[name].sign(), old[name].sign())
        assert not torch.equal(healed[name], old[name])
    assert not torch.equal(healed["norm.weight"], old["norm.weight"])


def test_corrections_are_counted_and_folded_in(net: Net, data: list[torch.Tensor], tmp_path: Path) -> None:
    path = compressed(net, tmp_path / "net.sbit", bits=1.0)
    plain = heal(path, net, data, steps=60, rate=0.02)
    ranked = heal(path, net, data, steps=60, rate=0.02, rank=2, output=tmp_path / "ranked.sbit")
    with subbit.open(ranked.path) as file:
        assert file["first.weight.correction"].shape == (2, 32 + 24)
        assert file["first.weight.correction"].covered
    assert ranked.size_after.bytes > plain.size_after.bytes
    assert ranked.after.loss < plain.after.loss
    attach(student := Net(), ranked.path)
    weights = state_dict(ranked.path)
    a, b = (part.T for part in weights["first.weight.correction"].split([32, 24], dim=1))
    torch.testing.assert_close(student.first.weight.detach(), weights["first.weight"] + a @ b.T)


def test_the_same_run_gives_the_same_bytes(net: Net, data: list[torch.Tensor], tmp_path: Path) -> None:
    path = compressed(net, tmp_path / "net.sbit", bits=2.0)
    first, second, other = (
        heal(path, net, data, steps=10, threads=2, seed=seed, output=tmp_path / name).path.read_bytes()
        for seed, name in ((0, "a.sbit"), (0, "b.sbit"), (1, "c.sbit"))
    )
    assert first == second != other


def test_a_killed_run_goes_on(
    net: Net, data: list[torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = compressed(net, tmp_path / "net.sbit", bits=2.0)
    whole = heal(path, net, data, steps=24, output=tmp_path / "whole.sbit")
    step, done = Tuner._step, 0

    def killed(self: Tuner, used: float) -> None:
        nonlocal done
        done += 1
        if done == 15:
            raise KeyboardInterrupt
        step(self, used)

    monkeypatch.setattr(Tuner, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        heal(path, net, data, steps=24, output=tmp_path / "killed.sbit")
    assert (tmp_path / "killed.sbit.healing").exists()
    assert not (tmp_path / "killed.sbit").exists()
    with pytest.raises(subbit.SubbitError, match="another run") as refused:
        heal(path, net, data, steps=25, output=tmp_path / "killed.sbit")
    assert refused.value.kind == "resume"
    done = 100
    again = heal(path, net, data, steps=24, output=tmp_path / "killed.sbit")
    assert done < 124
    assert again.path.read_bytes() == whole.path.read_bytes()
    assert again.before == whole.before
    assert not (tmp_path / "killed.sbit.healing").exists()


def test_a_loss_that_is_not_finite_ends_the_run(net: Net, data: list[torch.Tensor], tmp_path: Path) -> None:
    path = compressed(net, tmp_path / "net.sbit", bits=2.0)
    calls = 0

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return (output - target).square().mean() * (float("nan") if calls == 61 else 1)

    report = heal(path, net, data, steps=200, loss=loss, threads=1)
    assert report.stopped == "nonfinite"
    assert report.steps < 100
    assert report.after.loss < report.before.loss


def test_training_that_only_hurts_ends_early_and_changes_little(
    net: Net, data: list[torch.Tensor], tmp_path: Path
) -> None:
    path = compressed(net, tmp_path / "net.sbit", bits=4.0)
    report = heal(path, net, data, steps=120, rate=3.0)
    assert report.stopped == "early"
    assert report.best_step == 0
    assert report.after.loss < 1.5 * report.before.loss


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"minutes": 0.0}, "minutes"), ({"minutes": float("nan")}, "minutes"), ({"steps": 0}, "steps"),
        ({"rank": -1}, "rank"), ({"rate": 0.0}, "rate"), ({"threads": 0}, "threads"),
    ],
)  # fmt: skip
def test_options_that_mean_nothing(net: Net, tmp_path: Path, options: dict[str, float], kind: str) -> None:
    with pytest.raises(subbit.UsageError) as refused:
        heal(tmp_path / "none.sbit", net, [], **options)
    assert refused.value.kind == kind


def test_what_does_not_fit_is_refused(net: Net, data: list[torch.Tensor], tmp_path: Path) -> None:
    path = compressed(net, tmp_path / "net.sbit", bits=2.0)
    other = Net()
    other.last = torch.nn.Linear(64, 7, bias=False)
    for teacher, batches, kind in ((other, data, "teacher"), (net, data[:3], "data"), (net, iter([]), "data")):
        with pytest.raises(subbit.SubbitError) as refused:
            heal(path, teacher, batches, steps=1)
        assert refused.value.kind == kind
    with pytest.raises(subbit.UsageError, match="exists"):
        heal(path, net, data, steps=1, output=path)
    with pytest.raises(subbit.UsageError, match="tokenizer"):
        heal(path, net, "text.txt", steps=1)
