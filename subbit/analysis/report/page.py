"""The page: one HTML file that needs nothing else, with a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files as resources

from subbit.analysis.report.drawing import definitions, part_rules
from subbit.analysis.report.facts import Facts
from subbit.analysis.report.groups import Group
from subbit.analysis.report.html import Html, number, rounded, short, size, tag
from subbit.analysis.report.origin import origin_section
from subbit.analysis.report.sections import bits_section, rate_section, side_by_side, signs_section, tensors_section
from subbit.version import __version__

__all__ = ["make_page"]

_SECTIONS = {
    "bits": "Where the bits go",
    "tensors": "Bits and error",
    "signs": "Signs and the wall",
    "rate": "Rate and distortion",
    "origin": "Provenance",
}


def make_page(files: Sequence[Facts]) -> str:
    """One file, or two side by side, as a page; the same facts give the same bytes."""
    title = " and ".join(facts.title for facts in files)
    style, script = _read("page.css") + part_rules(), _read("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="generator", content=f"subbit {__version__}"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{title} – subbit report"),
        tag("style", Html(style)),
    )
    links = (tag("li", tag("a", name, href=f"#{key}")) for key, name in _SECTIONS.items())
    body = tag(
        "body",
        tag("a", "Skip to the figures", href="#bits", class_="skip"),
        definitions(),
        tag("header", tag("h1", title), tag("p", _lead(files), class_="lead"), _tiles(files)),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        tag("main", bits_section(files), tensors_section(files), signs_section(files), rate_section(files),
            origin_section(files)),
        tag("footer", tag("p", f"Made by subbit report {__version__} from the file alone, without a network.")),
        tag("script", Html(script)),
    )  # fmt: skip
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _lead(files: Sequence[Facts]) -> str:
    one = "What this .sbit file holds, what it costs, and what was lost."
    return one if len(files) == 1 else "Two .sbit files side by side: A and B."


def _tiles(files: Sequence[Facts]) -> Html:
    return side_by_side(files, [_tiles_of(facts) for facts in files])


def _tiles_of(facts: Facts) -> Html:
    lost = Group("", "", None, 1, facts.coded).error
    found = [
        ("Bits a weight, whole file", number(facts.bits, 4), "every byte over every weight"),
        ("Bits a weight, coded", number(facts.coded_bits, 4), "the tensors under the bit budget"),
        ("Size", size(facts.bytes), f"{facts.bytes:,} bytes"),
        ("Weights", short(facts.weights), f"{facts.weights:,} in {len(facts.rows):,} tensors"),
        ("Mean error, coded", rounded(lost), "‖W − W′‖² / ‖W‖²"),
    ]
    tiles = (tag("div", tag("dt", name), tag("dd", value, tag("small", more))) for name, value, more in found)
    return tag("dl", *tiles, class_="tiles")


def _read(name: str) -> str:
    return resources("subbit.analysis.report").joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
