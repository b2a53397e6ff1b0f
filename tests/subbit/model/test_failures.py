"""After any failure nothing half-written stays behind, and the error names what it is about."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import subbit
from subbit.errors import SubbitError, UsageError


def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {f"layer{k}.weight": random.standard_normal((90, 80)).astype(np.float32) for k in range(3)}


class StoppedError(Exception):
    """Raised by a progress callback, as Ctrl-C would be."""


def stop_at(verb: str, name: str) -> object:
    def progress(doing: str, done: int, total: int, tensor: str) -> None:
        if (doing, tensor) == (verb, name):
            raise StoppedError

    return progress


@pytest.mark.parametrize("verb", ["plan", "compress"])
@pytest.mark.parametrize("shard_bytes", [None, 3000])
def test_compress_stopped_in_the_middle(verb: str, shard_bytes: int | None, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        subbit.compress(
            arrays(),
            tmp_path / "m.sbit",
            bits=3,
            shard_bytes=shard_bytes,
            progress=stop_at(verb, "layer2.weight"),  # type: ignore[arg-type]
        )
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file_alone(tmp_path: Path) -> None:
    (tmp_path / "m.sbit").write_bytes(b"precious")
    with pytest.raises(StoppedError):
        subbit.compress(
            arrays(),
            tmp_path / "m.sbit",
            bits=3,
            force=True,
            progress=stop_at("compress", "layer2.weight"),  # type: ignore[arg-type]
        )
    assert (tmp_path / "m.sbit").read_bytes() == b"precious"
    assert len(list(tmp_path.iterdir())) == 1


def test_decompress_stopped_in_the_middle(tmp_path: Path) -> None:
    subbit.compress(arrays(), tmp_path / "m.sbit", bits=3)
    with pytest.raises(StoppedError):
        subbit.decompress(tmp_path / "m.sbit", progress=stop_at("decompress", "layer1.weight"))  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["m.sbit"]


def test_existing_output(tmp_path: Path) -> None:
    (tmp_path / "m.sbit").write_bytes(b"precious")
    calls: list[object] = []
    with pytest.raises(UsageError) as caught:
        subbit.compress(arrays(), tmp_path / "m.sbit", progress=lambda *call: calls.append(call))
    assert caught.value.kind == "exists"
    assert not calls  # refused before the work
    assert (tmp_path / "m.sbit").read_bytes() == b"precious"
    subbit.compress(arrays(), tmp_path / "m.sbit", bits=3, force=True)
    (tmp_path / "m.safetensors").write_bytes(b"precious")
    with pytest.raises(UsageError):
        subbit.decompress(tmp_path / "m.sbit")
    assert (tmp_path / "m.safetensors").read_bytes() == b"precious"
    subbit.decompress(tmp_path / "m.sbit", force=True)
    assert (tmp_path / "m.safetensors").read_bytes() != b"precious"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(SubbitError) as caught:
            subbit.compress(arrays(), tmp_path / "m.sbit", bits=3)
    finally:
        tmp_path.chmod(0o700)
    assert caught.value.kind == "unwritable"


@pytest.mark.parametrize("parent", ["missing", "file"])
def test_no_folder_to_write_to(parent: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SubbitError) as caught:
        subbit.compress(arrays(), tmp_path / parent / "m.sbit", bits=3)
    assert caught.value.kind == "unwritable"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_a_file_size_limit_is_a_full_disk(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    import signal

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(SubbitError) as caught:
            subbit.compress(arrays(), tmp_path / "m.sbit", bits=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.kind == "disk-full"
    assert not list(tmp_path.iterdir())


def test_damage_names_file_and_tensor(tmp_path: Path) -> None:
    path = tmp_path / "m.sbit"
    subbit.compress(arrays(), path, bits=3)
    with subbit.open(path) as file:
        position = path.read_bytes().find(bytes(file["layer1.weight"].encoded.sections["codes"]))
    data = bytearray(path.read_bytes())
    data[position + 9] ^= 1
    path.write_bytes(data)
    with subbit.open(path) as file:
        file["layer0.weight"].decode()
        with pytest.raises(SubbitError) as caught:
            file["layer1.weight"].decode()
    assert (caught.value.path, caught.value.tensor) == (str(path), "layer1.weight")
    for verb in (subbit.load, subbit.verify, subbit.decompress):
        with pytest.raises(SubbitError):
            verb(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.sbit"]


def test_verify_against_another_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "m.sbit"
    subbit.compress(arrays(), path, bits=3)
    original = subbit.decompress(path)
    with pytest.raises(SubbitError, match="the file states") as lossless:
        subbit.verify(path, against=original)  # the file says that it has lost something
    assert lossless.value.kind == "figures"
    changed = arrays() | {"layer0.weight": np.zeros((3, 3), np.float32)}
    fewer = {"layer0.weight": arrays()["layer0.weight"]}
    for other in (changed, fewer, arrays() | {"new": np.zeros(3, np.float32)}):
        subbit.compress(other, tmp_path / "n.sbit", bits=9, force=True)
        against = subbit.decompress(tmp_path / "n.sbit", force=True)
        with pytest.raises(SubbitError) as caught:
            subbit.verify(path, against=against)
        assert caught.value.kind == "against"


def test_arrays_that_no_file_can_hold(tmp_path: Path) -> None:
    for bad in (np.array([["a"]]), np.zeros((3, 3), object), np.zeros((3, 3), "M8[s]")):
        with pytest.raises(SubbitError) as caught:
            subbit.compress({"a.weight": bad}, tmp_path / "m.sbit")
        assert (caught.value.kind, caught.value.tensor) == ("dtype", "a.weight")
    assert not list(tmp_path.iterdir())


def test_unknown_names(tmp_path: Path) -> None:
    subbit.compress(arrays(), tmp_path / "m.sbit", bits=3)
    with subbit.open(tmp_path / "m.sbit") as file:
        assert "layer7.weight" not in file
        with pytest.raises(KeyError):
            file["layer7.weight"]
