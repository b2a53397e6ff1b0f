"""Block by block through a model: original and compressed side by side, each weight encoded for what reaches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch

from subbit.codecs import Dense, Signed
from subbit.codecs.blocks import thread_count
from subbit.curvature import Curvature
from subbit.model.compressing import Job
from subbit.torch.calibration.blocks import Blocks, block_list
from subbit.torch.calibration.loading import fill, places, release, skeleton
from subbit.torch.calibration.spool import Spool
from subbit.torch.sequential.block import Block, States
from subbit.torch.sequential.lanes import Workers
from subbit.torch.targets import Target, chosen

__all__ = ["Sequential"]


class Sequential:
    """Drives a :class:`Job`: `compress(checkpoint, importance=statistics, driver=Sequential(batches, statistics))`.

    All batches go through one block of the model after the other, once with the original weights and once with those
    that are compressed already. Each weight of a block, in the order in which the block reads them, is replaced by the
    one that comes nearest to the original outputs from the compressed inputs (`solving`), with what the residual stream
    has lost added for those that write to it (`residual`), and encoded with the second moments of the compressed
    inputs. Passes are in float32: a few massive activations, rounded to bfloat16, would be off by more than all others
    have. `targets=False` encodes the original weights; `residual=False` leaves the stream out.

    Weights under template signs, experts, convolutions and transposed weights are encoded as they are. A model without
    one list of blocks is left to the job. Memory: embedding and head, one block, and what one block holds while it
    computes, for all batches (a few times tokens × width floats); of hidden states and inputs 256 MiB a list, the rest
    in a temporary file.
    """

    def __init__(
        self,
        batches: Sequence[Mapping[str, Any]],
        statistics: Mapping[str, Curvature],
        targets: bool = True,
        residual: bool = True,
    ) -> None:
        self.batches = batches
        self.statistics = statistics
        self.targets = targets
        self.residual = residual

    @torch.no_grad()
    def __call__(self, job: Job) -> None:
        """Add every weight of the model's blocks to the job, and before them what comes before the blocks."""
        model = skeleton(job.source, "float32").requires_grad_(False).eval()
        listed = block_list(model)
        if listed is None:
            return
        prefix, blocks = listed
        where = places(model, job.source)
        targets = chosen(model, ("*",))
        for block in blocks:
            release(block)
        fill(model, job.source, where, [name for name in where if not name.startswith(f"{prefix}.")])
        passes = Blocks(model, blocks)
        original: States = self._embed(passes)
        self._lossy_outside(job, model, where, prefix)
        compressed: States = self._embed(passes)
        with closing(Workers(thread_count())) as workers:
            for k, block in enumerate(blocks):
                own = f"{prefix}.{k}."
                fill(model, job.source, where, [name for name in where if name.startswith(own)])
                inside = [t for t in targets if t.name.startswith(own) and t.name in where]
                lossy = [t for t in inside if self._lossy(job, where, t)]
                step = Block(self, job, where, lossy, passes, k, workers)
                original, compressed = step.through(original, compressed)
                release(block)

    def _embed(self, passes: Blocks) -> Spool:
        states = Spool()
        for batch in self.batches:
            states.append(passes.first_input(batch).numpy().copy())
        return states

    def _lossy_outside(self, job: Job, model: Any, where: Mapping[str, str], prefix: str) -> None:
        """Embeddings and the like: compressed first, so that the blocks see what is left of them."""
        parameters = dict(model.named_parameters())
        for name in where:
            rule = job.plan.rule_for(where[name])
            if not name.startswith(f"{prefix}.") and name in parameters and not isinstance(rule.codec, Dense):
                decoded = job.add(where[name])
                if decoded is not None:
                    parameters[name].copy_(torch.from_numpy(decoded.astype(np.float32)))

    def _lossy(self, job: Job, where: Mapping[str, str], target: Target) -> bool:
        return not isinstance(job.plan.rule_for(where[target.name]).codec, Dense)

    def free(self, job: Job, name: str) -> bool:
        """Whether a weight may be replaced by another one: not where its signs come from a template."""
        return self.targets and not isinstance(job.plan.rule_for(name).codec, Signed)
