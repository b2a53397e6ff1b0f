"""Tables: what every figure shows, in figures; columns sort where scripts run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from subbit.analysis.report.facts import Facts
from subbit.analysis.report.groups import Group, by_kind, by_layer
from subbit.analysis.report.html import Html, breakable, join, number, rounded, tag
from subbit.analysis.report.parts import PARTS

__all__ = ["MOST_ROWS", "Value", "figure", "kind_table", "layer_table", "part_table", "swatch", "table", "tensor_table"]

MOST_ROWS = 4000
"""Files with more tensors are listed by kind and layer instead."""


class Value(NamedTuple):
    """A number in a table: as it is read, and as it sorts."""

    shown: str
    value: float | None


def figure(value: float | None, digits: int = 3) -> Value:
    """A figure with so many decimals."""
    return Value(number(value, digits), value)


def error(value: float | None) -> Value:
    """An error to three digits that count."""
    return Value(rounded(value), value)


def count(value: int) -> Value:
    """A whole number."""
    return Value(f"{value:,}", value)


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]], *, sorts: bool = False) -> Html:
    """Rows under headings in a region that scrolls by itself; the first cell of a row names it.

    Columns in which no number is known are left out.
    """
    rows = list(rows)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    kept = [at for at, cells in enumerate(columns) if not cells or any(_known(cell) for cell in cells)]
    numbers = [any(isinstance(cell, Value) for cell in cells) for cells in columns]
    head = tag("tr", *(tag("th", header[at], scope="col", class_="n" if numbers[at] else None) for at in kept))
    body = [tag("tr", *(_cell(row[at], at == 0) for at in kept)) for row in rows]
    made = tag("table", tag("thead", head), tag("tbody", *body), class_="sorts" if sorts else None, aria_label=caption)
    scrolls = tag("div", made, class_="scroll", role="region", tabindex="0", aria_label=caption)
    return join(tag("p", caption, class_="caption", aria_hidden="true"), scrolls)


def swatch(part: str) -> Html:
    """A part's colour and hatch, as the treemap draws it."""
    hatch = tag("rect", width="16", height="16", fill=f"url(#h-{part})") if PARTS[part].hatch else None
    return tag("svg", tag("rect", width="16", height="16", class_=f"cell p-{part}"), hatch, width="16", height="16",
               aria_hidden="true", class_="swatch")  # fmt: skip


def part_table(facts: Facts, *, explained: bool) -> Html:
    """Bytes, share and bits a weight of every part, and the whole file."""
    found = facts.parts
    rows: list[Sequence[object]] = [
        (
            join(swatch(key), " ", part.title), count(found[key]), _share(found[key], facts.bytes),
            figure(8 * found[key] / facts.weights if facts.weights else None, 4), part.meaning,
        )
        for key, part in PARTS.items() if found[key]
    ]  # fmt: skip
    rows.append((tag("b", "Whole file"), count(facts.bytes), _share(1, 1), figure(facts.bits, 4), "every byte on disk"))
    header = ("Part", "Bytes", "Share", "Bits a weight", "What it is")
    caption = f"Parts of {facts.title}; bits are over all {facts.weights:,} weights"
    last = len(header) if explained else -1
    return table(caption, header[:last], [row[:last] for row in rows])


def layer_table(facts: Facts) -> Html:
    """The treemap's areas: bytes of every layer by part."""
    groups = by_layer(facts.rows)
    present = [key for key in PARTS if any(group.parts[key] for group in groups) or facts.rest.get(key)]
    rows: list[Sequence[object]] = [
        (group.label, count(group.bytes), *(count(group.parts[key]) for key in present)) for group in groups
    ]
    rows += [
        (f"{PARTS[key].title}, of the file", count(size), *(count(size if key == part else 0) for part in present))
        for key, size in facts.rest.items()
    ]
    header = ("Layer", "Bytes", *(PARTS[key].title for key in present))
    return table(f"Bytes by layer and part of {facts.title}", header, rows, sorts=True)


def kind_table(facts: Facts) -> Html:
    """What the tensors of a kind take and lose, and what their signs cost."""
    rows = []
    for kind, groups in by_kind(facts.rows).items():
        whole = Group(kind, "", None, 1, tuple(row for group in groups for row in group.rows))
        codings = sorted({row.coding for row in whole.rows})
        flips = whole.of_signs(lambda signs: signs.flips)
        rows.append(
            (
                kind, count(len(whole.rows)), count(whole.weights), count(whole.bytes), figure(whole.bits),
                error(whole.error), figure(whole.sign_bits), figure(None if flips is None else 100 * flips, 2),
                ", ".join(codings),
            )
        )  # fmt: skip
    header = ("Kind", "Tensors", "Weights", "Bytes", "Bits", "Error", "Sign bits", "Flips, %", "Coded as")
    return table(f"Kinds of tensors in {facts.title}; means are over weights", header, rows, sorts=True)


def tensor_table(facts: Facts) -> Html:
    """Every tensor, or every kind in every layer where there are too many."""
    header = ("Tensor", "Shape", "Coded as", "Weights", "Bytes", "Bits", "Error", "Sign bits", "Flips, %",
              "Zeros, %", "Negative, %", "Ĥ, bits a sign")  # fmt: skip
    if len(facts.rows) > MOST_ROWS:
        groups = [group for groups in by_kind(facts.rows).values() for group in groups]
        rows = [
            (f"{group.label} ({len(group.rows):,})", "", group.rows[0].coding, count(group.weights),
             count(group.bytes), figure(group.bits), error(group.error), *_signs(group))
            for group in groups
        ]  # fmt: skip
        caption = f"Kinds in layers of {facts.title}: it has {len(facts.rows):,} tensors, too many for a page"
        return table(caption, header, rows, sorts=True)
    rows = [
        (row.name, "×".join(map(str, row.shape)) or "scalar", row.coding, count(row.weights), count(row.bytes),
         figure(row.bits), error(row.error), *_signs(Group("", "", None, 1, (row,))))
        for row in facts.rows
    ]  # fmt: skip
    return table(f"Every tensor of {facts.title}", header, rows, sorts=True)


def _signs(group: Group) -> tuple[Value, ...]:
    def share(value: float | None) -> float | None:
        return None if value is None else 100 * value

    flips, zeros, negative = (
        figure(share(group.of_signs(lambda signs, name=name: getattr(signs, name))), 2)  # type: ignore[misc]
        for name in ("flips", "zeros", "negative")
    )
    return figure(group.sign_bits), flips, zeros, negative, figure(group.of_signs(lambda signs: signs.entropy))


def _share(part: int, whole: int) -> Value:
    return Value(f"{100 * part / whole:.2f} %", part / whole)


def _known(cell: object) -> bool:
    return not isinstance(cell, Value) or cell.value is not None


def _cell(cell: object, names: bool) -> Html:
    if names:
        return tag("th", cell if isinstance(cell, Html) else breakable(cell), scope="row")
    if isinstance(cell, Value):
        return tag("td", cell.shown, class_="n", data_v=None if cell.value is None else f"{cell.value:.9g}")
    return tag("td", cell)
