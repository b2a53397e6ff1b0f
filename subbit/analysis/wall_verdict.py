"""What measurements of signs mean, in one line a tensor and one for the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["judge", "sum_up"]

_PREDICTABLE = 0.99


def judge(tensor: Mapping[str, Any]) -> tuple[float, str]:
    """The least cost of the signs and what makes it."""
    if tensor["entropy"] < _PREDICTABLE:
        why = {"bias": "one sign is rarer", "rows": "rows have a sign of their own"}
        why |= {"columns": "columns have a sign of their own", "neighbours": "neighbours predict them"}
        reason = why.get(tensor["predicted_by"], f"{tensor['predicted_by']} predict them")
    else:
        reason = "nothing predicts them"
    choices = [(min(1.0, tensor["entropy"]), reason)]
    if template := tensor["template"]:
        choices.append((template["bits"], f"{template['flips']:.2%} flips against the {template['kind']} template"))
    if drift := tensor["drift"]:
        choices.append((drift["bits"], f"{drift['flips']:.1%} flips against the initialization"))
    return min(choices)


def sum_up(tensors: list[dict[str, Any]]) -> dict[str, Any]:
    """The means over all weights, and one line."""
    weights = sum(tensor["weights"] for tensor in tensors)

    def mean(value: Callable[[dict[str, Any]], float]) -> float:
        return math.fsum(tensor["weights"] * value(tensor) for tensor in tensors) / float(weights)

    bits, entropy = mean(lambda t: t["bits"]), mean(lambda t: t["entropy"])
    known = [tensor for tensor in tensors if tensor["drift"]]
    moved = math.fsum(tensor["weights"] * tensor["drift"]["flips"] for tensor in known)
    flips = moved / sum(tensor["weights"] for tensor in known) if known else None
    if bits > _PREDICTABLE:
        reason = "they look random, so fewer bits need other signs: train on a template"
    elif bits > entropy - 0.01:
        reason = "they can be predicted from each other"
    else:
        reason = "they are close to signs that a seed repeats"
    verdict = f"{weights:,} signs cost {bits:.3f} bits each, {math.ceil(bits * weights / 8):,} bytes: {reason}"
    return {"weights": weights, "entropy": entropy, "flips": flips, "bits": bits, "verdict": verdict}
