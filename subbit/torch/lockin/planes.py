"""The sign plane that a user's choice of template means."""

from __future__ import annotations

from collections.abc import Callable

from subbit.errors import UsageError
from subbit.signs import Angle, Hadamard, Hashed, LowRank, SignPlane
from subbit.signs.base import Seeded

__all__ = ["Template", "plane_maker"]

Template = str | Callable[[int], SignPlane]
"""A name, or what makes a sign plane from a seed: `Angle`, `lambda seed: LowRank(8, seed)`."""

_DEFAULT_RANK = 16
_BY_NAME: dict[str, Callable[[int], SignPlane]] = {
    "angle": Angle, "hadamard": Hadamard, "hashed": Hashed, "lowrank": lambda seed: LowRank(_DEFAULT_RANK, seed),
}  # fmt: skip


def plane_maker(template: Template) -> Callable[[int], SignPlane]:
    """What makes a plane from a tensor's seed; `"lowrank"` has rank 16, `"lowrank:4"` rank 4.

    Raises :class:`UsageError` (kind "template") for an unknown name and for planes that no seed describes.
    """
    make = _named(template) if isinstance(template, str) else template
    if not callable(make) or not isinstance(make(0), Seeded):
        hint = "pass what makes one from a seed, such as subbit.Angle"
        raise UsageError(f"template={template!r} makes no seeded sign plane", kind="template", hint=hint)
    return make


def _named(template: str) -> Callable[[int], SignPlane]:
    if template in _BY_NAME:
        return _BY_NAME[template]
    kind, _, rank = template.partition(":")
    if kind == "lowrank" and rank.isdecimal():
        return lambda seed: LowRank(int(rank), seed)
    hint = f"known: {', '.join(_BY_NAME)}, lowrank:RANK"
    raise UsageError(f"unknown template {template!r}", kind="template", hint=hint)
