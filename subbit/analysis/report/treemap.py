"""Where the bits go: every byte of the file as an area, by layer and within it by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from subbit.analysis.report.facts import Facts
from subbit.analysis.report.groups import by_layer
from subbit.analysis.report.html import Html, join, percent, size, tag
from subbit.analysis.report.parts import PARTS

__all__ = ["Box", "Cell", "Tile", "draw_treemap", "lay_out", "treemap"]

_ASPECT = 2.0
"""Width of the layout over its height; pages stretch it."""
_HEIGHT = 440
_WIDTHS = (296, 480, 640, 960)
"""Of the figure, in px: from which on a label is shown, see page.css."""
_LETTER, _LINE, _MARGIN = 7.0, 16, 8

Box = tuple[float, float, float, float]
"""Left, top, width and height, as shares of the figure."""


class Cell(NamedTuple):
    """One part within a tile."""

    part: str
    bytes: int
    box: Box


class Tile(NamedTuple):
    """A layer, a tensor outside of layers, or what belongs to no tensor; parts are in one order in all tiles."""

    label: str
    short: str
    bytes: int
    box: Box
    cells: tuple[Cell, ...]

    @property
    def largest(self) -> Cell:
        """Where there is most room for a label."""
        return max(self.cells, key=lambda cell: cell.bytes)


def treemap(facts: Facts) -> list[Tile]:
    """Areas that sum to 1 and stand for all bytes: what is in no layer first, then layers in order, then the rest."""
    named: list[tuple[str, str, Mapping[str, int]]] = [
        (group.label, str(group.layer) if group.layer is not None else group.kind.rpartition(".")[2], group.parts)
        for group in by_layer(facts.rows)
    ]
    named += [(PARTS[part].title, PARTS[part].title, {part: count}) for part, count in facts.rest.items()]
    named = [item for item in named if sum(item[2].values())]
    boxes = lay_out([sum(parts.values()) for _, _, parts in named], (0.0, 0.0, _ASPECT, 1.0))
    whole = facts.parts
    order = sorted(whole, key=lambda part: (-whole[part], part))
    tiles = []
    for (label, short, parts), (left, top, width, height) in zip(named, boxes, strict=True):
        box = (left / _ASPECT, top, width / _ASPECT, height)
        tiles.append(Tile(label, short, sum(parts.values()), box, _cells(parts, order, box)))
    return tiles


def lay_out(sizes: Sequence[int], box: Box) -> list[Box]:
    """Divide a box among sizes, in their order, into rectangles that are near squares.

    Source: Bruls, Huizing & van Wijk, "Squarified treemaps" (2000), without their sorting.
    """
    boxes: list[Box] = []
    left, top, width, height = box
    start = 0
    while start < len(sizes):
        unit = width * height / sum(sizes[start:])
        side = min(width, height)
        stop = start + 1
        while stop < len(sizes) and _worst(sizes[start : stop + 1], unit, side) <= _worst(
            sizes[start:stop], unit, side
        ):
            stop += 1
        thick, at = sum(sizes[start:stop]) * unit / side, 0.0
        for count in sizes[start:stop]:
            long = count * unit / thick
            boxes.append((left, top + at, thick, long) if side == height else (left + at, top, long, thick))
            at += long
        if side == height:
            left, width = left + thick, width - thick
        else:
            top, height = top + thick, height - thick
        start = stop
    return boxes


def draw_treemap(facts: Facts) -> Html:
    """The figure as SVG whose places are shares of its width, so that text keeps its size on any screen."""
    said = f"Where the bytes of {facts.title} go, as areas by layer and part; the table beside it says the same"
    return tag("svg", *map(_draw, treemap(facts)), class_="treemap", role="img", aria_label=said)


def _cells(parts: Mapping[str, int], order: Sequence[str], box: Box) -> tuple[Cell, ...]:
    """Slices of a tile."""
    left, top, width, height = box
    cells, at, total = [], 0.0, sum(parts.values())
    for part in order:
        if not parts.get(part):
            continue
        count = parts[part]
        share = count / total
        if width * _ASPECT >= height:
            cells.append(Cell(part, count, (left + at * width, top, share * width, height)))
        else:
            cells.append(Cell(part, count, (left, top + at * height, width, share * height)))
        at += share
    return tuple(cells)


def _draw(tile: Tile) -> Html:
    cells = join(*(_draw_cell(tile, cell) for cell in tile.cells))
    x, y, width, height = map(percent, tile.box)
    frame = tag("rect", x=x, y=y, width=width, height=height, class_="tile")
    return tag("g", cells, frame, _label(tile))


def _draw_cell(tile: Tile, cell: Cell) -> Html:
    x, y, width, height = map(percent, cell.box)
    place = {"x": x, "y": y, "width": width, "height": height}
    part = PARTS[cell.part]
    title = tag("title", f"{tile.label}: {part.title.lower()}, {cell.bytes:,} bytes")
    hatch = tag("rect", fill=f"url(#h-{part.key})", **place) if part.hatch else None
    return tag("g", title, tag("rect", class_=f"cell p-{part.key}", **place), hatch)


def _label(tile: Tile) -> Html | None:
    """The longest name that fits into the largest cell, from the narrowest figure on in which it does."""
    left, top, width, height = tile.largest.box
    lines = int((height * _HEIGHT - _MARGIN) // _LINE)
    if lines < 1:
        return None
    shown: list[Html] = []
    until = ""
    for name in dict.fromkeys((tile.label, tile.short)):
        fits = [w for w in _WIDTHS if len(name) * _LETTER + _MARGIN <= width * w]
        if not fits or until == f" until{fits[0]}":
            continue
        rows = [_line(name, left, top, 0)]
        amount = size(tile.bytes)
        if lines > 1 and len(amount) * _LETTER + _MARGIN <= width * fits[0]:
            rows.append(_line(amount, left, top, 1))
        shown.append(tag("g", *rows, class_=f"label on-{tile.largest.part} from{fits[0]}{until}"))
        until = f" until{fits[0]}"
    return join(*shown) if shown else None


def _line(words: str, left: float, top: float, number: int) -> Html:
    return tag("text", words, x=percent(left), y=percent(top), dx="5", dy=str(_LINE * (number + 1) - 2))


def _worst(sizes: Sequence[int], unit: float, side: float) -> float:
    """The worst ratio of sides among rectangles in one row along `side`; `unit` is area by size."""
    thick = sum(sizes) * unit / side
    return max(max(size * unit / thick**2, thick**2 / (size * unit)) for size in sizes)
