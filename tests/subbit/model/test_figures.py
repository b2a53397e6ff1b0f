"""The errors that a file states: measured when it is written, compared with what is measured when it is verified."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import subbit
from formats.bad.forge import forged, take_apart
from subbit.figures import ERRORS, rounded, stated_errors
from subbit_formats.sbit import open_reader

RANDOM = np.random.default_rng(1)
ARRAYS = {f"layers.{k}.weight": RANDOM.standard_normal((96, 80)).astype(np.float32) for k in range(3)}
ARRAYS |= {"embed.weight": RANDOM.standard_normal((64, 32)).astype(np.float16), "norm": np.ones(9, np.float32)}


@pytest.fixture
def original(tmp_path: Path) -> Path:
    save_file(ARRAYS, tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def stated(path: Path) -> dict[str, float] | None:
    with open_reader(path) as archive:
        return stated_errors(archive)


def forge_figures(path: Path, data: bytes) -> None:
    index, sections = take_apart(path.read_bytes())
    place = [extra["name"] for extra in index["extras"]].index(ERRORS) - len(index["extras"])
    sections[place] = data
    index["extras"][place]["size"] = len(data)
    path.write_bytes(forged(index, sections))


@pytest.mark.parametrize("choice", [{}, {"shard_bytes": 6000}, {"plan": None, "file_bits": 4.0}])
def test_a_file_states_what_the_report_says(original: Path, choice: dict[str, float]) -> None:
    report = subbit.compress(original, bits=2.0, **choice)  # type: ignore[arg-type]
    expected = {row.name: rounded(row.error) for row in report.tensors}
    assert expected["norm"] == 0.0 < expected["embed.weight"] < expected["layers.0.weight"]
    assert stated(report.path) == expected
    verified = subbit.verify(report.path, against=original)
    assert verified.stated
    assert verified.errors == {row.name: row.error for row in report.tensors}


def test_figures_cost_four_bytes_a_tensor_and_less_than_a_hundred_in_all(original: Path) -> None:
    report = subbit.compress(original, bits=2.0)
    index, sections = take_apart(report.path.read_bytes())
    without = forged({key: value for key, value in index.items() if key != "extras"}, sections[:-1])
    assert sections[-1] == struct.pack(
        "<4f", *(row.error for row in sorted(report.tensors, key=lambda row: row.name)[:4])
    )
    assert 0 < report.file_bytes - len(without) < 100
    with subbit.open(report.path) as file:
        assert file.extras == ()  # they are no file that travels with the weights


def test_nothing_is_stated_where_nothing_is_lost(original: Path) -> None:
    report = subbit.compress(original, keep=["*"])
    assert stated(report.path) is None
    assert not subbit.verify(report.path, against=original).stated


@pytest.mark.parametrize("number", range(4))
def test_every_forged_figure_is_noticed(original: Path, number: int) -> None:
    path = subbit.compress(original, bits=2.0).path
    figures = [error for error in (stated(path) or {}).values() if error]
    figures[number] *= 1.00001
    forge_figures(path, struct.pack("<4f", *figures))
    subbit.verify(path)  # the checksums are right
    with pytest.raises(subbit.SubbitError, match="the file states") as caught:
        subbit.verify(path, against=original)
    assert caught.value.kind == "figures"
    assert caught.value.tensor == sorted(name for name in ARRAYS if name != "norm")[number]


@pytest.mark.parametrize("size", [0, 12, 15, 20])
def test_figures_of_other_tensors_are_refused(original: Path, size: int) -> None:
    path = subbit.compress(original, bits=2.0).path
    forge_figures(path, bytes(size))
    with pytest.raises(subbit.SubbitError, match="4 have lost something") as caught:
        subbit.verify(path, against=original)
    assert caught.value.kind == "figures"


def test_a_tensor_that_claims_to_be_lossless_is_compared_too(original: Path) -> None:
    path = subbit.compress(original, bits=2.0).path
    save_file(ARRAYS | {"norm": np.full(9, 2, np.float32)}, original)
    with pytest.raises(subbit.SubbitError, match="the file states 0") as caught:
        subbit.verify(path, against=original)
    assert caught.value.tensor == "norm"


def test_huge_errors_are_infinite() -> None:
    assert rounded(1e300) == rounded(float("inf")) == float("inf")
    assert rounded(0.1) == np.float32(0.1)


def test_inspect_lists_them(original: Path) -> None:
    from subbit.analysis.contents import list_tensors

    path = subbit.compress(original, bits=2.0).path
    with open_reader(path) as archive:
        rows = list_tensors(archive)["tensors"]
    assert {row["name"]: row["error"] for row in rows} == stated(path)
    assert json.loads(json.dumps(rows)) == rows
