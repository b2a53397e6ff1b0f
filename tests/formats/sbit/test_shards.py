from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from formats.bad.forge import canonical
from subbit_formats.errors import SubbitError, UsageError
from subbit_formats.sbit import Reader, ShardedReader, ShardedWriter, Writer, open_reader

LIMIT = 10_000


def add_all(writer: Writer | ShardedWriter, sizes: list[int]) -> None:
    for number, size in enumerate(sizes):
        sections = {"s": bytes([number + 1]) * size, "t": b"t"}
        knobs = {"number": number % 2}
        writer.add(f"w{number}", shape=(size,), dtype="int8", codec="c", knobs=knobs, sections=sections)
    writer.alias("tied", "w0")
    writer.extra("config.json", b"{}" * 100)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    with ShardedWriter(tmp_path / "m.sbit", LIMIT, {"key": "value"}) as writer:
        add_all(writer, [4000, 4096, 20_000, 1, 0])
    return tmp_path / "m.sbit.index.json"


def kind_of(path: Path) -> str:
    with pytest.raises(SubbitError) as caught:
        ShardedReader(path)
    assert caught.value.hint
    return caught.value.kind


def rewrite(path: Path, change: Any) -> None:
    index = json.loads(path.read_bytes())
    change(index)
    path.write_bytes(canonical(index))


def test_shards_read_like_one_file(shards: Path, tmp_path: Path) -> None:
    with Writer(tmp_path / "one.sbit", {"key": "value"}) as writer:
        add_all(writer, [4000, 4096, 20_000, 1, 0])
    with open_reader(shards) as many, open_reader(tmp_path / "one.sbit") as one:
        assert isinstance(one, Reader)
        assert list(many.tensors) == list(one.tensors)
        for name in [*one.tensors, "tied"]:
            assert many.sections(name) == one.sections(name)
            assert many.entry(name).knobs == one.entry(name).knobs
            for archive in (many, one):
                sections = {key: bytes(section) for key, section in archive.sections(name).items()}
                archive.release()
                assert archive.sections(name) == sections
        for what in ("aliases", "metadata", "extras", "stored_extras", "version", "weights", "covered_weights"):
            assert getattr(many, what) == getattr(one, what)
        assert many.extra("config.json") == b"{}" * 100
        seen: list[tuple[int, int]] = []
        many.verify(lambda done, total: seen.append((done, total)))
        assert seen[-1] == (many.size, many.size)
        files = [path for path in tmp_path.iterdir() if path.name != "one.sbit"]
        assert many.size == sum(path.stat().st_size for path in files)
        assert many.bits_per_weight == 8 * many.size / many.weights


def test_names_limits_and_index(shards: Path) -> None:
    files = sorted(path.name for path in shards.parent.iterdir())
    assert files == [f"m-{number:05}-of-00003.sbit" for number in (1, 2, 3)] + [shards.name]
    sizes = [shards.with_name(file).stat().st_size for file in files[:3]]
    assert sizes[0] <= LIMIT < sizes[1]
    index = json.loads(shards.read_bytes())
    assert index["metadata"] == {"format": "sbit", "total_size": sum(sizes), "version": 1}
    assert index["weight_map"]["w2"] == files[1]
    assert index["weight_map"]["tied"] == index["weight_map"]["w0"] == files[0]
    for file in files[:3]:
        with Reader(shards.with_name(file)) as reader:
            reader.verify()
            assert index["files"][file] == {"size": reader.size, "xxh3": reader.body_hash.hex()}


@pytest.mark.parametrize("limit", [700, 1000, 3000])
def test_no_shard_of_several_tensors_passes_the_limit(tmp_path: Path, limit: int) -> None:
    with ShardedWriter(tmp_path / "m.sbit", limit) as writer:
        for number in range(40):
            parts = {str(k): b"x" * (number * 7 % 50) for k in range(number % 4)}
            knobs = {"long": "knob" * (number % 9)}
            writer.add(
                f"{number:02}",
                shape=(10**12,),
                dtype="int8",
                codec="c",
                knobs=knobs,
                sections=parts,
                covered=False,
            )
    for path in tmp_path.glob("*.sbit"):
        with Reader(path) as reader:
            assert reader.size <= limit or len(reader.tensors) == 1
    with open_reader(tmp_path / "m.sbit") as many:
        assert len(many.tensors) == 40


def test_one_shard_is_a_plain_file(tmp_path: Path) -> None:
    for name, writer in (
        ("a", ShardedWriter(tmp_path / "a.sbit", 10**6)),
        ("b", Writer(tmp_path / "b.sbit")),
    ):
        with writer:
            add_all(writer, [10])
        assert (tmp_path / f"{name}.sbit").exists()
    assert (tmp_path / "a.sbit").read_bytes() == (tmp_path / "b.sbit").read_bytes()
    with ShardedWriter(tmp_path / "none.sbit", 10**6):
        pass
    assert len(list(tmp_path.iterdir())) == 3


def test_a_set_replaces_an_older_one_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "m.sbit"
    (tmp_path / "m-of-something.sbit").touch()
    for sizes in ([9000, 9000, 9000], [9000, 9000], [10], [9000, 9000]):
        with ShardedWriter(path, LIMIT, force=True) as writer:
            add_all(writer, sizes)
        count = len(sizes) + 1 if len(sizes) > 1 else 1
        assert len(list(tmp_path.iterdir())) == count + 1
        with open_reader(path) as reader:
            reader.verify()
            assert len(reader.tensors) == len(sizes)
        with pytest.raises(UsageError):
            ShardedWriter(path, LIMIT)


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    writer = ShardedWriter(tmp_path / "m.sbit", LIMIT)
    add_all(writer, [9000, 9000])
    (tmp_path / "m-00002-of-00002.sbit").touch()  # somebody else's, after we looked
    with pytest.raises(UsageError), writer:
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["m-00002-of-00002.sbit"]


def test_the_writer_refuses(tmp_path: Path) -> None:
    for limit, name in ((0, "m.sbit"), (10, "m")):
        with pytest.raises(UsageError):
            ShardedWriter(tmp_path / name, limit)
    with ShardedWriter(tmp_path / "m.sbit", 1) as writer:
        add_all(writer, [1, 1])
        for name in ("w0", "tied", "w1"):
            with pytest.raises(SubbitError):
                writer.alias(name, "w0")
        with pytest.raises(SubbitError, match="not added"):
            writer.alias("x", "w9")
        writer.alias("z", "w0")
        for name in ("w0", "z"):
            with pytest.raises(SubbitError, match=r"comes after|alias"):
                writer.add(name, shape=(), dtype="int8", codec="c", knobs={}, sections={})


def first(index: Any) -> Any:
    return index["files"]["m-00001-of-00003.sbit"]


def test_one_tensor_in_two_shards(shards: Path) -> None:
    def twice(index: Any) -> None:
        copy = "m-00004-of-00003.sbit"
        shards.with_name(copy).write_bytes(shards.with_name("m-00001-of-00003.sbit").read_bytes())
        index["files"][copy] = first(index)
        index["metadata"]["total_size"] += first(index)["size"]

    rewrite(shards, twice)
    assert kind_of(shards) == "shard-map"


def test_damage_is_found_in_index_and_shards(shards: Path) -> None:
    data = bytearray(shards.read_bytes())
    for position in range(8 * len(data)):
        data[position // 8] ^= 1 << position % 8
        shards.write_bytes(data)
        with pytest.raises(SubbitError):
            ShardedReader(shards)
        data[position // 8] ^= 1 << position % 8
    for size in range(0, len(data), 7):
        shards.write_bytes(data[:size])
        assert kind_of(shards) == "shard-index"
    shards.write_bytes(data)
    third = shards.with_name("m-00003-of-00003.sbit")
    third.write_bytes(third.read_bytes()[:-1])
    assert kind_of(shards) == "truncated"


def test_damage_in_a_shard_names_the_shard(shards: Path) -> None:
    second = shards.with_name("m-00002-of-00003.sbit")
    data = bytearray(second.read_bytes())
    data[5000] ^= 1
    second.write_bytes(data)
    with open_reader(shards) as reader:
        reader.sections("w0")
        for read in (lambda: reader.section("w2", "s"), reader.verify):
            with pytest.raises(SubbitError) as caught:
                read()
            assert (caught.value.kind, caught.value.path, caught.value.tensor) == (
                "checksum",
                str(second),
                "w2",
            )
