"""Every table of README and docs/ is what its benchmark makes of the stored results."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import report

ROOT = Path(__file__).parents[2]
PACKAGES = {"quality", "lockin", "trust"}


def test_every_marker_belongs_to_a_benchmark() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    found = {
        name: page.relative_to(ROOT).as_posix()
        for page in pages
        for name in re.findall(r"<!-- (\w+):begin -->", page.read_text("utf-8"))
    }
    assert found == report.PAGES


@pytest.mark.parametrize("name", [name for name in report.PAGES if name != "summary"])
def test_tables_are_those_of_the_results(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in set(report.PAGES.values()):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((ROOT / path).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    module = import_module(f"benchmarks.{name}" + (".__main__" if name in PACKAGES else ""))
    if name == "quality":
        monkeypatch.setattr(module, "draw", lambda results: None)  # a picture is no table
    if not (ROOT / "benchmarks" / "results" / f"{name}.json").exists():
        pytest.skip("not measured yet")
    module.main(["--docs"])
    for path in set(report.PAGES.values()):
        assert (tmp_path / path).read_text("utf-8") == (ROOT / path).read_text("utf-8"), path
