"""safetensors files: every type and shape comes back bit for bit, and no malformed header gets in."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit_formats.dtypes import ITEM_SIZES, numpy_dtype
from subbit_formats.errors import SubbitError
from subbit_formats.sources import open_source
from subbit_formats.sources.safetensors import DTYPES, MAX_HEADER_BYTES

SHAPES = [(), (0,), (1,), (7,), (1, 5), (5, 1), (0, 3), (3, 17), (2, 3, 5), (4, 3, 3, 2), (1, 1, 1, 1, 3)]


def write(path: Path, header: Any, data: bytes = b"") -> Path:
    """A file with exactly this header, sound or not."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def refusal(path: Path) -> SubbitError:
    with pytest.raises(SubbitError) as caught:
        open_source(path)
    assert caught.value.path == str(path)
    return caught.value


def test_names_of_every_type_have_the_right_size(tmp_path: Path) -> None:
    for ours in DTYPES.values():
        assert numpy_dtype(ours).itemsize == ITEM_SIZES[ours]


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_round_trip_of_every_type(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    shape = data.draw(st.sampled_from(SHAPES))
    known = data.draw(st.sampled_from(sorted(DTYPES)))
    dtype = DTYPES[known]
    nbytes = int(np.prod(shape)) * ITEM_SIZES[dtype]
    raw = data.draw(st.binary(min_size=nbytes, max_size=nbytes))
    header = {"w": entry(known, list(shape), 0, nbytes)}
    path = write(tmp_path_factory.mktemp("st") / "w.safetensors", header, raw)
    tensor = open_source(path)["w"]
    array = tensor.read()
    assert (tensor.name, tensor.shape, tensor.dtype, tensor.nbytes) == ("w", shape, dtype, nbytes)
    assert array.shape == shape
    assert array.dtype == numpy_dtype(dtype)
    assert array.flags.c_contiguous
    assert array.tobytes() == raw


def test_files_of_the_library_for_torch(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensors = {
        "bf16": torch.randn(3, 5).to(torch.bfloat16),
        "f8": torch.randn(2, 2, 2).to(torch.float8_e4m3fn),
        "f8b": torch.randn(9).to(torch.float8_e5m2),
        "half": torch.randn(4).half(),
        "flag": torch.tensor([True, False]),
        "scalar": torch.tensor(3.5, dtype=torch.float64),
    }
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    with open_source(path) as source:
        assert source.kind == "safetensors"
        assert source.metadata == {"format": "pt"}
        assert list(source) == sorted(tensors)
        for name, tensor in tensors.items():
            array = source[name].read()
            assert source[name].dtype == str(tensor.dtype).removeprefix("torch.")
            np.testing.assert_array_equal(array.astype(np.float64), tensor.double().numpy())


def test_files_of_the_library_for_numpy_in_order_of_names(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    names = ["b", "a.10", "a.9", "é", "Z", "𝄞", "\uffff"]
    safetensors.numpy.save_file({name: np.arange(3) for name in names}, path)
    assert list(open_source(path)) == sorted(names, key=lambda name: name.encode())


def test_names_that_save_model_left_out_are_aliases(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Embedding(5, 3), torch.nn.Linear(3, 5, bias=False))
    model[1].weight = model[0].weight
    safetensors.torch.save_model(model, str(tmp_path / "tied.safetensors"), metadata={"kept": "as it is"})
    source = open_source(tmp_path / "tied.safetensors")
    assert source.aliases == {"1.weight": "0.weight"}
    assert list(source) == ["0.weight"]
    assert source.metadata["kept"] == "as it is"
    assert "1.weight" not in source.metadata


def test_reading_one_tensor_of_a_large_file_takes_the_memory_of_one(tmp_path: Path) -> None:
    path = write(tmp_path / "big.safetensors", {
        "big": entry("F32", [2**29 - 256], 0, 2**31 - 1024),
        "small": entry("F32", [256], 2**31 - 1024, 2**31),
    })  # fmt: skip
    os.truncate(path, path.stat().st_size + 2**31)  # a hole: two gigabytes that take no room on disk
    tracemalloc.start()
    array = open_source(path)["small"].read()
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert not array.any()


def test_truncated_says_how_many_bytes_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.numpy.save_file({"w": np.arange(100.0)}, path)
    whole = path.stat().st_size
    for cut in (1, 5, 799):
        os.truncate(path, whole - cut)
        error = refusal(path)
        assert error.kind == "truncated"
        assert f"{cut} of {whole} bytes are missing" in str(error)
        os.truncate(path, whole)
    for length in (3, 7, 8, 20):
        path.write_bytes(path.read_bytes()[:length])
        assert refusal(path).kind == "truncated"


def test_a_file_that_shrinks_after_opening_is_an_error_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.numpy.save_file({"w": np.arange(10000.0)}, path)
    tensor = open_source(path)["w"]
    os.truncate(path, 1000)
    with pytest.raises(SubbitError, match="bytes are missing") as caught:
        tensor.read()
    assert (caught.value.kind, caught.value.tensor, caught.value.path) == ("truncated", "w", str(path))
    path.unlink()
    with pytest.raises(SubbitError) as caught:
        tensor.read()
    assert caught.value.kind == "missing"


MALFORMED = {
    "size and shape disagree": ({"w": entry("F32", [3], 0, 8)}, 8, "format"),
    "range runs backwards": ({"w": entry("U8", [0], 4, 0)}, 4, "format"),
    "negative range": ({"w": entry("U8", [4], -4, 0)}, 4, "format"),
    "negative dimension": ({"w": entry("U8", [-1], 0, 1)}, 1, "format"),
    "huge dimension": ({"w": entry("U8", [2**70, 0], 0, 0)}, 0, "format"),
    "many dimensions": ({"w": entry("U8", [1] * 99, 0, 1)}, 1, "format"),
    "boolean dimension": ({"w": entry("U8", [True], 0, 1)}, 1, "format"),  # type: ignore[list-item]
    "overlap": ({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 2, 6)}, 6, "format"),
    "hole": ({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 6, 10)}, 10, "format"),
    "hole at the start": ({"a": entry("U8", [4], 1, 5)}, 5, "format"),
    "bytes after the end": ({"a": entry("U8", [4], 0, 4)}, 5, "format"),
    "unknown type": ({"a": entry("F4", [4], 0, 2)}, 2, "dtype"),
    "type is no string": ({"a": entry(["F32"], [4], 0, 2)}, 2, "dtype"),  # type: ignore[arg-type]
    "entry is no object": ({"a": 3}, 0, "format"),
    "entry lacks a shape": ({"a": {"dtype": "U8", "data_offsets": [0, 0]}}, 0, "format"),
    "three offsets": ({"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0, 0]}}, 0, "format"),
    "metadata of numbers": ({"__metadata__": {"a": 1}}, 0, "format"),
    "metadata is a list": ({"__metadata__": []}, 0, "format"),
    "name is no text": ({"\ud800": entry("U8", [0], 0, 0)}, 0, "format"),
    "list": ([1], 0, "format"),
    "not JSON": (b"{not json", 0, "format"),
    "not UTF-8": (b'{"\xff": 1}', 0, "format"),
    "NaN": (b'{"a": NaN}', 0, "format"),
    "nested": (b'{"a":' + b"[" * 100_000, 0, "format"),
    "key twice": (b'{"a": 1, "a": 1}', 0, "duplicate"),
}


@pytest.mark.parametrize("rule", MALFORMED)
def test_malformed_headers_are_refused(rule: str, tmp_path: Path) -> None:
    header, length, kind = MALFORMED[rule]
    assert refusal(write(tmp_path / "bad.safetensors", header, bytes(length))).kind == kind


def test_a_header_length_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes((MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b"{}" + bytes(50))
    assert "limit" in str(refusal(path))


def test_the_array_is_the_callers_own(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.numpy.save_file({"w": np.zeros(4, np.float32)}, path)
    source = open_source(path)
    first = source["w"].read()
    first[:] = 1
    assert first.flags.writeable
    assert not source["w"].read().any()


def test_float8_is_what_ml_dtypes_says(tmp_path: Path) -> None:
    path = write(tmp_path / "w.safetensors", {"w": entry("F8_E4M3", [2], 0, 2)}, b"\x38\xb8")
    array = open_source(path)["w"].read()
    assert array.dtype == ml_dtypes.float8_e4m3fn
    assert array.astype(np.float32).tolist() == [1.0, -1.0]
