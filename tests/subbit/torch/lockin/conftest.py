from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from subbit.torch import lockin


class Net(nn.Module):
    """Embedding, convolution, two linears, a norm: the head is tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(12, 16)
        self.conv = nn.Conv1d(16, 16, 3, padding=1)
        self.up = nn.Linear(16, 32)
        self.down = nn.Linear(32, 16, bias=False)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 12, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens)
        x = x + self.conv(x.mT).mT
        return self.head(self.norm(x + self.down(torch.relu(self.up(x)))))


LOCKED = ["conv.weight", "up.weight", "down.weight"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models, and sums of gradients that must come out the same each time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def net() -> Callable[[], Net]:
    def make(seed: int = 0) -> Net:
        torch.manual_seed(seed)
        return Net()

    return make


def task_loss(model: nn.Module, step: int) -> torch.Tensor:
    """Predict (token + 1) % 12 of the place before, on tokens that depend on the step only."""
    tokens = torch.randint(12, (4, 9), generator=torch.Generator().manual_seed(step))
    logits = model(tokens[:, 1:])
    return nn.functional.cross_entropy(logits.flatten(0, 1).float(), (tokens[:, :-1].flatten() + 1) % 12)


def train(model, lock, optimizer, steps) -> list[float]:
    losses = []
    for step in steps:
        loss = task_loss(model, step)
        (loss + lock.penalty()).backward()
        optimizer.step()
        lock.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.fixture
def training() -> Callable[..., list[float]]:
    return train


@pytest.fixture
def loss() -> Callable[[nn.Module, int], torch.Tensor]:
    return task_loss


@pytest.fixture
def locked(net):
    model = net()
    return model, lockin.attach(model, keep="project")
