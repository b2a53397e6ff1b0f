"""Tensors that a figure draws as one: those of a kind in a layer, or in a run of layers where there are many.

So figures have a bounded number of marks, whatever the file holds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from subbit.analysis.report.facts import Row
from subbit.analysis.report.signs import Signs

__all__ = ["MOST_KINDS", "MOST_LAYERS", "Group", "by_kind", "by_layer", "layer_widths"]

MOST_LAYERS = 128
MOST_KINDS = 48
REST = "(other kinds)"


@dataclass(frozen=True)
class Group:
    """One tensor or several. `layer` is the first one's, None where names tell none."""

    kind: str
    stack: str
    layer: int | None
    span: int
    rows: tuple[Row, ...]

    @property
    def label(self) -> str:
        """What it is called: `layer 3, mlp.up`."""
        if self.layer is None:
            return self.kind
        last = self.layer + self.span - 1
        layers = f"layer {self.layer}" if self.span == 1 else f"layers {self.layer} to {last}"
        return f"{layers}, {self.kind}" if self.kind else layers

    @property
    def weights(self) -> int:
        """How many numbers the tensors hold."""
        return sum(row.weights for row in self.rows)

    @property
    def bytes(self) -> int:
        """All that they add to the file."""
        return sum(row.bytes for row in self.rows)

    @property
    def bits(self) -> float | None:
        """Stored bits divided by weights."""
        return 8 * self.bytes / self.weights if self.weights else None

    @property
    def parts(self) -> Counter[str]:
        """Bytes by part."""
        total: Counter[str] = Counter()
        for row in self.rows:
            total.update(row.parts)
        return total

    @property
    def error(self) -> float | None:
        """Mean error over weights, of those whose error is known."""
        return _mean((row.weights, row.error) for row in self.rows)

    @property
    def sign_bits(self) -> float | None:
        """Mean bits a weight for signs."""
        return self.of_signs(lambda signs: signs.bits)

    def of_signs(self, value: Callable[[Signs], float | None]) -> float | None:
        """The mean of a figure of signs over the weights of the tensors that have it."""
        return _mean((row.weights, value(row.signs)) for row in self.rows if isinstance(row.signs, Signs))


def by_kind(rows: Iterable[Row]) -> dict[str, list[Group]]:
    """Groups of each kind in the order of their layers; kinds beyond the largest are one."""
    rows = tuple(rows)
    widths = layer_widths(rows)
    several = len(widths) > 1
    sizes: Counter[str] = Counter()
    named = [(_kind(row, several), row) for row in rows]
    for kind, row in named:
        sizes[kind] += row.bytes
    kept = {kind for kind, _ in sizes.most_common(MOST_KINDS)}
    found: dict[tuple[str, str, int], list[Row]] = {}
    for kind, row in named:
        stack, layer = row.place.stack, row.place.layer
        key = (kind, stack, -1 if layer is None else layer // widths[stack])
        found.setdefault(key if kind in kept else (REST, "", -1), []).append(row)
    kinds: dict[str, list[Group]] = {}
    for (kind, stack, number), members in sorted(found.items()):
        width = widths.get(stack, 1)
        group = Group(kind, stack, number * width if number >= 0 else None, width, tuple(members))
        kinds.setdefault(kind, []).append(group)
    return kinds


def by_layer(rows: Iterable[Row]) -> list[Group]:
    """A group for each layer, in order, and one for each kind outside of layers; the smallest of those are one.

    What is larger than any layer stands before them, the rest behind.
    """
    rows = tuple(rows)
    widths = layer_widths(rows)
    layers: dict[tuple[str, int], list[Row]] = {}
    outside: dict[str, list[Row]] = {}
    for row in rows:
        if row.place.layer is None:
            outside.setdefault(row.place.kind, []).append(row)
        else:
            layers.setdefault((row.place.stack, row.place.layer // widths[row.place.stack]), []).append(row)
    several = len(widths) > 1
    found = [
        Group(stack if several else "", stack, number * widths[stack], widths[stack], tuple(members))
        for (stack, number), members in sorted(layers.items())
    ]
    single = [Group(kind, "", None, 1, tuple(members)) for kind, members in outside.items()]
    single.sort(key=lambda group: (-group.bytes, group.kind))
    rest = tuple(row for group in single[MOST_KINDS:] for row in group.rows)
    single[MOST_KINDS:] = [Group(REST, "", None, 1, rest)] if rest else []
    above = max((group.bytes for group in found), default=0)
    return [
        *(group for group in single if group.bytes > above),
        *found,
        *(group for group in single if group.bytes <= above),
    ]


def layer_widths(rows: Sequence[Row]) -> dict[str, int]:
    """How many layers of each stack are drawn as one, so that all stacks together have no more than `MOST_LAYERS`."""
    last: dict[str, int] = {}
    for row in rows:
        if row.place.layer is not None:
            last[row.place.stack] = max(last.get(row.place.stack, 0), row.place.layer)
    share = max(1, MOST_LAYERS // max(len(last), 1))
    return {stack: math.ceil((layer + 1) / share) for stack, layer in last.items()}


def _kind(row: Row, several: bool) -> str:
    place = row.place
    return f"{place.stack}: {place.kind}" if several and place.layer is not None and place.stack else place.kind


def _mean(pairs: Iterable[tuple[int, float | None]]) -> float | None:
    known = [(weights, value) for weights, value in pairs if value is not None]
    total = sum(weights for weights, _ in known)
    return math.fsum(weights * value for weights, value in known) / total if total else None
