"""subbit itself: real `.sbit` files through the public functions, by the planner's choice or one codec at a time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

import subbit
from benchmarks.data import TEMPLATES, Weights
from benchmarks.methods import BUDGETS, File, Method
from subbit import DeadZone, Factors, Fitted, LowBit, Plan, Scales, Signed, Trellis, TrellisMagnitudes, Vector
from subbit.signs import SignPlane
from subbit.signs.declared import METADATA_KEY, to_json

__all__ = ["methods_for", "through_file"]

CONTAINER_BYTES = 256
"""What a matrix costs beyond its sections, at most: index entry, digests, padding, its part of the header."""

_MORE = (0.667, 1.0)
"""What a trellis alone is also measured at, where Shannon's bound is known."""


def methods_for(data: str, weights: Weights) -> list[Method]:
    """What `compress` chooses for size and for speed, codecs alone, templates × magnitudes where these gave the signs.

    The budgets hold for whole files, flips excepted. Angles are also found from the signs alone (`fitted`), and MiniLM
    is also coded by `factors` alone.
    """
    container = 8 * CONTAINER_BYTES * len(weights) / sum(weight.size for weight in weights.values())
    plane = TEMPLATES[data.removeprefix("template-").removesuffix("-flips")] if "template" in data else None
    methods = [_method(f"compress, {bits}", bits=bits, template=plane) for bits in BUDGETS]
    methods += [_method(f"compress for speed, {bits}", bits=bits, template=plane, profile="speed") for bits in BUDGETS]
    methods += [_method(f"deadzone, {bits}", plan=_plan(DeadZone(bits - container))) for bits in BUDGETS]
    rates = (*BUDGETS, *_MORE) if data == "gaussian" else BUDGETS
    methods += [_method(f"trellis, {bits}", plan=_plan(Trellis(bits - container))) for bits in rates]
    if data == "minilm":  # a matrix of 4096² would take minutes
        methods += [_method(f"factors, {bits}", plan=_plan(Factors(bits - container))) for bits in BUDGETS]
    if plane is not None:
        parts: dict[str, Any] = {"scales": Scales(), "vector": Vector()}
        parts |= {f"lowbit, {bits}": LowBit(bits - container) for bits in BUDGETS[:2]}
        parts |= {f"trellis, {bits}": TrellisMagnitudes(bits - container) for bits in BUDGETS[:2]}
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
