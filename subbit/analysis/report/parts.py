"""Which part of the code every byte of a file belongs to: from the sizes of its sections, summing to the whole file."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from subbit.figures import ERRORS
from subbit_formats.sbit import Archive, Entry

__all__ = ["OF_THE_FILE", "PARTS", "Part", "count_file", "count_tensor"]


class Part(NamedTuple):
    """How a part is named, explained and drawn: ink is for text on its colour; a hatch as matplotlib writes it."""

    key: str
    title: str
    meaning: str
    color: str
    ink: str
    hatch: str = ""


PARTS = {
    part.key: part
    for part in (
        Part("joint", "Coded weights", "signs and magnitudes together, under the bit budget", "#2f6fb0", "#fff"),
        Part("apart", "Embeddings, heads", "codes of tensors outside of the bit budget", "#5d4a9e", "#fff"),
        Part("signs", "Signs", "sign planes: stored bits, or what a fitted template needs", "#b5431f", "#fff", "//"),
        Part("flips", "Flips", "where weights differ from their sign template", "#eba83f", "#000", "\\\\"),
        Part("magnitudes", "Magnitudes", "codes of |W|, and masks of what is zero", "#147a5d", "#fff", ".."),
        Part("scales", "Scales", "factors of rows, columns and groups", "#85c5ea", "#000", "--"),
        Part("codebooks", "Codebooks", "tables that codes look up", "#b98bd0", "#000", "xx"),
        Part("dense", "Lossless", "tensors kept bit for bit", "#98a0ab", "#000"),
        Part("carried", "Carried files", "configuration, tokenizer and other files", "#ddd3a4", "#000", "||"),
        Part("index", "Index", "headers, names, checksums, padding, metadata and stated errors", "#5b6475", "#fff"),
        Part("other", "Other", "sections that this version does not know", "#c9ccd2", "#000", "++"),
    )
}
"""Every part by its key, in the order in which they are listed."""

OF_THE_FILE = ("carried", "index")
"""What belongs to no tensor."""

_BY_SECTION = {
    "signs": "signs", "flips": "flips", "places": "magnitudes", "scales": "scales", "factors": "scales",
    "codebook": "codebooks", "data": "dense", "rows": "joint", "columns": "joint", "residual": "joint",
}  # fmt: skip


def count_tensor(entry: Entry) -> Counter[str]:
    """Bytes of a tensor by part; what its sections leave of `stored_bytes` is index: its entry, digests, padding."""
    found: Counter[str] = Counter()
    for name, count in entry.sections.items():
        if name == "codes":
            part = "magnitudes" if entry.codec == "signed" else "joint"
        else:
            part = _BY_SECTION.get(name, "other")
        found["apart" if part == "joint" and not entry.covered else part] += count
    found["index"] += entry.stored_bytes - sum(entry.sections.values())
    return +found


def count_file(archive: Archive) -> Counter[str]:
    """Bytes of what belongs to no tensor: carried files, and the rest of the file."""
    carried = sum(count for name, count in archive.stored_extras.items() if name != ERRORS)
    stored = sum(entry.stored_bytes for entry in archive.tensors.values())
    return +Counter(carried=carried, index=archive.size - stored - carried)
