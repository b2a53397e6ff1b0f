from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.bad.forge import forge, plain_index, plain_sections
from subbit_formats.dtypes import ITEM_SIZES
from subbit_formats.errors import SubbitError, UsageError
from subbit_formats.sbit import Reader, Writer

names = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=12)
sizes = st.sampled_from([0, 1, 7, 8, 9, 63, 64, 65, 4095, 4096, 4097]) | st.integers(0, 9000)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def tensors(draw: st.DrawFn) -> dict[str, object]:
    parts = draw(st.dictionaries(names, sizes, max_size=4))
    return {
        "shape": tuple(draw(st.lists(st.integers(0, 40), max_size=5))),
        "dtype": draw(st.sampled_from(sorted(ITEM_SIZES))),
        "codec": draw(st.sampled_from(["dense", "signs"])),
        "knobs": draw(st.dictionaries(names, json_values, max_size=2)),
        "sections": {name: bytes(k * 37 % 251 + 1 for k in range(size)) for name, size in parts.items()},
        "covered": draw(st.booleans()),
    }


@settings(deadline=None, max_examples=80)
@given(
    st.dictionaries(names, tensors(), max_size=4),
    st.dictionaries(names, st.binary(max_size=5000), max_size=3),
)
def test_everything_comes_back(tmp_path_factory: pytest.TempPathFactory, model: dict, extras: dict) -> None:
    path = tmp_path_factory.mktemp("sbit") / "model.sbit"
    with Writer(path, {"key": "välue"}) as writer:
        for name, data in extras.items():
            writer.extra(name, data)
        for name in sorted(model):
            writer.add(name, **model[name])
    with Reader(path) as reader:
        reader.verify()
        assert list(reader.tensors) == sorted(model, key=str.encode)
        assert reader.metadata == {"key": "välue"}
        assert {name: reader.extra(name) for name in reader.extras} == extras
        for name, given_ in model.items():
            entry = reader.tensors[name]
            assert {key: getattr(entry, key) for key in ("shape", "dtype", "codec", "knobs", "covered")} == {
                key: given_[key] for key in ("shape", "dtype", "codec", "knobs", "covered")
            }
            assert {part: bytes(data) for part, data in reader.sections(name).items()} == given_["sections"]
            assert list(entry.sections) == list(given_["sections"])
        assert reader.weights == sum(math.prod(given_["shape"]) for given_ in model.values())
        assert reader.size == path.stat().st_size


def test_writer_and_spec_agree_to_the_byte(tmp_path: Path) -> None:
    sections = plain_sections()
    with Writer(tmp_path / "written.sbit", {"made": "by hand"}) as writer:
        writer.add(
            "a",
            shape=(3,),
            dtype="float32",
            codec="dense",
            knobs={},
            sections={"raw": sections[0]},
            covered=False,
        )
        parts = {"codes": sections[1], "none": b"", "scales": sections[3]}
        writer.add("b", shape=(2, 4), dtype="bfloat16", codec="signs", knobs={"seed": 7, "bits": 0.5}, sections=parts)
        writer.alias("tied", "b")
        writer.extra("config.json", b"{}")
    forged = forge(tmp_path / "forged.sbit")
    assert (tmp_path / "written.sbit").read_bytes() == forged.read_bytes()


def test_same_calls_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with Writer(tmp_path / name, {"b": "1", "a": "2"} if name == "one" else {"a": "2", "b": "1"}) as writer:
            for extra in ("x", "y") if name == "one" else ("y", "x"):
                writer.extra(extra, extra.encode() * 10_000)
            knobs = {"p": 1, "q": 2} if name == "one" else {"q": 2, "p": 1}
            writer.add("a", shape=(), dtype="int8", codec="c", knobs=knobs, sections={"s": bytes(5000)})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_sections_are_aligned_read_only_views(tmp_path: Path) -> None:
    path = tmp_path / "m.sbit"
    parts = {"small": b"x" * 4095, "large": b"y" * 4096, "tiny": b"z"}
    with Writer(path) as writer:
        writer.add("a", shape=(9,), dtype="int8", codec="c", knobs={}, sections=parts)
    data = path.read_bytes()
    assert data.index(b"xxx") == 128
    assert data.index(b"yyy") % 64 == 0
    assert data.index(b"z", 128 + 4095) % 8 == 0
    with Reader(path) as reader:
        section = reader.section("a", "large")
        assert section.readonly
    assert section[0] == ord("y"), "a section outlives the reader"
    with pytest.raises(UsageError, match="closed"):
        reader.section("a", "large")


def test_sizes_count_every_byte(tmp_path: Path) -> None:
    path = forge(tmp_path / "m.sbit")
    with Reader(path) as reader:
        assert reader.bits_per_weight == 8 * path.stat().st_size / (3 + 8)
        a, b = reader.tensors["a"], reader.tensors["b"]
        entry = len('{"codec":0,"covered":false,"dtype":"float32","name":"a","sections":[["raw",12]],"shape":[3]}')
        assert a.stored_bytes == 12 + 16 + entry + 1
        assert b.weights == reader.covered_weights == 8
        codec = len('{"id":"signs","knobs":{"bits":0.5,"seed":7}}') + 1
        assert reader.covered_bytes == b.stored_bytes + codec
        entry = len(
            '{"codec":1,"dtype":"bfloat16","name":"b","sections":[["codes",5],["none",0],["scales",1]],"shape":[2,4]}'
        )
        assert b.stored_bytes == (4 + 5) + (3 + 1) + 3 * 16 + entry + 1
        assert reader.entry("tied") is b
        assert bytes(reader.section("tied", "codes")) == b"codes"


def test_no_tensors(tmp_path: Path) -> None:
    with Writer(tmp_path / "m.sbit"):
        pass
    with Reader(tmp_path / "m.sbit") as reader:
        reader.verify()
        assert (dict(reader.tensors), reader.weights, reader.bits_per_weight) == ({}, 0, math.inf)
        assert reader.size == 128 + len("{}")


def test_numpy_buffers_of_any_type(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    arrays = {
        "wide": np.arange(6, dtype="<u4").reshape(2, 3),
        "empty": np.zeros((0, 3)),
        "zero-d": np.int64(5),
    }
    with Writer(tmp_path / "m.sbit") as writer:
        writer.add("a", shape=np.zeros((2, 3)).shape, dtype="int8", codec="c", knobs={}, sections=arrays)
        with pytest.raises(SubbitError, match="contiguous"):
            writer.add("b", shape=(), dtype="int8", codec="c", knobs={}, sections={"s": np.zeros((4, 4))[:, ::2]})
    with Reader(tmp_path / "m.sbit") as reader:
        assert bytes(reader.section("a", "wide")) == arrays["wide"].tobytes()


def test_progress_reaches_the_size(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with Reader(forge(tmp_path / "m.sbit")) as reader:
        reader.verify(lambda done, total: seen.append((done, total)))
        assert seen[-1] == (reader.size, reader.size)
    assert seen == sorted(seen)


def test_unknown_names(tmp_path: Path) -> None:
    with Reader(forge(tmp_path / "m.sbit")) as reader:
        for call in (lambda: reader.entry("c"), lambda: reader.section("a", "x"), lambda: reader.extra("x")):
            with pytest.raises(UsageError) as caught:
                call()
            assert caught.value.kind.startswith("unknown-")
            assert caught.value.hint


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"dtype": "float31"}, "dtype"),
        ({"shape": (-1,)}, "shape"),
        ({"shape": (2**30, 2**30)}, "weights"),
        ({"codec": ""}, "name"),
        ({"knobs": {"a": math.nan}}, "knobs"),
        ({"knobs": {"a": 2**64}}, "knobs"),
        ({"knobs": {"a": object()}}, "knobs"),
        ({"knobs": {1: 2}}, "knobs"),
        ({"knobs": {"a": "\ud800"}}, "knobs"),
        ({"sections": {str(k): b"" for k in range(17)}}, "section-count"),
    ],
)
def test_the_writer_refuses_at_once(tmp_path: Path, change: dict, kind: str) -> None:
    good = {"shape": (1,), "dtype": "int8", "codec": "c", "knobs": {}, "sections": {"s": b"x"}}
    with pytest.raises(SubbitError) as caught, Writer(tmp_path / "m.sbit") as writer:
        writer.add("a", **(good | change))
    assert caught.value.kind == kind
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "\0", "x" * 1025, "\ud800"])
def test_the_writer_refuses_names(tmp_path: Path, name: str) -> None:
    with Writer(tmp_path / "m.sbit") as writer:
        calls = (
            lambda: writer.add(name, shape=(), dtype="int8", codec="c", knobs={}, sections={}),
            lambda: writer.extra(name, b""),
            lambda: writer.alias(name, "a"),
        )
        for call in calls:
            with pytest.raises(SubbitError) as caught:
                call()
            assert caught.value.kind == "name"


def test_the_writer_wants_order_and_targets(tmp_path: Path) -> None:
    good = {"shape": (1,), "dtype": "int8", "codec": "c", "knobs": {}, "sections": {"s": b"x"}}
    with Writer(tmp_path / "m.sbit") as writer:
        writer.add("b", **good)
        for name in ("a", "b"):
            with pytest.raises(SubbitError, match="comes after"):
                writer.add(name, **good)
    with pytest.raises(SubbitError, match="not in this file"), Writer(tmp_path / "n.sbit") as writer:
        writer.alias("x", "y")
    with pytest.raises(UsageError, match="metadata"):
        Writer(tmp_path / "o.sbit", {"a": 1})  # type: ignore[dict-item]
    assert [path.name for path in tmp_path.iterdir()] == ["m.sbit"]


def test_plain_index_is_what_the_reader_sees(tmp_path: Path) -> None:
    with Reader(forge(tmp_path / "m.sbit")) as reader:
        assert reader.aliases == plain_index()["aliases"]
        assert reader.version == (1, 0)
