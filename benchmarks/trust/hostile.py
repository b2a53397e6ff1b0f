"""Tensors that no encoder wrote, in files whose checksums are all right: what an attacker can hand to decoders.

The attacker chooses everything: sections, shape, element type, knobs. Each hostile tensor follows from its number
alone: a good one with a few bytes, sizes or knobs changed, or with other numbers behind its entropy coder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from benchmarks.trust import streams
from benchmarks.trust.specimens import MOST_WEIGHTS, Case, case, count
from subbit.codecs.trellis.model import Model
from subbit.coders.adaptive import IntegerWriter
from subbit.errors import SubbitError
from subbit.records import Encoded, matrix_shape

__all__ = ["hostile"]

_STRIDE = 89
"""Prime, so that few numbers have tensors of many kinds."""
_NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 17, 63, 64, 127, 128, 255, 256, 4096, 65535, 65536, 2**31, streams.LARGEST)
_KNOBS = (0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 32, 63, 64, 255, 256, 257, 4096, 65536, 2**64 - 1)
_TYPES = ("float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "int8", "uint64")


def hostile(number: int) -> tuple[Case, Encoded]:
    """The hostile tensor of a number, and the good one that it comes from."""
    random = np.random.default_rng([6, number])
    good = case(_STRIDE * number % count())
    encoded = good.encoded
    if good.stream and random.random() < 0.5:
        encoded = _with_numbers(good, random)
    for _ in range(int(random.choice([0, 1, 1, 2, 4])) if encoded is not good.encoded else int(random.integers(1, 4))):
        encoded = _CHANGES[int(random.choice(len(_CHANGES), p=_CHANCES))](encoded, random)
    return good, encoded


def _with_bytes(encoded: Encoded, random: np.random.Generator) -> Encoded:
    return _on_section(encoded, random, _some_bytes)


def _with_length(encoded: Encoded, random: np.random.Generator) -> Encoded:
    return _on_section(encoded, random, _other_length)


def _on_section(encoded: Encoded, random: np.random.Generator, change: Callable[..., bytes]) -> Encoded:
    if not encoded.sections:
        return encoded
    name = str(random.choice(sorted(encoded.sections)))
    return replace(encoded, sections={**encoded.sections, name: change(bytes(encoded.sections[name]), random)})


def _some_bytes(section: bytes, random: np.random.Generator) -> bytes:
    data = np.frombuffer(section, np.uint8).copy()
    if data.size:
        reach = data.size if random.random() < 0.5 else min(data.size, 24)  # the start is where numbers stand
        at = random.integers(0, reach, int(random.choice([1, 1, 2, 8, 64])))
        data[at] = random.choice([0, 1, 127, 128, 255, *random.integers(0, 256, 3).tolist()], at.size)
    return data.tobytes()


def _other_length(section: bytes, random: np.random.Generator) -> bytes:
    change = int(random.integers(-8, 9)) if random.random() < 0.7 else -int(random.integers(0, len(section) + 1))
    return section[:change] if change < 0 else section + random.bytes(change)


def _with_shape(encoded: Encoded, random: np.random.Generator) -> Encoded:
    shape = list(encoded.shape) or [1]
    at = int(random.integers(len(shape)))
    shape[at] = max(0, int(random.choice([shape[at] - 1, shape[at] + 1, 0, 1, 2 * shape[at], shape[at] + 64])))
    if random.random() < 0.3:
        shape = shape[::-1] if random.random() < 0.5 else [prod(shape), 1]
    return replace(encoded, shape=tuple(shape)) if prod(shape) <= MOST_WEIGHTS else encoded


def _with_type(encoded: Encoded, random: np.random.Generator) -> Encoded:
    return replace(encoded, dtype=str(random.choice(_TYPES)))


def _with_knob(encoded: Encoded, random: np.random.Generator) -> Encoded:
    return replace(encoded, knobs=_other_knob(encoded.knobs, random))


def _other_knob(knobs: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    changed = dict(knobs)
    if changed:
        name = sorted(changed)[int(random.integers(len(changed)))]
        if isinstance(changed[name], Mapping):
            changed[name] = _other_knob(changed[name], random)
        elif type(changed[name]) is int:
            near = (changed[name] - 1, min(changed[name] + 1, 2**64 - 1))  # the largest that a file can hold
            changed[name] = (*_KNOBS, *near)[int(random.integers(len(_KNOBS) + 2))]
    return changed


_CHANGES = (_with_bytes, _with_length, _with_shape, _with_knob, _with_type)
_CHANCES = (0.7, 0.08, 0.08, 0.1, 0.04)


def _with_numbers(good: Case, random: np.random.Generator) -> Encoded:
    """Other numbers, coded as an encoder codes them, with as many bytes behind them as a trellis code asks for."""
    name, first, length = good.stream or ("", 0, 0)
    section, writer = bytes(good.encoded.sections[name]), IntegerWriter()
    read = streams.answered(good.encoded, good.parent, partial(_invented, random))
    for numbers in read.numbers if read else ():
        writer.add(numbers)
    head, tail = section[:first] + writer.finish(), section[first + length :]
    if "trellis" in (good.encoded.codec, good.encoded.knobs.get("magnitudes", {}).get("kind")):
        tail = random.bytes(_due(head + tail, good.encoded))
    return replace(good.encoded, sections={**good.encoded.sections, name: head + tail})


def _invented(random: np.random.Generator, true: np.ndarray, count: int, limit: int) -> np.ndarray:
    """The numbers that stand there, some of them replaced; most stay below what the reader takes."""
    numbers = np.zeros(count, np.int64)
    numbers[: true.size] = true
    if count and random.random() < 0.3:
        at = random.integers(0, count, 1 if random.random() < 0.7 else max(1, count // 4))
        others = [*_NUMBERS, limit, max(limit - 1, 0), *random.integers(0, limit + 1, 4).tolist()]
        others = [other for other in others if other <= limit] if random.random() < 0.95 else others
        numbers[at] = random.choice(others, at.size)
    return numbers


def _due(section: bytes, encoded: Encoded) -> int:
    """Bytes of the tiles that a trellis code must have."""
    rows, cols = matrix_shape(encoded.shape)
    try:
        model, _ = Model.read(np.frombuffer(section, np.uint8), rows, cols, encoded.codec == "trellis")
        return min((int(model.starts(model.grid())[-1]) + 7) // 8, 1 << 20)
    except SubbitError:
        return 0
