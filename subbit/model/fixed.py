"""The bits of a file that no budget decides: header, index, extras, and the tensors that are kept as they are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from subbit.errors import SubbitError
from subbit.figures import ERRORS, LOSSLESS, pack_errors
from subbit.model.parent import Parent
from subbit.planning import Rule
from subbit.records import Encoded
from subbit.tensors import encode
from subbit_formats.sbit.header import DIGEST_BYTES, HEADER_BYTES
from subbit_formats.sbit.index import CodecRecord, ExtraRecord, Index, TensorRecord
from subbit_formats.sbit.index import encode as json
from subbit_formats.sbit.limits import LARGE_ALIGNMENT, LARGE_SECTION, SMALL_ALIGNMENT
from subbit_formats.sbit.writer import packed
from subbit_formats.sources import Source

__all__ = ["fixed_bits"]


def fixed_bits(source: Source, metadata: Mapping[str, str], parent: Parent | None, rules: Mapping[str, Rule]) -> float:
    """Bits of the file that holds the tensors of `rules`, all aliases and extras, at most a few too many.

    Every tensor is encoded and every extra compressed to know its size; one at a time is in memory. Errors are counted
    for all covered tensors. What covered
    tensors add to a file, their index entries, digests and alignment, is not in it.
    """
    codecs: dict[bytes, CodecRecord] = {}
    tensors = []
    for name, rule in rules.items():
        encoded = _encoded(source, name, rule, parent)
        record = CodecRecord(id=encoded.codec, knobs=dict(encoded.knobs))
        codecs.setdefault(json(record), record)
        sections = tuple((part, memoryview(data).nbytes) for part, data in encoded.sections.items())
        tensors.append(
            TensorRecord(codec=len(codecs), covered=False, dtype=encoded.dtype, name=name, sections=sections,
                         shape=tuple(encoded.shape))
        )  # fmt: skip
    extras = []
    for name, load in source.extras.items():
        data, raw_size = packed(load())
        extras.append(ExtraRecord(name=name, raw_size=raw_size, size=len(data)))
    lossy = sum(name not in rules or rules[name].codec.id not in LOSSLESS for name in source)
    extras.append(ExtraRecord(name=ERRORS, size=len(pack_errors([0.0] * lossy))))
    index = Index(
        aliases=dict(source.aliases), codecs=tuple(codecs.values()), extras=tuple(extras), metadata=dict(metadata),
        tensors=tuple(tensors),
    )  # fmt: skip
    sizes = sum(size + _alignment(size) - 1 + DIGEST_BYTES for size in index.section_sizes())
    return 8.0 * (HEADER_BYTES + sizes + len(json(index)) + SMALL_ALIGNMENT)


def _encoded(source: Source, name: str, rule: Rule, parent: Parent | None) -> Encoded:
    try:
        return encode(source[name].read(), rule.codec, None, None if parent is None else partial(parent.read, name))
    except SubbitError as error:
        raise error.at(tensor=name) from None


def _alignment(size: int) -> int:
    return LARGE_ALIGNMENT if size >= LARGE_SECTION else SMALL_ALIGNMENT
