"""Train weights whose signs are known beforehand, so that storing them costs nothing.

>>> from subbit.torch import lockin
>>> lock = lockin.attach(model, template="hashed", seed=0)          # before the optimizer is made
>>> loss = task_loss(model, batch) + lock.penalty()
>>> loss.backward(); optimizer.step(); lock.step(); optimizer.zero_grad()
>>> lock.save("model.safetensors")                                  # `subbit compress` finds the template there

Or train the codes themselves for a while and write exactly those:

>>> quantized = lockin.quantize(lock, subbit.Vector(12, 16))        # before the next optimizer is made
>>> task_loss(model, batch).backward(); optimizer.step(); quantized.step(); optimizer.zero_grad()
>>> quantized.to_sbit("model.sbit")

Source: Sakai & Ichikawa, "Sign Lock-In" (arXiv 2602.17063).
"""

from __future__ import annotations

from subbit.torch.lockin.attaching import attach
from subbit.torch.lockin.barrier import Barrier
from subbit.torch.lockin.correction import fold
from subbit.torch.lockin.lock import Flips, LockIn
from subbit.torch.lockin.quantized import Quantized, quantize
from subbit.torch.lockin.statistics import FlipTracker

__all__ = ["Barrier", "FlipTracker", "Flips", "LockIn", "Quantized", "attach", "fold", "quantize"]
