"""Every tensor of every source comes back with its name, shape and type; exact ones bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from checks import environment, same_bits
from safetensors import safe_open

import subbit
from subbit.errors import SubbitError
from subbit.tensors import relative_error
from subbit_formats.safetensors_writer import SafetensorsWriter
from subbit_formats.sources import open_source


def gaussian(*shape: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def everything() -> dict[str, np.ndarray]:
    """One tensor of each kind that a checkpoint can hold."""
    floats = {
        f"float.{np.dtype(kind).name}": gaussian(40, 70, seed=k).astype(kind)
        for k, kind in enumerate(
            [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]
        )
    }
    integers = {
        f"integer.{np.dtype(kind).name}": np.arange(-3, 9).astype(kind).reshape(3, 4)
        for kind in (np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint16, np.uint8, np.bool_)
    }
    nan = np.float32([np.nan, -0.0, np.inf])
    nan.view(np.uint32)[0] = 0x7FC12345
    return floats | integers | {
        "scalar": np.array(3.5, np.float32), "empty": np.zeros((0, 5), np.float16), "line": gaussian(9), "odd": nan,
        "row": gaussian(1, 900), "column": gaussian(900, 1), "experts": gaussian(3, 20, 30),
        "convolution": gaussian(8, 4, 3, 3), "strange [name]*/ü": gaussian(30, 30),
        "scales": np.ones((4, 9), np.float32), "mx.scales": np.ones((4, 9), ml_dtypes.float8_e8m0fnu),
        "lm_head.weight": gaussian(50, 32),
        "strided": gaussian(40, 60).T, "big.endian": gaussian(40, 30).astype(">f4"),
    }  # fmt: skip


def check(weights: dict[str, Any], original: dict[str, np.ndarray], report: subbit.Report) -> None:
    assert set(weights) == set(original)
    codecs = {row.name: row.codec for row in report.tensors}
    for name, array in original.items():
        assert weights[name].shape == array.shape, name
        assert weights[name].dtype == array.dtype.newbyteorder("="), name
        if codecs[name] == "dense":
            same_bits(weights[name], np.ascontiguousarray(array).reshape(array.shape))
        else:
            assert relative_error(array.astype(np.float64), weights[name].astype(np.float64)) < 0.12


def check_decompressed(path: Path, folder: Path) -> None:
    """The safetensors library reads what `decompress` writes, and it equals `load`."""
    output = subbit.decompress(path, folder / "back.safetensors", force=True)
    weights = subbit.load(path)
    with open_source(output) as source, safe_open(output, "np") as library:
        assert set(library.keys()) == set(weights) == set(source) | set(source.aliases)
        for name, tensor in source.items():
            same_bits(tensor.read(), weights[name])
            assert tuple(library.get_slice(name).get_shape()) == weights[name].shape


def write(path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> Path:
    with SafetensorsWriter(path, {n: (a.dtype.name, a.shape) for n, a in arrays.items()}, metadata) as writer:
        for name in writer.names:
            writer.write(arrays[name])
    return path


def test_arrays(tmp_path: Path) -> None:
    report = subbit.compress(everything(), tmp_path / "m.sbit", bits=6)
    check(subbit.load(tmp_path / "m.sbit"), everything(), report)
    check_decompressed(tmp_path / "m.sbit", tmp_path)
    with pytest.raises(SubbitError) as caught:
        subbit.compress(everything())
    assert caught.value.kind == "output"


def test_safetensors_with_metadata(tmp_path: Path) -> None:
    arrays = {
        name: np.ascontiguousarray(a).reshape(a.shape) for name, a in everything().items() if name != "big.endian"
    }
    path = write(tmp_path / "model.safetensors", arrays, {"made by": "hand"})
    report = subbit.compress(path, bits=6)
    assert report.path == tmp_path / "model.sbit"
    with subbit.open(report.path) as file:
        assert file.metadata == {"format": "pt", "made by": "hand"}
        assert set(file) == set(arrays)
        assert len(file) == len(arrays)
    check(subbit.load(report.path), arrays, report)
    check_decompressed(report.path, tmp_path)
    report_codecs = {row.name: row.codec for row in report.tensors}
    found = subbit.verify(report.path, against=path)
    assert all(error == 0 for name, error in found.errors.items() if report_codecs[name] == "dense")
    assert found.bytes == report.file_bytes


def test_torch_checkpoint_with_tied_weights(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    shared = torch.nn.Parameter(torch.from_numpy(gaussian(60, 40)))
    state = {
        "embed.weight": shared, "head.weight": shared, "q.weight": torch.from_numpy(gaussian(64, 64)),
        "half.weight": torch.from_numpy(gaussian(50, 50)).to(torch.bfloat16),
        "turned.weight": torch.from_numpy(gaussian(30, 50)).T, "steps": torch.tensor(7),
    }  # fmt: skip
    torch.save(state, tmp_path / "model.pt")
    report = subbit.compress(tmp_path / "model.pt", bits=4)
    with subbit.open(report.path) as file:
        assert dict(file.aliases) == {"head.weight": "embed.weight"}
        assert len(file) == 6
        assert report.file_weights == sum(t.numel() for name, t in state.items() if name != "head.weight")
    weights = subbit.load(report.path)
    assert weights["head.weight"] is weights["embed.weight"]
    for name, tensor in state.items():
        assert weights[name].shape == tuple(tensor.shape)
        assert str(tensor.dtype) == f"torch.{weights[name].dtype}"
    check_decompressed(report.path, tmp_path)


def test_gguf(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "gpt2")
    arrays = {"a.weight": gaussian(64, 96), "b.weight": gaussian(64, 64).astype(np.float16), "norm": gaussian(64)}
    for name, array in arrays.items():
        writer.add_tensor(name, array)
    packed = gguf.quantize(gaussian(32, 64), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("q.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    report = subbit.compress(tmp_path / "model.gguf", bits=6)
    with open_source(tmp_path / "model.gguf") as source:
        check(subbit.load(report.path), {name: tensor.read() for name, tensor in source.items()}, report)
        assert len(source) == 4
    assert subbit.verify(report.path, against=tmp_path / "model.gguf").tensors == 4


def test_folder_of_shards_with_extras(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    parts = [{"a.weight": gaussian(100, 90, seed=1), "n": gaussian(9)}, {"b.weight": gaussian(70, 80, seed=2)}]
    names = [f"model-0000{k}-of-00002.safetensors" for k in (1, 2)]
    for name, part in zip(names, parts, strict=True):
        write(folder / name, part)
    held = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    (folder / "model.safetensors.index.json").write_text(f'{{"weight_map": {held}}}'.replace("'", '"'))
    (folder / "config.json").write_text('{"model_type": "toy"}')
    report = subbit.compress(folder, tmp_path / "m.sbit", bits=4)
    check(subbit.load(report.path), parts[0] | parts[1], report)
    with subbit.open(report.path) as file:
        assert file.extra("config.json") == b'{"model_type": "toy"}'
        assert report.bits_per_weight == 8 * report.path.stat().st_size / report.file_weights


def test_sharded_output(tmp_path: Path) -> None:
    arrays = {f"layer{k}.weight": gaussian(200, 200, seed=k) for k in range(5)}
    whole = subbit.compress(arrays, tmp_path / "one.sbit", bits=2)
    report = subbit.compress(arrays, tmp_path / "m.sbit", bits=2, shard_bytes=25_000)
    assert report.path == tmp_path / "m.sbit.index.json"
    shards = sorted(path.name for path in tmp_path.glob("m-*.sbit"))
    assert len(shards) >= 2
    assert shards[0] == f"m-00001-of-{len(shards):05}.sbit"
    on_disk = sum(path.stat().st_size for path in tmp_path.glob("m*"))
    assert report.file_bytes == on_disk
    assert report.bits_per_weight == 8 * on_disk / report.file_weights
    for path in (report.path, tmp_path / "m.sbit"):
        weights = subbit.load(path)
        for name, weight in subbit.load(whole.path).items():
            same_bits(weights[name], weight)
    check_decompressed(tmp_path / "m.sbit", tmp_path)
    assert subbit.verify(tmp_path / "m.sbit").tensors == 5
    with pytest.raises(SubbitError) as caught:
        subbit.compress(arrays, tmp_path / "m.sbit", bits=2, shard_bytes=25_000)
    assert caught.value.kind == "exists"
    again = subbit.compress(arrays, tmp_path / "m.sbit", bits=4, force=True)
    assert again.path == tmp_path / "m.sbit"
    with subbit.open(again.path) as file:
        assert file.bits_per_weight == again.bits_per_weight > 2


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_other_types(dtype: str, tmp_path: Path) -> None:
    arrays = {"a.weight": gaussian(90, 80), "n": gaussian(7), "ids": np.arange(6)}
    subbit.compress(arrays, tmp_path / "m.sbit", bits=4)
    weights = subbit.load(tmp_path / "m.sbit", dtype=dtype)
    assert [str(weights[name].dtype) for name in ("a.weight", "n", "ids")] == [dtype, dtype, "int64"]
    with subbit.open(tmp_path / "m.sbit") as file:
        out = np.empty((90, 80), weights["a.weight"].dtype)
        assert file["a.weight"].decode(out=out) is out
        same_bits(out, weights["a.weight"])
        same_bits(file["a.weight"].decode(dtype=dtype), out)
    path = subbit.decompress(tmp_path / "m.sbit", dtype=dtype)
    assert path == tmp_path / "m.safetensors"
    with open_source(path) as source:
        same_bits(source["a.weight"].read(), weights["a.weight"])


@pytest.mark.parametrize("dtype", ["int8", "bool", "float12", "complex64"])
def test_types_that_hold_no_weights(dtype: str, tmp_path: Path) -> None:
    subbit.compress({"a.weight": gaussian(90, 80)}, tmp_path / "m.sbit", bits=4)
    with subbit.open(tmp_path / "m.sbit") as file:
        for verb in (
            lambda: subbit.load(tmp_path / "m.sbit", dtype=dtype),
            lambda: subbit.decompress(tmp_path / "m.sbit", dtype=dtype),
            lambda: file["a.weight"].decode(dtype=dtype),
        ):
            with pytest.raises(SubbitError) as caught:
                verb()
            assert caught.value.kind == "dtype"
    assert [path.name for path in tmp_path.iterdir()] == ["m.sbit"]


def test_same_bytes_for_any_number_of_threads_and_kernels(tmp_path: Path) -> None:
    heavy = np.random.default_rng(0).standard_t(3, (700, 500)).astype(np.float32)  # deadzone; the others are trellis
    arrays = {"a.weight": heavy, "b.weight": gaussian(100, 180), "lm_head.weight": gaussian(100, 64)}
    found = set()
    for threads, kernels in (("1", "compiled"), ("2", "compiled"), ("3", "plain")):
        with environment(SUBBIT_THREADS=threads, SUBBIT_KERNELS=kernels):
            subbit.compress(arrays, tmp_path / "m.sbit", bits=0.8, force=True)
            found.add((tmp_path / "m.sbit").read_bytes())
            subbit.decompress(tmp_path / "m.sbit", force=True)
            found.add((tmp_path / "m.safetensors").read_bytes())
    assert len(found) == 2


def test_progress(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int, str]] = []
    arrays = {"a.weight": gaussian(90, 80), "b.weight": gaussian(90, 80), "n": gaussian(7)}
    subbit.compress(arrays, tmp_path / "m.sbit", bits=4, progress=lambda *call: calls.append(call))
    subbit.decompress(tmp_path / "m.sbit", progress=lambda *call: calls.append(call))
    for verb in ("plan", "compress", "decompress"):
        steps = [call for call in calls if call[0] == verb]
        assert [call[1] for call in steps] == sorted(call[1] for call in steps)
        assert all(0 <= done <= total for _, done, total, _ in steps)
        assert {name for *_, name in steps} >= set(arrays)
