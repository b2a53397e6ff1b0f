"""What a worker does: look at a tensor, encode a tensor. Whoever asks gets the hashes of the weights that were read."""

from __future__ import annotations

from dataclasses import replace

from subbit.model.encoding import encode_by_rule
from subbit.model.report import TensorReport
from subbit.model.workers.materials import Materials, opened
from subbit.planning import Look, Measured, Rule
from subbit.records import Encoded

__all__ = ["encode", "greet", "look"]

Hashes = dict[str, str]


def greet(materials: Materials) -> None:
    """Open everything, so that what cannot be opened is known before the work."""
    opened(materials)


def look(materials: Materials, name: str, look: Look) -> tuple[tuple[str, Rule | Measured], Hashes]:
    """What planning has to know of a tensor."""
    at = opened(materials)
    found = look(name, at.source, at.importance, None if at.parent is None else at.parent.find)
    return (name, found), at.inputs.of(name)


def encode(
    materials: Materials, name: str, rule: Rule, allow_nonfinite: bool
) -> tuple[tuple[Encoded, TensorReport], Hashes]:
    """A tensor by its rule, its sections as plain bytes."""
    at = opened(materials)
    importance = None if at.importance is None else at.importance.get(name)
    encoded, row, _ = encode_by_rule(at.source[name], rule, importance, at.parent, allow_nonfinite)
    sections = {part: memoryview(data).tobytes() for part, data in encoded.sections.items()}
    plain = replace(encoded, knobs=dict(encoded.knobs), sections=sections)
    return (plain, row), at.inputs.of(name)
