"""Results as Markdown tables, and a way to renew them inside the pages that show them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["PAGES", "publish", "rewrite", "tables"]

ROOT = Path(__file__).parent.parent
PAGES = {
    "summary": "README.md",
    "quality": "docs/benchmarks/quality.md",
    **dict.fromkeys(("lockin", "coded", "vision"), "docs/benchmarks/training.md"),
    "rate": "docs/benchmarks/rate.md",
    **dict.fromkeys(("decode", "decode_limits", "encode", "matmul", "load", "generate"), "docs/benchmarks/speed.md"),
    "cluster": "docs/benchmarks/cluster.md",
    "trust": "docs/benchmarks/trust.md",
}
"""Where the tables of each benchmark stand."""


def publish(name: str, content: str) -> None:
    """Put the tables of a benchmark into the page that shows them; the rest of the page stays as it is."""
    page = ROOT / PAGES[name]
    page.write_text(rewrite(page.read_text("utf-8"), name, content), "utf-8")


def rewrite(text: str, name: str, content: str) -> str:
    """Put `content` between `<!-- name:begin -->` and `<!-- name:end -->`; the rest stays as it is."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise SystemExit(f"{PAGES[name]} needs one {begin} and, below it, one {end}")
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
    """A row a method, a column a data set (bits / error), and the times on the first, in copies of the weights."""
    rows = {name: {row["method"]: row for row in found["rows"]} for name, found in data.items()}
    methods = list(dict.fromkeys(method for found in rows.values() for method in found))
    first, labels = next(iter(data)), [name.removeprefix("template-") for name in data]
    speeds = [f"{step} {labels[0]}, copies" for step in ("encode", "decode")]
    lines = ["| " + " | ".join(["bits a weight / error", *labels, *speeds]) + " |"]
    lines.append("|---|" + "---:|" * (len(data) + 2))
    for method in methods:
        cells = [_cell(found.get(method)) for found in rows.values()]
        row = rows[first].get(method)
        cells += [_time(row, step) for step in ("encode", "decode")]
        lines.append("| " + " | ".join([method, *cells]) + " |")
    return "\n".join(lines)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    if "unavailable" in row:
        return "refuses" if row["unavailable"].startswith("refuses") else "–"
    return f"{row['bits']:.3f} / {row['error']:.3f}"


def _time(row: Mapping[str, Any] | None, step: str) -> str:
    """How many copies of the float32 weights could be made meanwhile: ratios travel between machines."""
    if row is None or "unavailable" in row:
        return ""
    return f"{row[f'{step}_seconds'] / row['decode_seconds'] * row['decode_in_copies']:.3g}"
