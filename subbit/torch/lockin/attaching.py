"""Give a model's weights template signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.nn.utils import parametrize

from subbit.errors import SubbitError, UsageError
from subbit.signs.seeds import seed_for
from subbit.torch.lockin.barrier import Barrier
from subbit.torch.lockin.correction import check_correction, correct
from subbit.torch.lockin.gap import DEFAULT_GAP, gap_threshold, gaps_of, resampled
from subbit.torch.lockin.lock import KEEPS, LockIn
from subbit.torch.lockin.locked import locked
from subbit.torch.lockin.planes import Template, plane_maker
from subbit.torch.targets import chosen, unwrapped

__all__ = ["attach"]


def attach(
    model: torch.nn.Module,
    template: Template = "hashed",
    seed: int = 0,
    *,
    gap: float | Mapping[str, float] = DEFAULT_GAP,
    keep: str = "barrier",
    barrier: float | Barrier = Barrier(),  # noqa: B008 (frozen)
    targets: str | Sequence[str] = "*",
    correction_rank: int = 0,
) -> LockIn:
    """Replace the chosen weights, in place, by W = T ⊙ |W| with the signs of a seeded template and no small values.

    Attach right after the model is initialized and before the optimizer is made; for a model that has its template
    already, `gap=0` changes nothing.

    - `template`: "hashed" (trains like ordinary signs), "hadamard", "angle", "lowrank" (rank 16), "lowrank:RANK", or
      what makes a sign plane from a seed. Every tensor has a seed of its own (`signs.seeds.seed_for`).
    - `gap`: magnitudes below gap · σ of the layer's own initialization are drawn again, and all are scaled to keep its
      root mean square (`gap.resampled`); one number, or {pattern: number}.
    - `keep`: "barrier" pushes weights away from zero (add `penalty()` to the loss), after which they code better;
      "project" sets weights that crossed zero back to it after every step, which is exact, and better in long
      trainings, under strong weight decay and for convolutions; "free" only counts.
    - `barrier`: the barrier's force ratio, or a :class:`Barrier` with a schedule.
    - `targets`: patterns of parameter names. "*" means linear and convolution weights, attention projections and fused
      experts; embeddings, heads and norms need their full name.
    - `correction_rank=k` adds a trainable A Bᵀ that starts by cancelling the k strongest directions of T ⊙ |W|.

    The signs cost 0 bits a weight as long as they hold. Raises :class:`SubbitError` before anything changes: unknown
    template, pattern without a match, integer or meta parameters, weights that are not finite, a gap wider than the
    initialization. Source: Sakai & Ichikawa, "Sign Lock-In" (arXiv 2602.17063).
    """
    model = unwrapped(model)
    barrier = barrier if isinstance(barrier, Barrier) else Barrier(barrier)
    if keep not in KEEPS:
        raise UsageError(f"unknown keep={keep!r}", kind="keep", hint=f"one of {', '.join(KEEPS)}")
    make = plane_maker(template)
    found = chosen(model, [targets] if isinstance(targets, str) else list(targets))
    seeds = [seed_for(seed, target.name) for target in found]
    check_correction(found, correction_rank)
    thresholds = []
    for target, own in zip(found, gaps_of(found, gap), strict=True):
        if isinstance(target.module, parametrize.ParametrizationList):
            text, hint = "is a part of a parametrized weight", "attach before quantizing, or leave it out of targets"
            raise UsageError(text, kind="parametrized", tensor=target.name, hint=hint)
        if keep == "barrier" and own == 0:
            hint = "choose a gap above 0, or keep='project'"
            raise UsageError("a barrier needs a gap to stand in", kind="gap", tensor=target.name, hint=hint)
        try:
            thresholds.append(gap_threshold(target.parameter, own))
        except SubbitError as error:
            raise error.at(tensor=target.name) from None
    held = []
    for target, own_seed, threshold in zip(found, seeds, thresholds, strict=True):
        magnitudes, threshold = resampled(target.parameter, threshold, own_seed)
        item = locked(target.name, target.module, target.leaf, make(own_seed), threshold, magnitudes)
        if correction_rank:
            item.owner, item.leaf = correct(target.module, target.leaf, correction_rank), "original"
        held.append(item)
    return LockIn(model, held, seed, keep, barrier)
