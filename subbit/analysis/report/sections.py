"""The sections of a page: a sentence that says what is found, a figure, and tables of its figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from subbit.analysis.report.comparison import kind_differences, part_differences, tensor_differences
from subbit.analysis.report.facts import Facts
from subbit.analysis.report.groups import Group
from subbit.analysis.report.html import Html, join, number, rounded, size, tag
from subbit.analysis.report.parts import PARTS
from subbit.analysis.report.planes import rate_figures, sign_figures
from subbit.analysis.report.scatter import Scatter, draw_legend, draw_scatter
from subbit.analysis.report.signs import Unmeasured
from subbit.analysis.report.strips import common_scale, draw_strips, strips
from subbit.analysis.report.tables import kind_table, layer_table, part_table, tensor_table
from subbit.analysis.report.treemap import draw_treemap

__all__ = ["bits_section", "rate_section", "side_by_side", "signs_section", "tensors_section"]

_WHERE = {
    None: "the file states none: pass --against the original to count them",
    "stated": "as the file states them",
    "counted": "counted against the original",
}


def bits_section(files: Sequence[Facts]) -> Html:
    """Where the bits go."""
    panels = []
    more = part_differences(*files) if len(files) > 1 else None
    for facts in files:
        found = facts.parts
        largest = max(found, key=lambda part: (found[part], part), default="index")
        said = tag(
            "p", f"{PARTS[largest].title}: {100 * found[largest] / facts.bytes:.0f} % of {size(facts.bytes)}. All areas"
            " and all rows sum to the whole file.",
        )  # fmt: skip
        caption = tag(
            "figcaption", "Every byte as an area: tiles are layers, and tensors outside of layers; within a tile stand "
            "its parts, coloured and hatched as in the table.",
        )  # fmt: skip
        details = tag("details", tag("summary", "Bytes by layer and part"), layer_table(facts))
        panels.append(
            join(said, tag("figure", draw_treemap(facts), caption), part_table(facts, explained=more is None), details)
        )
    return _section("bits", "Where the bits go", more, side_by_side(files, panels))


def tensors_section(files: Sequence[Facts]) -> Html:
    """Bits and error per tensor."""
    scale = common_scale(files)
    panels = []
    for facts in files:
        parts = [tag("p", _coded(facts))]
        if strips(facts):
            down = f", {rounded(scale.error)} of error down" if scale.error is not None else ""
            caption = tag(
                "figcaption", f"A bar a layer, first to last. Full height is {number(scale.bits, 2)} bits a weight up"
                f"{down}, in all strips; dashed: 1 bit.",
            )  # fmt: skip
            parts.append(tag("figure", draw_strips(facts, scale), caption))
        parts.append(kind_table(facts))
        parts.append(tag("details", tag("summary", f"All {len(facts.rows):,} tensors"), tensor_table(facts)))
        panels.append(join(*parts))
    more = None
    if len(files) > 1:
        every = tensor_differences(*files)
        folded = tag("details", tag("summary", "Differences of every tensor"), every) if every else None
        more = join(kind_differences(*files), folded)
    return _section("tensors", "Bits and error by tensor", more, side_by_side(files, panels))


def signs_section(files: Sequence[Facts]) -> Html:
    """What signs cost, against the wall of one bit each."""
    lead = tag(
        "p", "Trained signs look random, so that each costs a bit that no coder can save: the wall under 1 bit a "
        "weight. What lies below it has zeros, which need no sign, signs that a seed repeats, or lost some of them.",
    )  # fmt: skip
    panels = []
    for facts, plane in zip(files, sign_figures(files), strict=True):
        whole = Group("", "", None, 1, facts.coded)
        if not plane.marks:
            panels.append(tag("p", f"Nothing is known of the signs: {_why(facts)}.", class_="note"))
            continue
        entropy, zeros = (whole.of_signs(lambda signs, n=name: getattr(signs, n)) for name in ("entropy", "zeros"))  # type: ignore[misc]
        flips, floor = (whole.of_signs(lambda signs, n=name: getattr(signs, n)) for name in ("flips", "flip_bits"))  # type: ignore[misc]
        said = (
            f"Signs cost {number(whole.sign_bits)} of {number(whole.bits)} bits a weight; those of the decoded weights "
            f"that are not zero look like {number(entropy)} bits each, and {100 * (zeros or 0):.1f} % are zero."
        )
        if flips is not None and floor is not None:
            differ = f"{100 * flips:.2f} % differ from their plane, worth H(p) = {number(floor)} bits a weight"
            said += f" Where they are kept apart, {differ if flips else 'none differs from its plane'}."
        caption = "A mark a tensor; tables above give names. On the sloping line signs take all bits."
        if any(row.plane is None for row in facts.coded):
            caption += (
                " Where signs and magnitudes are coded together, what signs cost is an upper bound: the sign entropy Ĥ "
                "of a sample of the decoded weights, and never more than all bits."
            )
        panels.append(_beside(_scatter(plane, "Bits for signs against all bits", caption), said))
    return _section("signs", "Signs and the wall", lead, side_by_side(files, panels))


def rate_section(files: Sequence[Facts]) -> Html:
    """Error against bits, beside what is least for Gaussian weights."""
    planes = rate_figures(files)
    if not planes:
        note = tag("p", f"No errors are known: {_WHERE[None]}.", class_="note")
        return _section("rate", "Rate and distortion", None, note)
    panels = []
    for facts, plane in zip(files, planes, strict=True):
        if not plane.marks:
            panels.append(tag("p", f"No errors are known: {_WHERE[None]}.", class_="note"))
            continue
        known = tuple(row for row in facts.coded if row.error)
        whole = Group("", "", None, 1, known)
        bits = whole.bits or 0.0
        needed = math.fsum(-row.weights * math.log2(row.error or 1.0) / 2 for row in known) / whole.weights
        said = (
            f"On average over weights the coded tensors take {number(bits)} bits, {number(abs(bits - needed))} "
            f"{'more' if bits >= needed else 'less'} than Gaussian weights need for the same errors."
        )
        caption = (
            "A mark a tensor. Dashed: 2^(−2R), the least error of independent Gaussian weights. Rows and columns of "
            "uneven scale and signs that a seed repeats allow less; codes that weigh errors by what they cost a model "
            "show more."
        )
        panels.append(_beside(_scatter(plane, "Error against bits a weight", caption), said))
    return _section("rate", "Rate and distortion", None, side_by_side(files, panels))


def side_by_side(files: Sequence[Facts], panels: Sequence[Html]) -> Html:
    """A panel for each file, under its letter and name where there are two."""
    if len(files) == 1:
        return tag("div", tag("div", panels[0]), class_="files")
    titled = [
        tag("div", tag("h3", f"{letter}: {facts.title}"), panel)
        for letter, facts, panel in zip("AB", files, panels, strict=True)
    ]
    return tag("div", *titled, class_="files two")


def _section(name: str, title: str, *content: Html | None) -> Html:
    return tag("section", tag("h2", title, id=name), *content, aria_labelledby=name)


def _scatter(plane: Scatter, said: str, caption: str) -> Html:
    legend = draw_legend(sorted({mark.family for mark in plane.marks}))
    drawn = draw_scatter(plane, f"{said}, {len(plane.marks)} marks; the tables say the same")
    return tag("figure", drawn, legend, tag("figcaption", caption))


def _beside(figure: Html, said: str) -> Html:
    return tag("div", tag("p", said), figure, class_="beside")


def _coded(facts: Facts) -> str:
    if not facts.coded:
        return "Nothing is lost: every tensor is kept bit for bit."
    whole = Group("", "", None, 1, facts.coded)
    said = f"{len(facts.coded):,} coded tensors take {number(whole.bits)} bits a weight"
    if whole.error is None:
        return f"{said}. What they lost is not known: {_WHERE[None]}."
    return f"{said} and have a mean error ‖W − W′‖² / ‖W‖² of {rounded(whole.error)}, {_WHERE[facts.errors]}."


def _why(facts: Facts) -> str:
    reasons = sorted({row.signs.reason for row in facts.coded if isinstance(row.signs, Unmeasured)})
    return ", ".join(reasons) if reasons else "no weights were decoded" if facts.coded else "all tensors are lossless"
