"""Every golden decodes to its digests, by the library, and is written as it stands."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from checks import environment

import subbit
from subbit_formats.dtypes import ITEM_SIZES

GOLDEN = Path(subbit.__file__).parents[1] / "formats" / "golden"
DIGESTS: dict[str, Any] = json.loads((GOLDEN / "digests.json").read_text(encoding="utf-8"))
NEWEST = sorted({name.split("/")[0] for name in DIGESTS}, key=lambda r: tuple(map(int, r.split("."))))[-1]
PARENT = GOLDEN / NEWEST / "parent.sbit"
"""The parent checkpoint of `base.sbit`; all other files ignore it."""
SMALLEST = sorted((n for n in DIGESTS if n.endswith(".sbit")), key=lambda n: (GOLDEN / n).stat().st_size)[:3]

each_golden = pytest.mark.parametrize("name", DIGESTS)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_digests_name_all_files() -> None:
    assert set(DIGESTS) == {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("*/*")}
    for name, expected in DIGESTS.items():
        assert sha256((GOLDEN / name).read_bytes()) == expected["sha256"]


@pytest.mark.parametrize("kernels", ["compiled", "plain"])
@each_golden
def test_library(name: str, kernels: str) -> None:
    with environment(SUBBIT_KERNELS=kernels):
        subbit.verify(GOLDEN / name, base=PARENT)
        loaded = subbit.load(GOLDEN / name, base=PARENT)
    found = {
        key: {"dtype": value.dtype.name, "shape": list(value.shape), "sha256": sha256(value.tobytes())}
        for key, value in loaded.items()
    }
    assert found == DIGESTS[name]["tensors"]


def test_goldens_cover_every_type() -> None:
    found = {tensor["dtype"] for file in DIGESTS.values() for tensor in file["tensors"].values()}
    assert found == set(ITEM_SIZES)


def make(folder: Path, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(GOLDEN / "make_golden.py"), "--output", str(folder)]
    env = os.environ | settings
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def has_other_frames(name: str) -> bool:
    """Whether the golden holds zstd frames of another version of the library than the one at hand."""
    if name.endswith(".json"):
        return False
    with subbit.open(GOLDEN / name) as file:
        version = file.metadata.get("zstd")
    return version not in (None, ".".join(map(str, zstandard.ZSTD_VERSION)))


def oldest_processor() -> dict[str, str]:
    """What keeps NumPy from the instructions that only newer processors have, and BLAS from its kernels for them."""
    newer = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(newer), "OPENBLAS_CORETYPE": "Prescott"}


@pytest.mark.parametrize(
    "settings",
    [{"SUBBIT_THREADS": "2"}, {"SUBBIT_THREADS": "1"} | oldest_processor()],
    ids=["two threads", "one thread of the oldest processor"],
)
def test_same_input_gives_the_same_bytes(tmp_path: Path, settings: dict[str, str]) -> None:
    assert make(tmp_path, settings).returncode == 0
    made = json.loads((tmp_path / "digests.json").read_text(encoding="utf-8"))
    newest = {name: digest for name, digest in DIGESTS.items() if name.startswith(f"{NEWEST}/")}
    assert made.keys() == newest.keys()
    other = {name for name in made if has_other_frames(name)}
    assert [name for name in made if name not in other and made[name] != newest[name]] == []
    for name in other:
        assert made[name]["tensors"] == newest[name]["tensors"]
    victim = tmp_path / SMALLEST[0]
    wrong = json.dumps(made | {SMALLEST[0]: {"sha256": "0"}})
    (tmp_path / "digests.json").write_text(wrong, encoding="utf-8")
    victim.write_bytes(b"released")
    refused = make(tmp_path, settings)
    assert refused.returncode == 1
    assert SMALLEST[0] in refused.stderr
    assert victim.read_bytes() == b"released"


def reported(check: Callable[[Path], object], path: Path) -> bool:
    try:
        check(path)
    except subbit.SubbitError:
        return True
    return False


@pytest.mark.parametrize("check", [subbit.verify, subbit.load])
@pytest.mark.parametrize("name", SMALLEST)
def test_every_bit_flip_and_every_truncation_is_reported(
    tmp_path: Path, name: str, check: Callable[[Path], object]
) -> None:
    data, path = bytearray((GOLDEN / name).read_bytes()), tmp_path / "damaged.sbit"
    path.write_bytes(data)
    assert not reported(check, path)
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        assert reported(check, path), f"bit {bit}"
        data[bit // 8] ^= 1 << bit % 8
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert reported(check, path), f"{size} bytes"
