"""The figures of the page as pictures for papers, drawn by matplotlib from the same data."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from subbit.analysis.pyplot import literal, saved_figure
from subbit.analysis.report.facts import Facts
from subbit.analysis.report.html import size
from subbit.analysis.report.parts import PARTS
from subbit.analysis.report.planes import rate_figures, sign_figures
from subbit.analysis.report.scatter import FAMILIES, Scatter
from subbit.analysis.report.strips import strips
from subbit.analysis.report.treemap import Cell, Tile, treemap
from subbit.errors import SubbitError

__all__ = ["FIGURES", "plot_figure"]

_WIDTH, _HEIGHT = 7.0, 3.5
_POINTS = 72
_LETTER = 4.2
"""Mean width of a letter of the labels, in points."""
_COLORS = {"joint": "#2f6fb0", "template": "#147a5d", "stored": "#b5431f", "parent": "#7c4a9c", "other": "#59616e"}
_MARKERS = "os^Dvp*hX<>8"


def plot_figure(facts: Facts, name: str, path: str | PathLike[str], *, force: bool = False) -> None:
    """Draw one of :data:`FIGURES` into `path`, as .png, .svg or .pdf.

    Raises :class:`UsageError` without matplotlib and for a file that exists, unless `force`; :class:`SubbitError`
    (kind "empty") where the file holds nothing that the figure shows.
    """
    FIGURES[name](facts, path, force)


def _plot_treemap(facts: Facts, path: str | PathLike[str], force: bool) -> None:
    with saved_figure(path, size=(_WIDTH, _HEIGHT), force=force) as axes:
        tiles = treemap(facts)
        for tile in tiles:
            for cell in tile.cells:
                _rectangle(axes, cell)
            axes.add_patch(_patch(tile.box, fill=False, edgecolor="white", linewidth=1.5))
            _label(axes, tile)
        axes.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[], title=literal(f"{facts.title}: {size(facts.bytes)}"))
        axes.set_frame_on(False)
        found = {cell.part for tile in tiles for cell in tile.cells}
        handles = [_swatch(key) for key in PARTS if key in found]
        axes.figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)


def _plot_tensors(facts: Facts, path: str | PathLike[str], force: bool) -> None:
    kinds = strips(facts)
    if not kinds:
        raise SubbitError("holds no coded tensors in layers", kind="empty", path=facts.title)
    known = any(group.error is not None for groups in kinds.values() for group in groups)
    panels = 2 if known else 1
    with saved_figure(path, panels, size=(_WIDTH / 2 if known else _WIDTH, _HEIGHT), force=force) as axes:
        drawn = list(axes) if known else [axes]
        for number, (kind, groups) in enumerate(kinds.items()):
            style = {
                "marker": _MARKERS[number % len(_MARKERS)],
                "markersize": 3.5,
                "linewidth": 0.9,
                "label": literal(kind),
            }
            layers = [group.layer for group in groups]
            drawn[0].plot(layers, [group.bits for group in groups], **style)
            if known:
                drawn[1].plot(layers, [group.error for group in groups], **style)
        for panel in drawn:
            panel.xaxis.get_major_locator().set_params(integer=True)
        drawn[0].axhline(1, color="gray", linestyle="--", linewidth=0.8)
        drawn[0].set(xlabel="layer", ylabel="bits a weight")
        if known:
            drawn[1].set(xlabel="layer", ylabel="error, ‖W − W′‖² / ‖W‖²")
        handles, names = drawn[0].get_legend_handles_labels()
        drawn[0].figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False, fontsize=8)


def _plot_signs(facts: Facts, path: str | PathLike[str], force: bool) -> None:
    _plot_plane(facts, sign_figures([facts]), path, force, "whose signs were measured")


def _plot_rate(facts: Facts, path: str | PathLike[str], force: bool) -> None:
    _plot_plane(facts, rate_figures([facts]), path, force, "whose error is known")


def _plot_plane(facts: Facts, planes: Sequence[Scatter], path: str | PathLike[str], force: bool, wanted: str) -> None:
    if not planes or not planes[0].marks:
        raise SubbitError(f"holds no coded tensors {wanted}", kind="empty", path=facts.title)
    plane = planes[0]
    with saved_figure(path, size=(4.5, _HEIGHT), force=force) as axes:
        for x1, y1, x2, y2, name in plane.lines:
            axes.plot([x1, x2], [y1, y2], "--", color="gray", linewidth=0.8, zorder=1)
            words = {"fontsize": 8, "color": "gray", "ha": "right"}
            place = (-12, -3) if y2 < y1 else (-3, 5)  # below a line that falls, above another
            axes.annotate(name, (x2, y2), place, textcoords="offset points", **words)
        for key, family in FAMILIES.items():
            found = [mark for mark in plane.marks if mark.family == key]
            if found:
                places = [mark.x for mark in found], [mark.y for mark in found]
                axes.scatter(*places, s=18, alpha=0.6, marker=family.marker, color=_COLORS[key], label=family.title)
        axes.set(xlabel=plane.x.title, ylabel=plane.y.title, yscale="log" if plane.y.log else "linear")
        axes.set(xlim=(plane.x.low, plane.x.high), ylim=(plane.y.low, plane.y.high))
        axes.set_yticks(plane.y.ticks(), [f"{value:g}" for value in plane.y.ticks()], minor=False)
        axes.set_yticks([], minor=True)
        axes.figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)


FIGURES = {"treemap": _plot_treemap, "tensors": _plot_tensors, "signs": _plot_signs, "rate": _plot_rate}
"""What draws each figure, by its name."""


def _patch(box: tuple[float, float, float, float], **style: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(box[:2], box[2], box[3], **style)


def _rectangle(axes: Any, cell: Cell) -> None:
    part = PARTS[cell.part]
    axes.add_patch(_patch(cell.box, facecolor=part.color, edgecolor="white", linewidth=0.3))
    if part.hatch:
        axes.add_patch(_patch(cell.box, fill=False, edgecolor=part.ink, alpha=0.25, hatch=part.hatch, linewidth=0))


def _swatch(key: str) -> Any:
    part = PARTS[key]
    return _patch((0, 0, 1, 1), facecolor=part.color, edgecolor=part.ink, alpha=1, hatch=part.hatch, linewidth=0.3,
                  label=part.title)  # fmt: skip


def _label(axes: Any, tile: Tile) -> None:
    """The longest name that fits into the largest cell."""
    left, top, width, height = tile.largest.box
    fits = [
        name for name in (tile.label, tile.short)
        if len(name) * _LETTER + 6 <= width * _WIDTH * _POINTS and height * _HEIGHT * _POINTS * 0.8 > 10
    ]  # fmt: skip
    if fits:
        ink = PARTS[tile.largest.part].ink
        place = {"xy": (left, top), "xytext": (3, -3), "textcoords": "offset points"}
        axes.annotate(literal(fits[0]), **place, va="top", fontsize=7, color=ink)
