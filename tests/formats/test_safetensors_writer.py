from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open

from subbit_formats.errors import SubbitError, UsageError
from subbit_formats.safetensors_writer import SafetensorsWriter
from subbit_formats.sources import open_source
from subbit_formats.sources.safetensors import DTYPES

KINDS = [np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_]


def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    found = {f"t{k}": (5 * random.standard_normal((3, k + 1))).astype(kind) for k, kind in enumerate(KINDS)}
    return found | {"scalar": np.array(3.5, np.float32), "empty": np.zeros((0, 5), np.int16), 'ü "name"': np.ones(3)}


def write(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None, **options: bool) -> None:
    described = {name: (array.dtype.name, array.shape) for name, array in tensors.items()}
    with SafetensorsWriter(path, described, metadata, **options) as writer:
        for name in writer.names:
            writer.write(tensors[name])


def test_the_library_reads_it(tmp_path: Path) -> None:
    write(tmp_path / "m.safetensors", arrays(), {"who": "ünïcode"})
    with safe_open(tmp_path / "m.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt", "who": "ünïcode"}
        assert set(file.keys()) == set(arrays())
        for name, array in arrays().items():
            found = file.get_tensor(name)
            assert (found.dtype, found.shape) == (array.dtype, array.shape)
            assert found.tobytes() == array.tobytes()


def test_items_are_aligned_to_their_size(tmp_path: Path) -> None:
    write(tmp_path / "m.safetensors", arrays())
    data = (tmp_path / "m.safetensors").read_bytes()
    with open_source(tmp_path / "m.safetensors") as source:
        for name, tensor in source.items():
            if tensor.nbytes > 8:
                assert data.find(arrays()[name].tobytes()) % arrays()[name].dtype.itemsize == 0


@pytest.mark.parametrize("dtype", sorted(set(DTYPES.values())))
def test_every_type_of_the_format(dtype: str, tmp_path: Path) -> None:
    kind = getattr(ml_dtypes, dtype, None) if dtype.startswith(("bfloat", "float8")) else np.dtype(dtype)
    array = np.ones((3, 5), kind)
    write(tmp_path / "m.safetensors", {"a": array})
    with open_source(tmp_path / "m.safetensors") as source:
        assert source["a"].dtype == dtype
        assert source["a"].read().tobytes() == array.tobytes()


def test_no_tensors(tmp_path: Path) -> None:
    write(tmp_path / "m.safetensors", {})
    with safe_open(tmp_path / "m.safetensors", "np") as file:
        assert not list(file.keys())


@pytest.mark.parametrize(
    ("name", "dtype", "kind"), [("a", "complex128", "dtype"), ("a", "no", "dtype"), ("__metadata__", "float32", "name")]
)
def test_what_the_format_cannot_hold(name: str, dtype: str, kind: str, tmp_path: Path) -> None:
    with pytest.raises(SubbitError) as caught:
        SafetensorsWriter(tmp_path / "m.safetensors", {name: (dtype, (2, 2))})
    assert (caught.value.kind, caught.value.tensor) == (kind, name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [0, 1, 3])
def test_bytes_that_do_not_fit_the_header_are_not_published(count: int, tmp_path: Path) -> None:
    described = {"a": ("float32", (2, 2)), "b": ("float32", (2, 2))}
    writer = SafetensorsWriter(tmp_path / "m.safetensors", described)
    for _ in range(count):
        writer.write(np.ones((2, 2), np.float32))
    with pytest.raises(SubbitError) as caught:
        writer.__exit__(None)
    assert caught.value.kind == "size"
    assert not list(tmp_path.iterdir())


def test_failures_leave_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(ZeroDivisionError), SafetensorsWriter(path, {"a": ("float32", (2, 2))}) as writer:
        writer.write(np.ones(4, np.float32) / (1 // 0))
    assert not list(tmp_path.iterdir())
    path.write_bytes(b"precious")
    with pytest.raises(UsageError):
        write(path, arrays())
    assert path.read_bytes() == b"precious"
    write(path, arrays(), force=True)
    with open_source(path) as source:
        assert set(source) == set(arrays())


def test_the_same_tensors_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "1", arrays(), {"b": "1", "a": "2"})
    write(tmp_path / "2", dict(reversed(arrays().items())), {"b": "1", "a": "2"})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
