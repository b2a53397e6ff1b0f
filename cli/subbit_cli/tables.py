"""Plain aligned text for people: tables, totals and names that cannot steer a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from subbit.printable import shown

__all__ = ["aligned", "dimensions", "number", "rate", "shown", "totals"]


def aligned(header: Sequence[str], rows: Iterable[Sequence[str]], right: int) -> str:
    """Columns under their headings; the first `right` columns are numbers and end flush."""
    table = [header, *([shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    lines = (
        "  ".join(cell.rjust(width) if column < right else cell.ljust(width) for column, (cell, width) in cells)
        for cells in (enumerate(zip(row, widths, strict=True)) for row in table)
    )
    return "\n".join(line.rstrip() for line in lines)


def totals(result: Mapping[str, Any]) -> str:
    """The two sums of a report: what the bit budget covers, and every byte over every weight."""
    rows = [(*rate(result[name]), name) for name in ("coded", "file")]
    return aligned(("bits/weight", "weights", "bytes", "total"), rows, right=3)


def rate(part: Mapping[str, Any]) -> tuple[str, str, str]:
    """Bits per weight, weights and bytes of a tensor or a total."""
    return number(part["bits_per_weight"]), f"{part['weights']:,}", f"{part['bytes']:,}"


def number(value: float | None, digits: int = 4) -> str:
    """A figure, or a dash where there is none (bits per weight of no weights)."""
    return "-" if value is None else f"{value:.{digits}f}"


def dimensions(shape: Sequence[int]) -> str:
    """A shape as 576×1536; one number has none."""
    return "×".join(map(str, shape)) or "scalar"
