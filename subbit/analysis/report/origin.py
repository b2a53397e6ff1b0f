"""The section of provenance: where a file comes from, as far as it says."""

from __future__ import annotations

from collections.abc import Sequence

from subbit.analysis.report.facts import Facts
from subbit.analysis.report.html import Html, join, tag
from subbit.analysis.report.provenance import UNREADABLE, Provenance
from subbit.analysis.report.sections import side_by_side
from subbit.analysis.report.tables import count, table

__all__ = ["origin_section"]

_MOST_TEXT = 400
_MOST_LISTED = 50


def origin_section(files: Sequence[Facts]) -> Html:
    """Hashes, parent, signature, metadata, carried files and tied tensors."""
    panels = [_panel(facts) for facts in files]
    return tag("section", tag("h2", "Provenance", id="origin"), side_by_side(files, panels), aria_labelledby="origin")


def _panel(facts: Facts) -> Html:
    origin = facts.provenance
    rows: list[Sequence[object]] = [
        ("Format", f".sbit {origin.format}"),
        ("Codecs", ", ".join(f"{codec} ({number:,})" for codec, number in sorted(origin.codings.items())) or "none"),
        ("Parent checkpoint", _parent(origin)),
        ("Signature", _signature(origin)),
    ]
    rows += [(f"Metadata {key}", _cut(value)) for key, value in origin.metadata.items()]
    if not origin.metadata:
        rows.append(("Metadata", "none: the file does not say who made it, or from what"))
    parts = [table("What the file says of itself", ("What", "Value"), rows)]
    pieces = [
        (piece.name, count(piece.bytes), tag("code", piece.sha256), tag("code", piece.body_hash or "–"))
        for piece in origin.pieces
    ]
    parts.append(table("Files and hashes", ("File", "Bytes", "SHA-256", "Body hash, XXH3-128"), pieces))
    if origin.carried:
        carried = [(name, count(stored), count(whole)) for name, (stored, whole) in origin.carried.items()]
        parts.append(table("Files that it carries", ("Name", "Bytes stored", "Bytes unpacked"), carried))
    if origin.aliases:
        tied = list(origin.aliases.items())
        rest = len(tied) - _MOST_LISTED
        caption = f"Tied tensors, stored once{f'; {rest:,} more are left out' if rest > 0 else ''}"
        parts.append(table(caption, ("Name", "Is"), tied[:_MOST_LISTED]))
    return join(*parts)


def _parent(origin: Provenance) -> str:
    if not origin.relative:
        return "none needed"
    named = f"{_cut(origin.parent)}, " if origin.parent else ""
    return f"{named}needed by {origin.relative:,} tensors, which name its content hashes"


def _signature(origin: Provenance) -> Html | str:
    if origin.signer is None:
        return "none beside the file"
    if origin.signer == UNREADABLE:
        return "there is one that this version cannot read"
    said = "checked: every byte is what this key signed" if origin.checked else "there is one, not checked here, by key"
    return join(said, " ", tag("code", origin.signer))


def _cut(value: str) -> str:
    return value if len(value) <= _MOST_TEXT else f"{value[:_MOST_TEXT]}… ({len(value):,} characters)"
