"""Whatever stands behind valid checksums, only a complete SubbitError leaves: what hypothesis thinks of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import subbit
from formats.bad.forge import forged
from subbit.codecs import CODECS, MAGNITUDES
from subbit.errors import SubbitError
from subbit.signs import KINDS
from subbit_formats.dtypes import ITEM_SIZES
from subbit_formats.sbit import Reader

KEYS = ("aliases", "codecs", "extras", "metadata", "tensors", "id", "knobs", "name", "raw_size", "required", "size")
KEYS += ("codec", "covered", "dtype", "sections", "shape")
texts = st.sampled_from(KEYS) | st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
numbers = st.integers(-3, 20) | st.integers(-(2**66), 2**66) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
sections = st.dictionaries(
    st.sampled_from(["codes", "data", "scales", "signs", "flips", "factors", "codebook", "places", "rows", "columns"]),
    st.binary(max_size=80),
    max_size=4,
)
parts = st.builds(
    lambda kind, more: {"kind": kind} | more,
    st.sampled_from([*KINDS, *MAGNITUDES]),
    st.dictionaries(st.sampled_from(["seed", "rank", "dim", "n", "width", "parent"]), numbers | texts, max_size=2),
)
knobs = st.dictionaries(
    st.sampled_from(["width", "group", "signs", "magnitudes", "state_bits", "rotation", "parent", "rate", "drop"]),
    parts | st.integers(0, 20) | values,
    max_size=3,
)


def refused_or_read(path: Path) -> None:
    try:
        with subbit.open(path, max_bytes=1 << 20) as file:
            file.archive.verify()
            for name in file.archive.tensors:
                decoded = file[name].decode()
                assert (decoded.shape, decoded.dtype.name) == (file[name].shape, file[name].dtype)
    except SubbitError as error:
        assert error.path == str(path)  # noqa: PT017
        assert error.kind  # noqa: PT017
        assert error.hint  # noqa: PT017


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.sbit"
    for content in (data, forged(data, [])):
        path.write_bytes(content)
        refused_or_read(path)


@settings(deadline=None, max_examples=300)
@given(values, st.lists(st.binary(max_size=20), max_size=3))
def test_any_index(tmp_path_factory: pytest.TempPathFactory, index: Any, stored: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "index.sbit"
    path.write_bytes(forged(index, stored))
    refused_or_read(path)


@settings(deadline=None, max_examples=400)
@given(
    st.sampled_from(sorted(CODECS)),
    knobs,
    st.lists(st.integers(0, 70), max_size=3),
    st.sampled_from(sorted(ITEM_SIZES)),
    sections,
)
def test_any_tensor(
    tmp_path_factory: pytest.TempPathFactory, codec: str, given_: Any, shape: list[int], dtype: str, stored: Any
) -> None:
    record = {"id": codec, "knobs": given_} if given_ else {"id": codec}
    sizes = [[name, len(data)] for name, data in stored.items()]
    tensor = {"codec": 0, "dtype": dtype, "name": "w", "sections": sizes, "shape": shape}
    path = tmp_path_factory.getbasetemp() / "tensor.sbit"
    path.write_bytes(forged({"codecs": [record], "tensors": [tensor]}, [*stored.values()]))
    refused_or_read(path)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60), st.lists(st.integers(1, 40), min_size=2, max_size=2))
def test_any_section_of_a_codec_with_one(codes: bytes, shape: list[int]) -> None:
    for codec in ("deadzone", "trellis"):
        encoded = subbit.Encoded(codec, {}, tuple(shape), "float32", {"codes": codes})
        try:
            assert subbit.decode(encoded).shape == tuple(shape)
        except SubbitError as error:
            assert error.kind == "section"  # noqa: PT017


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "good.sbit"
    path.write_bytes(forged())
    with Reader(path) as reader:
        reader.verify()
