"""`subbit report` and `inspect plot` as commands, and the page in a real browser, where there is one."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import subbit

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

PROBE = """<!DOCTYPE html><body style="margin:0">
<iframe style="border:0;height:6000px" width="WIDTH" src="PAGE"></iframe>
<script>
onload = () => {
  const frame = document.querySelector("iframe"), page = frame.contentDocument, root = page.documentElement;
  const all = [...page.querySelectorAll("body *")];
  const inside = (element) => element.closest(".scroll, .skip, .defs, details:not([open])");
  const out = all.filter((e) => !inside(e) && e.getBoundingClientRect().right > WIDTH + 1).map((e) => e.outerHTML);
  const clipped = [...page.querySelectorAll("svg.treemap .label")].filter((label) => {
    const box = label.getBoundingClientRect();
    const tile = label.parentNode.querySelector(".tile").getBoundingClientRect();
    return box.width && (box.right > tile.right + 1 || box.bottom > tile.bottom + 1);
  }).map((label) => label.textContent);
  const labels = [...page.querySelectorAll("svg.treemap .label")].filter((l) => l.getBoundingClientRect().width);
  const button = page.querySelectorAll("table.sorts thead button")[1];
  button.click();
  const cells = [...button.closest("table").tBodies[0].rows].map((row) => Number(row.cells[1].dataset.v));
  const sorted = button.closest("th").getAttribute("aria-sort");
  const paper = frame.contentWindow.getComputedStyle(page.body).backgroundColor;
  const found = { width: root.scrollWidth, out, clipped, labels: labels.length, cells, sorted, paper };
  document.body.innerHTML = "<pre>" + btoa(JSON.stringify(found).replace(/[^\\x00-\\x7f]/g, "?")) + "</pre>";
};
</script>"""


@pytest.fixture(scope="module")
def pages(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one.html and two.html."""
    folder = tmp_path_factory.mktemp("pages")
    subbit("report", home / "m.sbit", "-o", "one.html", cwd=folder).ok()
    subbit("report", home / "m.sbit", home / "m.sbit", "-o", "two.html", "--index-only", cwd=folder).ok()
    return folder


def chromium(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    profile = page.parent / "profile"
    fixed = (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
        "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
        "--allow-file-access-from-files", f"--user-data-dir={profile}",
    )  # fmt: skip
    return subprocess.run(
        [str(CHROMIUM), *fixed, *options, page.as_uri()], capture_output=True, encoding="utf-8", errors="replace",
        timeout=120, check=True,
    )  # fmt: skip


@pytest.fixture
def probe(pages: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Open a page at a width in a frame and say what is found there."""

    def look(page: str, width: int, *options: str) -> dict[str, Any]:
        frame = tmp_path / "probe.html"
        frame.write_text(PROBE.replace("WIDTH", str(width)).replace("PAGE", (pages / page).as_uri()), encoding="utf-8")
        done = chromium(frame, "--window-size=1300,6000", "--dump-dom", *options)
        assert "CONSOLE" not in done.stderr, done.stderr
        match = re.search("<pre>(.*?)</pre>", done.stdout)
        assert match, done.stdout
        return dict(json.loads(base64.b64decode(match[1])))

    return look


@browser
@pytest.mark.parametrize(("page", "width"), [("one.html", 360), ("one.html", 1200), ("two.html", 360)])
def test_the_page_fits_its_window(probe: Callable[..., dict[str, Any]], page: str, width: int) -> None:
    found = probe(page, width)
    assert found["width"] <= width
    assert found["out"] == []
    assert found["clipped"] == []
    assert found["labels"] > 0
    assert found["sorted"] == "descending"
    assert found["cells"] == sorted(found["cells"], reverse=True)
    assert found["paper"] == "rgb(255, 255, 255)"


@browser
def test_the_page_is_dark_where_that_is_asked_for(probe: Callable[..., dict[str, Any]]) -> None:
    assert probe("one.html", 360, "--blink-settings=preferredColorScheme=0")["paper"] == "rgb(20, 23, 28)"


@browser
def test_the_page_asks_no_network(pages: Path, tmp_path: Path) -> None:
    def asked(page: Path) -> set[str]:
        log, picture = tmp_path / "net.json", tmp_path / "page.png"
        done = chromium(page, f"--log-net-log={log}", f"--screenshot={picture}", "--window-size=500,800")
        assert "CONSOLE" not in done.stderr, done.stderr
        assert picture.read_bytes().startswith(b"\x89PNG")
        return set(re.findall(r'"initiator": ?"([^"]*)"', log.read_text(encoding="utf-8"))) - {"not an origin"}

    other = tmp_path / "other.html"
    other.write_text("<!DOCTYPE html><img src='http://127.0.0.1:9/x.png'>", encoding="utf-8")
    assert asked(other)
    assert not asked(pages / "one.html")


def test_the_commands(home: Path, tmp_path: Path) -> None:
    assert subbit("report", home / "m.sbit", "-o", "r.html", cwd=tmp_path).ok() == "wrote r.html\n"
    first = (tmp_path / "r.html").read_bytes()
    assert "exists" in subbit("report", home / "m.sbit", "-o", "r.html", cwd=tmp_path).error(2)
    against = ("--against", home / "m.safetensors", "--force")
    subbit("report", home / "m.sbit", "-o", "r.html", *against, cwd=tmp_path).ok()
    assert b"counted against the original" in (tmp_path / "r.html").read_bytes()
    assert b"as the file states them" in first
    message = subbit("report", *[home / "m.sbit"] * 3, "-o", "s.html", cwd=tmp_path).error(2)
    assert "one file or two" in message
    assert "no such file" in subbit("report", "none.sbit", "-o", "s.html", cwd=tmp_path).error(1)
    assert not (tmp_path / "s.html").exists()


def test_the_plots(home: Path, tmp_path: Path) -> None:
    done = subbit("inspect", "plot", home / "m.sbit", "-o", "treemap.png", cwd=tmp_path)
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        assert 'pip install "subbit[plot]"' in done.error(2)
        return
    assert done.ok() == "wrote treemap.png\n"
    assert (tmp_path / "treemap.png").read_bytes().startswith(b"\x89PNG")
    assert "exists" in subbit("inspect", "plot", home / "m.sbit", "-o", "treemap.png", cwd=tmp_path).error(2)
    assert "end its name in" in subbit("inspect", "plot", home / "m.sbit", "-o", "t.txt", cwd=tmp_path).error(2)
