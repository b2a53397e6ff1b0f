from __future__ import annotations

import math

import torch

from subbit.torch.healing.kl import HeadKL, head_losses


def test_the_blocks_add_up_to_plain_kl_and_its_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden, target = (torch.randn(300, 16, generator=generator) for _ in range(2))
    head, other = (torch.randn(50, 16, generator=generator) for _ in range(2))
    mask = (torch.rand(300, generator=generator) > 0.3).float()
    hidden.requires_grad_(True)
    log_q, log_p = (hidden @ head.T).log_softmax(-1), (target @ other.T).log_softmax(-1)
    wanted = (((log_p - log_q) * log_p.exp()).sum(-1) * mask).sum() / mask.sum()
    found = HeadKL.apply(hidden, head, target, other, mask)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(*(torch.autograd.grad(3 * loss, hidden)[0] for loss in (found, wanted)))
    following = torch.randint(50, (300,), generator=generator)
    following[::7] = -1
    sums = head_losses(hidden.detach(), head, target, other, mask, following)
    known = following >= 0
    surprise = -log_q[known].gather(1, following[known, None]).sum().item()
    wanted_sums = [wanted.item() * mask.sum().item(), mask.sum().item(), surprise, known.sum().item()]
    assert all(math.isclose(a, b, rel_tol=1e-5) for a, b in zip(sums.tolist(), wanted_sums, strict=True))
