"""The chapter on codec layouts says what the code does: its tables of knobs and its examples."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import subbit_formats
from subbit.codecs import CODECS, MAGNITUDES, OneOfN
from subbit.coders import integers, rans
from subbit.coders.adaptive import IntegerWriter
from subbit.coders.frequencies import Frequencies
from subbit.parents import content_hash
from subbit.signs import KINDS

FORMATS = Path(subbit_formats.__file__).parents[1]
LAYOUTS = (FORMATS / "SPEC.md").read_text(encoding="utf-8").split("\n## Codec layouts\n")[1]
TEMPLATES = (FORMATS / "TEMPLATES.md").read_text(encoding="utf-8")


def knobs(cls: Any) -> dict[str, Any]:
    return {field.name: None if field.default is MISSING else field.default for field in fields(cls)}


@pytest.mark.parametrize(("name", "cls"), [*CODECS.items(), *MAGNITUDES.items()])
def test_every_codec_stands_in_a_table_with_its_knobs(name: str, cls: Any) -> None:
    (row,) = re.findall(rf"^\| \[`{name}`\].*$", LAYOUTS, re.MULTILINE)
    stated = dict(re.findall(r"`(\w+)`(?: [\d–, ]+| `\w+` or `\w+` | )\(([\w.]+)\)", row))
    assert stated == {key: str(value) for key, value in knobs(cls).items() if value is not None}


@pytest.mark.parametrize(("name", "cls"), KINDS.items())
def test_every_sign_plane_stands_in_templates(name: str, cls: Any) -> None:
    assert TEMPLATES.count(f"\n**`{name}`**") == 1
    assert set(knobs(cls)) <= {"seed", "rank", "width", "parent"}


def test_example_of_a_content_hash() -> None:
    assert f"`{content_hash(np.array([1, -2], np.float32))}`" in LAYOUTS


def test_examples_of_parts() -> None:
    coded = bytes.fromhex("02 04 80 18 00 01 80 08 00 00 01 ff 1f")
    frequencies, end = Frequencies.from_bytes(coded)
    assert end == len(coded)
    assert frequencies.table.tolist() == [[3072, 0, 0, 1024], [0, 1, 4095, 0]]
    assert frequencies.to_bytes() == coded
    symbols = np.array([0, 3, 0, 3, 3, 0, 2, 1, 2, 2, 3, 0], np.uint8)
    contexts = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0], np.uint8)
    block = rans.encode(symbols, frequencies, contexts).hex(" ")
    numbers = integers.encode(np.array([3, 300, 0])).hex(" ")
    text = " ".join(LAYOUTS.split())
    places = OneOfN(8, "seeded", 7).seeded_places(0, 3, 30).tolist()
    stream = IntegerWriter()
    for array in ([3, 300, 0], [], [2, 2, 2, 3]):
        stream.add(np.array(array, np.int64))
    assert f"of 30 columns are {', '.join(' '.join(map(str, row)) for row in places)}." in text
    for example in (coded.hex(" "), block, numbers, stream.finish().hex(" ")):
        assert f"`{example}`" in text
    assert " ".join(map(str, symbols)) in text
    assert " ".join(map(str, contexts)) in text
