from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

START = """
import sys
import torch
import torch.distributed as dist
from torch import nn
from subbit.torch import lockin

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
"""

LOCKED = """
def train(keep, together):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 6))
    wrapped = nn.parallel.DistributedDataParallel(model) if together else model
    lock = lockin.attach(wrapped, seed=2, keep=keep)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.3)
    for step in range(6):
        generator = torch.Generator().manual_seed(step)
        x, y = torch.randn(16, 12, generator=generator), torch.randint(6, (16,), generator=generator)
        part = slice(8 * rank, 8 * rank + 8) if together else slice(None)
        (nn.functional.cross_entropy(wrapped(x[part]), y[part]) + lock.penalty()).backward()
        optimizer.step()
        lock.step()
        optimizer.zero_grad()
    return model.state_dict(), lock.state_dict(), lock.flips().total


runs = {(keep, together): train(keep, together) for keep in ("barrier", "project") for together in (True, False)}
torch.save(runs, f"{folder}/{rank}.pt")
"""

QUANTIZED = """
from subbit import OneOfN, UsageError, Vector


def train(codec):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 6))
    quantized = lockin.quantize(lockin.attach(model, seed=2, keep="free"), codec)
    states = []
    for frozen in (False, True):
        if frozen:
            quantized.freeze()
        wrapped = nn.parallel.DistributedDataParallel(model)
        optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.3)
        for step in range(6):
            generator = torch.Generator().manual_seed(2 * step + rank)
            x, y = torch.randn(8, 12, generator=generator), torch.randint(6, (8,), generator=generator)
            nn.functional.cross_entropy(wrapped(x), y).backward()
            optimizer.step()
            quantized.step()
            optimizer.zero_grad()
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    quantized.to_sbit(f"{folder}/{codec.kind}-{rank}.sbit")
    try:
        lockin.quantize(wrapped, codec)
    except UsageError as refused:
        return states, refused.kind


torch.save({codec.kind: train(codec) for codec in (Vector(4, 8), OneOfN(4))}, f"{folder}/{rank}.pt")
"""


def run(script: str, folder: Path) -> list[Any]:
    """What two processes save when both run the script."""
    command = [sys.executable, "-c", START + script]
    processes = [subprocess.Popen([*command, str(rank), str(folder)], stderr=subprocess.PIPE) for rank in (0, 1)]
    for process in processes:
        errors = process.communicate(timeout=120)[1]
        assert process.returncode == 0, errors.decode()
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def test_two_processes_hold_the_same_bits_and_train_as_one(tmp_path: Path) -> None:
    first, second = run(LOCKED, tmp_path)
    for keep in ("barrier", "project"):
        weights, state, flips = first[keep, True]
        others, other_state, _ = second[keep, True]
        alone, _, flips_alone = first[keep, False]
        assert all(torch.equal(weights[name], others[name]) for name in weights)
        assert state == other_state
        assert all(torch.allclose(weights[name], alone[name], atol=1e-4) for name in weights)
        assert flips == flips_alone


def test_two_processes_train_the_same_codes(tmp_path: Path) -> None:
    first, second = run(QUANTIZED, tmp_path)
    for kind, ((tuned, frozen), refused) in first.items():
        assert refused == "wrapped"
        for state, other in zip((tuned, frozen), second[kind][0], strict=True):
            assert all(torch.equal(tensor, other[name]) for name, tensor in state.items())
        moved = {name for name, tensor in tuned.items() if not torch.equal(tensor, frozen[name])}
        assert any("values" in name for name in moved)
        assert not any(name.endswith((".original", ".codes", ".places")) for name in moved)
        files = [(tmp_path / f"{kind}-{rank}.sbit").read_bytes() for rank in (0, 1)]
        assert files[0] == files[1]
