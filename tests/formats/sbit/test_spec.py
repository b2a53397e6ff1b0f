"""SPEC.md says what the code does: its tables, its worked example, its way to write numbers."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import subbit_formats
from subbit_formats.dtypes import ITEM_SIZES
from subbit_formats.sbit import VERSION, Writer, limits
from subbit_formats.sbit.header import digest
from subbit_formats.sbit.index import encode
from subbit_formats.sbit.rules import RULES, SHARD_RULES

SPEC = (Path(subbit_formats.__file__).parents[1] / "SPEC.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return re.split(r"\n#+ ", SPEC.split(f" {title}\n", 1)[1], maxsplit=1)[0]


@pytest.mark.parametrize(("title", "rules"), [("Rules", RULES), ("Shards", SHARD_RULES)])
def test_rules(title: str, rules: dict[str, tuple[str, str]]) -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", section(title), re.MULTILINE)
    assert rows == [(kind, rule) for kind, (rule, _) in rules.items()]


def test_element_types() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", section("Element types"), re.MULTILINE)
    assert {name: int(size) for size, names in rows for name in re.findall(r"`(\w+)`", names)} == ITEM_SIZES


def test_limits() -> None:
    text = section("Limits")
    for value in ("2^24", "10^6", "10^4", "| 8 |", "2^48 − 1", "| 16 |", "2^63 − 1", "1 to 1024", "2^30"):
        assert value in text
    stated = [2**24, 10**6, 10**4, 8, 2**48 - 1, 16, 2**63 - 1, 1024, 8, 2**30, 2**27]
    names = "INDEX_BYTES TENSORS EXTRAS DIMENSIONS WEIGHTS SECTIONS SECTION_BYTES NAME_BYTES KNOB_DEPTH"
    names += " EXTRA_BYTES SHARD_INDEX_BYTES"
    assert [getattr(limits, f"MAX_{name}") for name in names.split()] == stated


def test_version_and_empty_hash() -> None:
    assert f"version {VERSION[0]}.{VERSION[1]}\n" in SPEC
    assert f"\n| {VERSION[0]}.{VERSION[1]} | " in section("History")
    assert digest(b"").hex() in SPEC


def test_example(tmp_path: Path) -> None:
    lines = re.findall(r"^[0-9a-f]{3}  ((?:[0-9a-f]{2} ?)+)  ", section("Example"), re.MULTILINE)
    with Writer(tmp_path / "m.sbit") as writer:
        parts = {"codes": b"\x2a\x07"}
        writer.add("w", shape=(2, 3), dtype="float32", codec="example", knobs={"bits": 0.5}, sections=parts)
        writer.alias("v", "w")
    assert (tmp_path / "m.sbit").read_bytes() == bytes.fromhex("".join(lines))


def float_text(value: float) -> str:
    """A number as SPEC.md words it, from Python's shortest digits."""
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    power = int(exponent) + len(digits) - 1
    minus = "-" if sign else ""
    if value == 0:
        return f"{minus}0.0"
    if not 1e-5 <= abs(value) < 1e16:
        return f"{minus}{text[0]}{'.' if text[1:] else ''}{text[1:]}e{power}"
    if power < 0:
        return f"{minus}0.{'0' * (-power - 1)}{text}"
    text = text.ljust(power + 2, "0")
    return f"{minus}{text[: power + 1]}.{text[power + 1 :]}"


@settings(deadline=None, max_examples=300)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.floats(1e-6, 1e-4) | st.floats(1e14, 1e18))
def test_numbers(value: float) -> None:
    assert encode(value).decode() == float_text(value)


def test_strings() -> None:
    controls = "".join(map(chr, range(32)))
    named = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
    escaped = "".join(named.get(code, f"\\u{code:04x}") for code in range(32))
    assert encode(controls + '"\\/\x7fé\u2028😀').decode() == f'"{escaped}\\"\\\\/\x7fé\u2028😀"'
    assert encode({"😀": 1, "\uffee": 2, "b": 3, "a": 4}).decode() == '{"a":4,"b":3,"\uffee":2,"😀":1}'
