"""What is uploaded: sdist and wheel, and that one place states the version."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import subbit

ROOT = Path(__file__).parent.parent


def build(tree: Path, folder: Path, target: str) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build(ROOT, folder, "sdist")) as archive:
        archive.extractall(folder / "tree", filter="data")
    (tree,) = (folder / "tree").iterdir()
    return tree


def test_the_sdist_has_what_builds_tests_and_explains_it(sdist: Path) -> None:
    for name in ("subbit/py.typed", "formats/SPEC.md", "cli/REFERENCE.md", "tests/test_release.py", "CITATION.cff"):
        assert (sdist / name).read_bytes() == (ROOT / name).read_bytes()
    assert not list(sdist.rglob("__pycache__"))


def test_the_wheel_of_the_sdist_is_the_one_of_the_tree(sdist: Path, tmp_path: Path) -> None:
    contents = []
    for tree, name in ((ROOT, "ours"), (sdist, "theirs")):
        with zipfile.ZipFile(build(tree, tmp_path / name, "wheel")) as archive:
            contents.append({entry.filename: entry.CRC for entry in archive.infolist()})
    ours, theirs = contents
    assert ours == theirs
    packages = {name.split("/")[0] for name in ours}
    assert packages == {"subbit", "subbit_formats", "subbit_cli", f"subbit-{subbit.__version__}.dist-info"}
    assert {f"{package}/py.typed" for package in ("subbit", "subbit_formats", "subbit_cli")} <= set(ours)
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "subbit").rglob("*.py")}
    assert modules <= set(ours)


def test_one_place_states_the_version() -> None:
    assert version("subbit") == subbit.__version__
    stated = re.compile(rf"version[\W_]+{re.escape(subbit.__version__)}\b")
    files = [*ROOT.glob("*.toml"), *ROOT.glob("*.cff"), *ROOT.glob("subbit*/**/*.py"), *ROOT.glob("cli/**/*.py")]
    assert [path for path in files if stated.search(path.read_text("utf-8"))] == [ROOT / "subbit" / "version.py"]


def test_it_can_be_cited() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["references"][0]["identifiers"] == [{"type": "other", "value": "arXiv:2602.17063"}]
