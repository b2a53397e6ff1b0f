from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

SCRIPT = """
import sys
import torch
import torch.distributed as dist
from torch import nn
from subbit.torch import lockin

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)


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


def test_two_processes_hold_the_same_bits_and_train_as_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT]
    processes = [subprocess.Popen([*command, str(rank), str(tmp_path)], stderr=subprocess.PIPE) for rank in (0, 1)]
    for process in processes:
        errors = process.communicate(timeout=120)[1]
        assert process.returncode == 0, errors.decode()
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    for keep in ("barrier", "project"):
        weights, state, flips = first[keep, True]
        others, other_state, _ = second[keep, True]
        alone, _, flips_alone = first[keep, False]
        assert all(torch.equal(weights[name], others[name]) for name in weights)
        assert state == other_state
        assert all(torch.allclose(weights[name], alone[name], atol=1e-4) for name in weights)
        assert flips == flips_alone
