"""What the pages of reports are made of: names, markup, colours, ticks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import subbit
from subbit.analysis.report.facts import read_facts
from subbit.analysis.report.html import Html, rounded, short, size, tag, text
from subbit.analysis.report.naming import place_of
from subbit.analysis.report.parts import PARTS
from subbit.analysis.report.scatter import Axis
from tests.checks import weights


def test_names_tell_layers() -> None:
    assert place_of("model.layers.12.mlp.up.weight") == ("model.layers", 12, "mlp.up")
    assert place_of("h.3.experts.7.w1.weight") == ("h", 3, "experts.*.w1")
    assert place_of("conv1.weight") == ("", None, "conv1")
    assert place_of("blocks/2") == ("blocks", 2, "(whole)")
    assert place_of("t.1234567890123").layer is None


def test_colours_can_be_read() -> None:
    def light(color: str) -> float:
        digits = color[1:] if len(color) == 7 else "".join(2 * c for c in color[1:])
        linear = [(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4)
                  for v in (int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4))]  # fmt: skip
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(a: str, b: str) -> float:
        low, high = sorted((light(a), light(b)))
        return (high + 0.05) / (low + 0.05)

    assert all(contrast(part.color, part.ink) >= 4.5 for part in PARTS.values())
    css = (Path(subbit.__file__).parent / "analysis" / "report" / "page.css").read_text(encoding="utf-8")
    schemes = [dict(re.findall(r"--([a-z]+): (#[0-9a-f]+);", block)) for block in css.split("@media")[:2]]
    for scheme in schemes:
        for name in ("ink", "soft", "link", "wall"):
            assert contrast(scheme[name], scheme["paper"]) >= 4.5, name
        for name in ("bits", "error", "joint", "template", "stored", "parent", "other"):
            assert contrast(scheme[name], scheme["card"]) >= 3, name
        assert contrast(scheme["soft"], scheme["card"]) >= 4.5


def test_markup_is_safe_by_construction() -> None:
    assert tag("p", "<b>", Html("<i>"), None, class_="a\"b'", hidden=True, id=None) == (
        '<p class="a&quot;b&#x27;" hidden>&lt;b&gt;<i></p>'
    )
    assert text("a\x00\u2028b") == "a\\x00\\u2028b"
    assert [rounded(x) for x in (None, 0.0, 0.25, 3.7e-5, 283.0)] == ["–", "0", "0.250", "3.70e-05", "283"]
    assert (short(999), short(134_515_008), size(43_000_000), size(12)) == ("999", "135 M", "43.0 MB", "12 bytes")


def test_ticks_are_round() -> None:
    assert Axis("", 0.0, 1.2).ticks() == [0, 0.5, 1.0]
    assert Axis("", 0.18, 0.42, log=True).ticks() == [0.2, 0.25, 0.3, 0.35, 0.4]
    assert Axis("", 1e-5, 1.0, log=True).ticks() == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    assert Axis("", 0.01, 1.0, log=True).place(0.1) == pytest.approx(0.5)


def test_names_are_no_formulas(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from subbit.analysis.report.plots import plot_figure

    tensors = {"_$x_.1.$\\frac{": weights((40, 40)), "a$.2.b": weights((40, 40), 1)}
    subbit.compress(tensors, tmp_path / "$m$.sbit", bits=3.0)
    facts = read_facts(tmp_path / "$m$.sbit")
    for name in ("treemap", "tensors"):
        plot_figure(facts, name, tmp_path / f"{name}.png")
