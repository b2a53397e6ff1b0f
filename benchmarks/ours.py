"""subbit itself: real `.sbit` files through the public functions, by the planner's choice or one codec at a time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

import subbit
from benchmarks.data import TEMPLATES, Weights
from benchmarks.methods import BUDGETS, File, Method
from subbit import DeadZone, Fitted, LowBit, Plan, Scales, Signed, Vector
from subbit.signs import SignPlane
from subbit.signs.declared import METADATA_KEY, to_json

__all__ = ["methods_for", "through_file"]

CONTAINER_BYTES = 256
"""What a matrix costs beyond its sections, at most: index entry, digests, padding, its part of the header."""


def methods_for(data: str, weights: Weights) -> list[Method]:
    """Whatever `compress` chooses, `deadzone` alone, and templates × magnitudes where a template gave the signs.

    The budgets hold for whole files, flips excepted. Angles are also found from the signs alone (`fitted`).
    """
    container = 8 * CONTAINER_BYTES * len(weights) / sum(weight.size for weight in weights.values())
    plane = TEMPLATES[data.removeprefix("template-").removesuffix("-flips")] if "template" in data else None
    methods = [_method(f"compress, {bits}", bits=bits, template=plane) for bits in BUDGETS]
    methods += [_method(f"deadzone, {bits}", plan=_plan(DeadZone(bits - container))) for bits in BUDGETS]
    if plane is not None:
        parts: dict[str, Any] = {"scales": Scales(), "vector": Vector()}
        parts |= {f"lowbit, {bits}": LowBit(bits - container) for bits in BUDGETS[:2]}
        methods += [_method(f"template × {label}", plan=_plan(Signed(plane, part))) for label, part in parts.items()]
    if data.startswith("template-angle"):
        methods.append(_method("fitted angles × vector", plan=_plan(Signed(Fitted(), Vector()))))
    return methods


def through_file(weights: Weights, path: Path, template: SignPlane | None = None, **options: Any) -> File:
    """Compress to `path`; decoding opens that file, checks it and uses nothing else.

    With a template the weights come from a checkpoint that declares it, as one trained on it would.
    """
    checkpoint: Weights | Path = weights
    if template is not None:
        checkpoint = path.with_name("model.safetensors")
        metadata = {METADATA_KEY: to_json(dict.fromkeys(weights, template))}
        save_file(dict(weights), checkpoint, metadata)
    subbit.compress(checkpoint, path, force=True, **options)
    return File(path.stat().st_size, lambda: subbit.load(path))


def _method(name: str, **options: Any) -> Method:
    return Method(f"subbit {name}", partial(through_file, **options))


def _plan(codec: Any) -> Plan:
    return Plan(()).using("*", codec)
