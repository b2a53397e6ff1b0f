"""Train weights whose signs are known beforehand, so that storing them costs nothing.

>>> from subbit.torch import lockin
>>> lock = lockin.attach(model, template="hashed", seed=0)          # before the optimizer is made
>>> loss = task_loss(model, batch) + lock.penalty()
>>> loss.backward(); optimizer.step(); lock.step(); optimizer.zero_grad()
>>> lock.save("model.safetensors")                                  # `subbit compress` finds the template there

Source: Sakai & Ichikawa, "Sign Lock-In" (arXiv 2602.17063).
"""

from __future__ import annotations

from subbit.torch.lockin.attaching import attach
from subbit.torch.lockin.barrier import Barrier
from subbit.torch.lockin.correction import fold
from subbit.torch.lockin.lock import Flips, LockIn

__all__ = ["Barrier", "Flips", "LockIn", "attach", "fold"]
