"""The rules of the container by name: what must hold, and the way out for whoever meets the error.

The names are the `kind` of the error that reports a breach; they are stable. SPEC.md lists the same
table, and a test keeps the two equal.
"""

from __future__ import annotations

from typing import Any

from subbit_formats.errors import SubbitError

__all__ = ["RULES", "SHARD_RULES", "broken"]

_FETCH = "the file is damaged: fetch it again, or write it again from its checkpoint"
_WRITER = "the program that wrote it is at fault: write the file again with a current subbit"
_CHANGE = "change it, or report the program that wrote the file"

RULES: dict[str, tuple[str, str]] = {
    "not-sbit": ("bytes 0–7 are the magic", "name a .sbit file; `subbit compress` makes one"),
    "text-mode": ("no line-end or character conversion changed them", "copy the file again in binary mode"),
    "truncated": ("the file has a whole header and is not shorter than the header's file size", _FETCH),
    "header": ("bytes 112–127 are the hash of bytes 0–111", _FETCH),
    "newer-version": ("the major version is at most the reader's", "update subbit"),
    "version": ("the major version is at least 1", _WRITER),
    "reserved": ("reserved header bytes are zero", _WRITER),
    "trailing": ("nothing follows the end that the header states", _FETCH),
    "index-size": ("the index has at most 16 MiB", "split the checkpoint into several files"),
    "index-place": ("the index starts at a multiple of 8; index and digest table end with the file", _WRITER),
    "index-checksum": ("bytes 48–63 are the hash of index and digest table", _FETCH),
    "index-json": ("the index is JSON with the keys and types of this specification", _WRITER),
    "index-canonical": ("encoding the decoded index again gives the same bytes", _WRITER),
    "tensor-count": ("at most 10^6 tensors", "split the checkpoint into several files"),
    "extra-count": ("at most 10^4 extras", "pack several extras into one"),
    "name": ("names have 1 to 1024 bytes of UTF-8 without NUL", _CHANGE),
    "tensor-order": ("tensors are sorted by name (UTF-8 bytes), no name twice", "sort the tensors by name"),
    "dtype": ("the element type is one of the table", "convert the tensor to a type of the table"),
    "shape": ("at most 8 dimensions, none negative", _CHANGE),
    "weights": (
        "the product of the dimensions (a 0 counts as 1), summed over all tensors, is less than 2^48",
        _CHANGE,
    ),
    "section-count": ("a tensor has at most 16 sections", _CHANGE),
    "section-name": ("no section name twice in a tensor", _CHANGE),
    "section-size": ("stored sizes are at least 0 and less than 2^63", _CHANGE),
    "knobs": ("knobs nest at most 8 deep, numbers are finite, integers in [−2^63, 2^64)", _CHANGE),
    "codec-number": ("a tensor's codec is a number of the codec table", _WRITER),
    "codec-table": ("each (id, knobs) stands once in the table, in order of first use", _WRITER),
    "alias-name": ("no alias has the name of a tensor", "rename the alias or the tensor"),
    "alias-target": ("aliases point at tensors of the same file", "add the tensor that the alias stands for"),
    "extra-order": ("extras are sorted by name (UTF-8 bytes), no name twice", "give each extra its own name"),
    "extra-size": ("an extra has at most 1 GiB after decompression", "store it beside the file"),
    "extra-required": ("required extras are understood by the reader", "update subbit"),
    "digest-count": ("there is one digest for each section", _WRITER),
    "layout": ("the index starts at the first multiple of 8 after the sections", _WRITER),
    "padding": ("all bytes between sections are zero", _FETCH),
    "checksum": ("a section's bytes have the hash of the digest table", _FETCH),
    "extra-frame": ("a compressed extra is one zstd frame that states raw_size as its content size", _WRITER),
    "body-checksum": ("bytes 64–79 are the hash of all bytes after the header", _FETCH),
}

SHARD_RULES: dict[str, tuple[str, str]] = {
    "shard-index": (
        "the shard index is canonical JSON with the keys and types of this specification",
        _FETCH,
    ),
    "newer-version": ("the version of the shard index is 1", "update subbit"),
    "shard-name": ("shard names end in .sbit and hold no path", "do not trust this file"),
    "shard-missing": ("all shards lie beside the index", "fetch the missing file into the same folder"),
    "shard-mismatch": ("a shard has the size and body hash of the index", "fetch all shards of one version"),
    "shard-map": ("weight_map names each tensor and alias of the shards, once, with its shard", _FETCH),
}


def broken(kind: str, message: str, **where: Any) -> SubbitError:
    """The error that reports a breach of the rule `kind`, with the rule's way out."""
    _, hint = RULES.get(kind) or SHARD_RULES[kind]
    return SubbitError(message, kind=kind, hint=hint, **where)
