"""Where a file comes from, as far as it says: its pieces and hashes, parent, metadata, signature, what it carries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from subbit.analysis.contents import describe_file
from subbit.errors import SubbitError
from subbit.figures import ERRORS
from subbit.model.tensor import PARENT_KEY
from subbit.signing import check_signature, read_signer
from subbit_formats.sbit import Archive

__all__ = ["UNREADABLE", "Piece", "Provenance", "read_provenance"]

UNREADABLE = "?"


@dataclass(frozen=True)
class Piece:
    """One file on disk; the body hash is the header's XXH3-128, and the index of a set of shards has none."""

    name: str
    bytes: int
    body_hash: str | None
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """What a file says about itself; `carried` is name → (stored bytes, unpacked bytes).

    `signer` is a public key, None without a signature, or :data:`UNREADABLE`.
    """

    format: str
    pieces: tuple[Piece, ...]
    codings: Mapping[str, int]
    metadata: Mapping[str, str]
    carried: Mapping[str, tuple[int, int]]
    aliases: Mapping[str, str]
    parent: str | None
    relative: int
    signer: str | None
    checked: bool


def read_provenance(archive: Archive, public_key: str | PathLike[str] | None = None) -> Provenance:
    """Read every byte for the hashes; with `public_key` the signature beside the file must be that key's.

    Raises :class:`SubbitError`, kind "signature", where it is not.
    """
    if public_key is not None:
        check_signature(archive, public_key)
    described = describe_file(archive)
    bodies = {Path(file["path"]).name: file["body_hash"] for file in described["files"]}
    pieces = tuple(
        Piece(path.name, count, bodies.get(path.name), digest)
        for path, (digest, count) in zip(archive.files, archive.sha256(), strict=True)
    )
    return Provenance(
        described["format"],
        pieces,
        Counter(entry.codec for entry in archive.tensors.values()),
        archive.metadata,
        {name: (archive.stored_extras[name], count) for name, count in archive.extras.items() if name != ERRORS},
        archive.aliases,
        archive.metadata.get(PARENT_KEY),
        sum(_names_parent(entry.knobs) for entry in archive.tensors.values()),
        _signer(archive),
        public_key is not None,
    )


def _signer(archive: Archive) -> str | None:
    try:
        return read_signer(archive)
    except SubbitError:  # another program's, perhaps: who wants it checked passes a key
        return UNREADABLE


def _names_parent(knobs: Mapping[str, object]) -> bool:
    plane = knobs.get("signs")
    return "parent" in knobs or (isinstance(plane, dict) and "parent" in plane)
