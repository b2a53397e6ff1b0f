"""Files that no writer wrote, with checksums that are right: a fuzzer that gets behind them.

Each file follows from its number alone. It is a golden, or one of its tensors, with a few things changed: values and
structure of the index (sizes, shapes, types, names, knobs), header fields, bytes and lengths of sections. Sizes in the
index mostly follow the sections, so that most files open and decoders see what is in them.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from benchmarks.trust.edits import changed_bytes
from benchmarks.trust.seeds import SHARD_INDEX, goldens, single_tensors
from formats.bad.forge import forged, take_apart

__all__ = ["change_section", "forgery", "shard_index", "spoiled"]

_WHOLE = 16
"""One seed of so many is a whole golden; the others are single tensors, which decode in less time."""
_LARGE = 20_000
_NUMBERS = (
    0, 1, 2, 3, 7, 8, 16, 63, 64, 255, 256, 4096, 65536, 2**31, 2**40, 2**47, 2**48, 2**63 - 1, 2**63, 2**64,
)  # fmt: skip
_TEXTS = (
    "", "a", "../a", "/a", "\0", "\x1b[2J", "é" * 600, "w", "dense", "signed", "stored", "float32", "bool", "int8",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0.0, -0.0, 0.5, -1.5, 1e300, [], {}, [[]], {"kind": "scales"}, [[[[[[[[[0]]]]]]]]],
)  # fmt: skip
_FIELDS = ("major", "minor", "reserved", "size", "offset", "index_size", "count")


def forgery(number: int) -> bytes:
    """The file of a number."""
    chance = random.Random(number)
    return spoiled(chance.choice(_seeds(chance.randrange(_WHOLE) == 0)), chance)


def shard_index(number: int) -> bytes:
    """The index of the golden shards with a few things changed."""
    chance = random.Random(number)
    index = msgspec.json.decode(SHARD_INDEX)
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        _change_index(index, chance)
    return msgspec.json.encode(index, order="sorted") if chance.random() < 0.8 else _text(index, chance)


def spoiled(file: bytes, chance: random.Random) -> bytes:
    """A good file with one to three things changed and its checksums made again."""
    index, sections = take_apart(file)
    header: dict[str, Any] = {}
    changes = chance.choices("sih", (5, 6, 1), k=chance.choice((1, 1, 1, 2, 3)))
    for _ in range(changes.count("s")):  # first, while the index still says where they are
        change_section(index, sections, chance, changed_bytes)
    for _ in range(changes.count("i")):
        _change_index(index, chance)
    for _ in range(changes.count("h")):
        header[chance.choice(_FIELDS)] = chance.choice((0, 1, 2, 65535, chance.randrange(2**16)))
    raw = msgspec.json.encode(index, order="sorted") if chance.random() < 0.98 else _text(index, chance)
    return forged(raw, sections, header=header)


@cache
def _seeds(whole: bool) -> list[bytes]:
    return list(goldens().values()) if whole else [data for data in single_tensors().values() if len(data) < _LARGE]


def change_section(
    index: dict[str, Any], sections: list[bytes], chance: random.Random, change: Callable[[bytes, random.Random], bytes]
) -> None:
    """Change one section, and mostly its size in the index, too."""
    owners: list[tuple[Any, Any]] = [(part, 1) for tensor in index["tensors"] for part in tensor["sections"]]
    owners += [(extra, "size") for extra in index.get("extras", ())]
    if sections:
        number = chance.randrange(len(sections))
        sections[number] = change(sections[number], chance)
        if chance.random() < 0.97:
            owner, key = owners[number]
            owner[key] = len(sections[number])


def _change_index(index: dict[str, Any], chance: random.Random) -> None:
    """Change one value anywhere, or the structure around it."""
    place: Any = index
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        if not keys:
            return
        key = chance.choice(keys)
        if not isinstance(place[key], (dict, list)) or chance.random() < 0.1:
            break
        place = place[key]
    kind = chance.random()
    if kind < 0.1:
        del place[key]
    elif kind < 0.2:
        other = chance.choice(keys)
        place[key], place[other] = place[other], place[key]
    elif kind < 0.25 and isinstance(place, list):
        place.insert(key, copy.deepcopy(place[key]))
    elif kind < 0.3 and isinstance(place, dict):
        place[chance.choice(_TEXTS)] = copy.deepcopy(chance.choice(_VALUES))
    else:
        place[key] = _other(place[key], chance)


def _other(value: Any, chance: random.Random) -> Any:
    kind = chance.random()
    if type(value) is int and kind < 0.8:
        return chance.choice((value + 1, value - 1, 2 * value, value // 2, -value, chance.choice(_NUMBERS)))
    if type(value) is str and kind < 0.8:
        return chance.choice((chance.choice(_TEXTS), value + chance.choice(_TEXTS), value[1:]))
    return copy.deepcopy(chance.choice(_VALUES + _NUMBERS + _TEXTS))


def _text(index: Any, chance: random.Random) -> bytes:
    return changed_bytes(msgspec.json.encode(index, order="sorted"), chance)
