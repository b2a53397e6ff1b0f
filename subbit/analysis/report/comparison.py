"""Two files, part by part and tensor by tensor: the second less the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from subbit.analysis.report.facts import Facts
from subbit.analysis.report.groups import Group, by_kind
from subbit.analysis.report.html import Html, join, rounded, tag
from subbit.analysis.report.parts import PARTS
from subbit.analysis.report.tables import MOST_ROWS, Value, figure, swatch, table

__all__ = ["kind_differences", "part_differences", "tensor_differences"]

_HEADER = ("Bits A", "Bits B", "B − A", "Error A", "Error B", "B ÷ A", "Coded as")


def part_differences(a: Facts, b: Facts) -> Html:
    """Bytes of every part in both, and what B has more."""
    first, second = a.parts, b.parts
    rows: list[Sequence[object]] = [
        (join(swatch(key), " ", part.title), *_bytes(first[key], second[key]), part.meaning)
        for key, part in PARTS.items() if first[key] or second[key]
    ]  # fmt: skip
    rows.append((tag("b", "Whole file"), *_bytes(a.bytes, b.bytes), "every byte on disk"))
    return table("Bytes by part", ("Part", "A", "B", "B − A", "B ÷ A", "What it is"), rows)


def kind_differences(a: Facts, b: Facts) -> Html:
    """Bits and errors of every kind of tensor in both."""
    first, second = _whole(a), _whole(b)
    rows = [(kind, *_pair(first.get(kind), second.get(kind))) for kind in {**first, **second}]
    return table("Kinds of tensors", ("Kind", *_HEADER), rows, sorts=True)


def tensor_differences(a: Facts, b: Facts) -> Html | None:
    """The same for every tensor, by name; None where there are too many for a page."""
    first, second = (
        {row.name: Group(row.name, "", None, 1, (row,)) for row in facts.rows} for facts in (a, b)
    )  # fmt: skip
    names = sorted({**first, **second})
    if len(names) > MOST_ROWS:
        return None
    rows = [(name, *_pair(first.get(name), second.get(name))) for name in names]
    return table("Every tensor", ("Tensor", *_HEADER), rows, sorts=True)


def _whole(facts: Facts) -> Mapping[str, Group]:
    return {
        kind: Group(kind, "", None, 1, tuple(row for group in groups for row in group.rows))
        for kind, groups in by_kind(facts.rows).items()
    }


def _pair(a: Group | None, b: Group | None) -> tuple[object, ...]:
    bits = a.bits if a else None, b.bits if b else None
    errors = a.error if a else None, b.error if b else None
    difference = None if bits[0] is None or bits[1] is None else bits[1] - bits[0]
    times = errors[1] / errors[0] if errors[0] and errors[1] is not None else None
    return (
        figure(bits[0]), figure(bits[1]), _signed(difference), *(Value(rounded(error), error) for error in errors),
        Value("–" if times is None else f"× {times:.3g}", times), _codings(a, b),
    )  # fmt: skip


def _codings(a: Group | None, b: Group | None) -> str:
    said = [", ".join(sorted({row.coding for row in group.rows})) if group else "not there" for group in (a, b)]
    return said[0] if said[0] == said[1] else f"{said[0]} → {said[1]}"


def _bytes(a: int, b: int) -> tuple[Value, ...]:
    times = b / a if a else None
    return (
        Value(f"{a:,}", a), Value(f"{b:,}", b), Value(f"{b - a:+,}".replace("-", "−"), b - a),
        Value("–" if times is None else f"× {times:.3g}", times),
    )  # fmt: skip


def _signed(value: float | None) -> Value:
    return Value("–" if value is None else f"{value:+.3f}".replace("-", "−"), value)
