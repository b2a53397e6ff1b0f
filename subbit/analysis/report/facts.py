"""All that a page or a plot says about one file, read once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from subbit.analysis.report.naming import Place, place_of
from subbit.analysis.report.parts import count_file, count_tensor
from subbit.analysis.report.provenance import Provenance, read_provenance
from subbit.analysis.report.signs import Signs, Unmeasured, measure_signs
from subbit.figures import LOSSLESS, stated_errors
from subbit.model import open_file, verify
from subbit.model.parent import Checkpoint

__all__ = ["Facts", "Progress", "Row", "read_facts"]

Progress = Callable[[str, int, int, str], None]
"""Called with (what is done, how many are done, of how many, which is next)."""


@dataclass(frozen=True)
class Row:
    """One tensor; `bytes` are all that it adds to the file, and `parts` sums to them.

    `coding` is its codec in words, `plane` the kind of its sign plane, None where signs are not kept apart.
    """

    name: str
    place: Place
    shape: tuple[int, ...]
    codec: str
    coding: str
    plane: str | None
    covered: bool
    weights: int
    bytes: int
    parts: Mapping[str, int]
    error: float | None
    signs: Signs | Unmeasured | None

    @property
    def bits(self) -> float | None:
        """Stored bits divided by weights; None for no weights."""
        return 8 * self.bytes / self.weights if self.weights else None

    @property
    def lossy(self) -> bool:
        """Whether its codec loses anything."""
        return self.codec not in LOSSLESS


@dataclass(frozen=True)
class Facts:
    """One file. `rest` is bytes by part of what belongs to no tensor; with all rows' parts it sums to `bytes`.

    `errors` says where errors are from: "stated" by the file, "counted" against an original, or None.
    """

    title: str
    bytes: int
    weights: int
    coded_bits: float | None
    rows: tuple[Row, ...]
    rest: Mapping[str, int]
    errors: str | None
    provenance: Provenance

    @property
    def bits(self) -> float | None:
        """Every bit on disk over every weight."""
        return 8 * self.bytes / self.weights if self.weights else None

    @property
    def parts(self) -> Counter[str]:
        """Bytes of the whole file by part."""
        total = Counter(self.rest)
        for row in self.rows:
            total.update(row.parts)
        return total

    @property
    def coded(self) -> tuple[Row, ...]:
        """The tensors under the bit budget that lost something, or else all that lost something."""
        lossy = tuple(row for row in self.rows if row.lossy and row.weights)
        return tuple(row for row in lossy if row.covered) or lossy


def read_facts(
    path: str | PathLike[str],
    *,
    base: Checkpoint | None = None,
    against: str | PathLike[str] | None = None,
    public_key: str | PathLike[str] | None = None,
    measure: bool = True,
    progress: Progress | None = None,
) -> Facts:
    """Read header and index of a `.sbit` file or set of shards, its hashes, and a sample of every coded matrix.

    With `measure` off no weights are decoded, and nothing is known of signs that are coded with magnitudes. `against`
    decodes all and counts errors anew. Raises what `open_file`, `verify` and `check_signature` raise.
    """
    with open_file(path, base) as file:
        archive = file.archive
        errors: Mapping[str, float] | None = stated_errors(archive)
        source = None if errors is None else "stated"
        if against is not None:
            errors, source = verify(path, against, base=base).errors, "counted"
        rows = []
        for done, entry in enumerate(archive.tensors.values()):
            if progress is not None:
                progress("measure", done, len(archive.tensors), entry.name)
            wanted = measure and entry.covered and entry.codec not in LOSSLESS
            rows.append(
                Row(
                    entry.name, place_of(entry.name), entry.shape, entry.codec, _coding(entry.codec, entry.knobs),
                    _kind(entry.knobs, "signs"), entry.covered, entry.weights, entry.stored_bytes, count_tensor(entry),
                    _finite(None if errors is None else errors[entry.name]),
                    measure_signs(file[entry.name]) if wanted else None,
                )
            )  # fmt: skip
        coded = file.coded_bits_per_weight if archive.covered_weights else None
        provenance = read_provenance(archive, public_key)
        return Facts(
            archive.path.name, archive.size, archive.weights, coded, tuple(rows), count_file(archive), source,
            provenance,
        )  # fmt: skip


def _coding(codec: str, knobs: Mapping[str, Any]) -> str:
    """A codec in a few words: `signed: angle × vector`, `uniform, 8 bits`."""
    if codec == "signed":
        return f"signed: {_kind(knobs, 'signs')} × {_kind(knobs, 'magnitudes')}"
    return f"uniform, {knobs['width']} bits" if codec == "uniform" and "width" in knobs else codec


def _kind(knobs: Mapping[str, Any], part: str) -> str | None:
    """What a part of `signed` is, as the file says it."""
    found = knobs.get(part)
    return str(found.get("kind")) if isinstance(found, dict) else None


def _finite(error: float | None) -> float | None:
    return error if error is not None and math.isfinite(error) else None
