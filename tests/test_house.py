"""The rules that keep the house in order: who may import what, what importing costs, what stands in every file."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import subbit

ROOT = Path(__file__).parent.parent
PACKAGES = ("subbit", "formats/subbit_formats", "cli/subbit_cli")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

ONE_WAY = "Inside the library imports point one way"
STORIES = "The command line stands on the library, the library on the formats"
FORMATS = "Only the model, the read-only reports and the errors know the formats"
TORCH = "Only subbit.torch imports torch"
DASK = "Only the workers of a cluster import dask"
NUMBA = "Only the compiled kernels import numba"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def broken_contracts(house: Path) -> set[str]:
    path = os.pathsep.join(str(house / folder) for folder in (".", "formats", "cli"))
    lint = "from importlinter.cli import lint_imports_command as main; main()"
    run = subprocess.run(
        [sys.executable, "-c", lint, "--no-cache"], cwd=house, env=os.environ | {"PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "kept" in run.stdout, run.stdout + run.stderr
    found = set(re.findall(r"^(.+) BROKEN", run.stdout, re.MULTILINE))
    assert (run.returncode != 0) == bool(found)
    return found


def test_the_contracts_hold(house: Path) -> None:
    assert broken_contracts(house) == set()


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("subbit/bits/entropy.py", "import subbit.model", ONE_WAY),
        ("subbit/kernels/plain/rows.py", "from subbit.coders import rans", ONE_WAY),
        ("formats/subbit_formats/dtypes.py", "import subbit.records", STORIES),
        ("subbit/codecs/dense.py", "from subbit_formats.sbit import header", FORMATS),
        ("subbit/codecs/scalar/steps.py", "import torch", TORCH),
        ("cli/subbit_cli/compress.py", "def late() -> None:\n    import torch", TORCH),
        ("subbit/model/job.py", "import distributed", DASK),
        ("subbit/signs/angle.py", "import numba", NUMBA),
        ("subbit/kernels/plain/rows.py", "from numba import njit", NUMBA),
    ],
)
def test_the_contracts_bite(house: Path, module: str, line: str, contract: str) -> None:
    text = (house / module).read_text(encoding="utf-8")
    try:
        (house / module).write_text(f"{text}\n{line}\n", encoding="utf-8")
        assert broken_contracts(house) == {contract}
    finally:
        (house / module).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("subbit", {"numpy", "numba", "torch"}),
        ("subbit_cli.main", {"numpy", "numba", "torch"}),
        ("subbit_formats.sbit", {"numpy", "numba", "torch", "subbit"}),
        ("subbit.signing", {"numpy", "numba", "torch", "cryptography"}),
        ("subbit.model", {"numba", "torch", "cryptography", "distributed"}),
    ],
)
def test_importing_stays_light(imported: str, absent: set[str]) -> None:
    code = f"import sys, {imported}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert imported in loaded
    assert not absent & loaded


def test_every_public_name_is_there() -> None:
    assert set(subbit.__all__) <= set(dir(subbit))
    for name in subbit.__all__:
        assert getattr(subbit, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        subbit.nothing  # noqa: B018


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)


def test_one_place_states_the_version() -> None:
    places = [
        path for path in MODULES if re.search(r"^__version__\s*=", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert places == [ROOT / "subbit" / "version.py"]
    assert version("subbit") == subbit.__version__
    assert not re.search(r"^version\s*=", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)


def texts() -> Iterator[tuple[Path, str]]:
    for folder in (*PACKAGES, "formats", "tests", "benchmarks", "docs", "examples", ".ci"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in {".py", ".md", ".json", ".toml", ""}:
                yield path, path.read_text(encoding="utf-8", errors="replace")  # bad files are no UTF-8
    names = ("pyproject.toml", "mkdocs.yml", "Makefile", "constraints.txt", "CITATION.cff")
    for path in [*ROOT.glob("*.md"), *(ROOT / name for name in names)]:
        yield path, path.read_text(encoding="utf-8")


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    pattern = re.compile(r"(?<![\w.])/(root|home|work|Users|tmp/v)/[\w.]+")
    found = [f"{path.relative_to(ROOT)}: {match.group()}" for path, text in texts() for match in pattern.finditer(text)]
    assert not found
