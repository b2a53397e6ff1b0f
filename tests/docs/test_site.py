"""The site builds without a network and without a warning; its pages load nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import subbit
import subbit.torch
import subbit.torch.hf
import subbit.torch.lockin

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"""<(?:script|link|img|iframe|source)[^>]*?\b(?:src|href)=["']?(https?:)?//""")


def build(tree: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "-f", str(tree / "mkdocs.yml"), "-d", str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs")
    out = tmp_path_factory.mktemp("site")
    done = build(ROOT, out)
    assert done.returncode == 0, done.stderr
    return out


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assert not LOADED.search(page.read_text("utf-8")), page


def test_what_the_repository_holds_came_along(site: Path) -> None:
    assert "Header, 128 bytes" in (site / "repository/formats/SPEC.html").read_text("utf-8")
    assert (site / "repository/benchmarks/results/lockin/wall.png").stat().st_size > 1000
    text = (site / "format.html").read_text("utf-8")
    assert 'href="repository/formats/SPEC.html#limits"' in text
    assert "](" not in text


def test_every_public_name_is_described(site: Path) -> None:
    page = (site / "reference/api.html").read_text("utf-8")
    described = set(re.findall(r'id="([\w.]+)"', page))
    names = {name.rpartition(".")[2] for name in described} | {"open", "__version__"}
    for module in (subbit, subbit.torch, subbit.torch.lockin, subbit.torch.hf):
        assert set(module.__all__) <= names, module.__name__
    assert "open_file" in names


def test_a_link_to_nothing_is_refused(site: Path, tmp_path: Path) -> None:
    (tmp_path / "docs" / "tools").mkdir(parents=True)
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    plain = re.sub(r"^(plugins|nav):\n(?:[ -].*\n)+", "", settings, flags=re.MULTILINE)
    (tmp_path / "mkdocs.yml").write_text(plain, "utf-8")
    hook = "docs/tools/repository.py"
    (tmp_path / hook).write_text((ROOT / hook).read_text("utf-8"), "utf-8")
    (tmp_path / "there.md").write_text("# There\n", "utf-8")
    for link, code in (("../there.md#there", 0), ("../there.md#absent", 1), ("../absent.md", 1), ("absent.md", 1)):
        (tmp_path / "docs" / "index.md").write_text(f"# Home\n\n[link]({link})\n", "utf-8")
        done = build(tmp_path, tmp_path / "out")
        assert done.returncode == code, f"{link}\n{done.stderr}"
