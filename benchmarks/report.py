"""Results as Markdown tables, and a way to renew them inside a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["rewrite", "tables"]


def rewrite(text: str, name: str, content: str) -> str:
    """Put `content` between `<!-- name:begin -->` and `<!-- name:end -->`; the rest stays as it is."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise SystemExit(f"README.md needs one {begin} and, below it, one {end}")
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{content}\n{end}{tail}"


def tables(results: Mapping[str, Any]) -> str:
    """One table for ordinary weights, beside the peers, and one for template-signed ones."""
    data = results["data"]
    signed = {name: data[name] for name in data if name.startswith("template-")}
    ordinary = {name: data[name] for name in data if name not in signed}
    return "\n\n".join(_table(part) for part in (ordinary, signed) if part)


def _table(data: Mapping[str, Any]) -> str:
    """A row a method, a column a data set (bits / error), and the speeds on the first of them."""
    rows = {name: {row["method"]: row for row in found["rows"]} for name, found in data.items()}
    methods = list(dict.fromkeys(method for found in rows.values() for method in found))
    first, labels = next(iter(data)), [name.removeprefix("template-") for name in data]
    speeds = [f"{step} {labels[0]}, M weights/s" for step in ("encode", "decode")]
    lines = ["| " + " | ".join(["bits a weight / error", *labels, *speeds]) + " |"]
    lines.append("|---|" + "---:|" * (len(data) + 2))
    for method in methods:
        cells = [_cell(found.get(method)) for found in rows.values()]
        row, weights = rows[first].get(method), data[first]["weights"]
        cells += [_speed(row, weights, step) for step in ("encode", "decode")]
        lines.append("| " + " | ".join([method, *cells]) + " |")
    return "\n".join(lines)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    if "unavailable" in row:
        return "refuses" if row["unavailable"].startswith("refuses") else "–"
    return f"{row['bits']:.3f} / {row['error']:.3f}"


def _speed(row: Mapping[str, Any] | None, weights: int, step: str) -> str:
    if row is None or "unavailable" in row:
        return ""
    return f"{weights / row[f'{step}_seconds'] / 1e6:.3g}"
