"""The page without a browser: what it counts, what it escapes, what it says of any kind of file."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import subbit
from formats.bad.forge import forge
from subbit.analysis.report import write_report
from subbit.analysis.report.facts import Facts, read_facts
from subbit.analysis.report.groups import MOST_KINDS, MOST_LAYERS, by_kind, by_layer
from subbit.analysis.report.page import make_page
from subbit.analysis.report.planes import bound, rate_figures, sign_figures
from subbit.analysis.report.signs import Signs, Unmeasured
from subbit.analysis.report.treemap import lay_out, treemap
from subbit.errors import SubbitError, UsageError
from tests.checks import weights

GOLDEN = Path(__file__).parents[3] / "formats" / "golden" / "0.1"
HOSTILE = "</title><script>alert(1)</script><img src=x onerror='a()'>\"&\u202e"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers with signs from a template and joint ones, an embedding and norms, with what travels along."""
    folder = tmp_path_factory.mktemp("model")
    tensors = {f"model.layers.{n}.{kind}.weight": weights((48, 64), n) for n in (0, 1) for kind in ("up", "down")}
    tensors |= {"model.embed.weight": weights((40, 64)), "model.norm.weight": np.ones(64, np.float32)}
    codec = subbit.Signed(subbit.Angle(seed=1), subbit.Scales())
    save_file(tensors, folder / "m.safetensors")
    plan = subbit.plan(tensors, bits=1.5).using("*up*", codec)
    subbit.compress(folder / "m.safetensors", folder / "m.sbit", plan=plan)
    return folder / "m.sbit"


@pytest.fixture(scope="module")
def facts(model: Path) -> Facts:
    return read_facts(model)


class Page(HTMLParser):
    """Every start tag with its attributes, and the text of every element that is neither style nor script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag == "wbr":
            self.text = self.text.removesuffix("\n")
        elif tag not in ("meta", "link"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.text += data + "\n"

    def of(self, name: str) -> list[dict[str, Any]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def test_every_byte_has_its_part(facts: Facts, model: Path) -> None:
    assert sum(facts.parts.values()) == facts.bytes == model.stat().st_size
    for row in facts.rows:
        assert sum(row.parts.values()) == row.bytes
    assert {"joint", "apart", "flips", "scales", "dense", "index"} <= set(facts.parts)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.sbit*")), ids=lambda path: path.name)
def test_any_file_makes_a_page(path: Path) -> None:
    facts = read_facts(path, measure=False)
    whole = path.stat().st_size
    if path.suffix == ".json":
        whole += sum(shard.stat().st_size for shard in path.parent.glob("shards-*.sbit"))
    assert sum(facts.parts.values()) == facts.bytes == whole
    page = Page(make_page([facts]))
    assert not page._open
    assert f"{whole:,}" in page.text
    for row in facts.rows:
        assert row.name in page.text


def test_areas_are_bytes(facts: Facts) -> None:
    tiles = treemap(facts)
    assert [tile.label for tile in tiles if tile.label.startswith("layer")] == ["layer 0", "layer 1"]
    for tile in tiles:
        assert tile.box[2] * tile.box[3] == pytest.approx(tile.bytes / facts.bytes)
        assert tile.largest.bytes == max(cell.bytes for cell in tile.cells)
        for cell in tile.cells:
            assert cell.box[2] * cell.box[3] == pytest.approx(cell.bytes / facts.bytes)
            left, top, width, height = cell.box
            assert min(left, top) >= -1e-9
            assert max(left + width, top + height) <= 1 + 1e-9
    assert lay_out([6, 6, 4, 3, 2, 2, 1], (0.0, 0.0, 6.0, 4.0))[:2] == [(0, 0, 3, 2), (0, 2, 3, 2)]


def test_signs_are_counted_or_bounded(facts: Facts) -> None:
    found = {row.name: row.signs for row in facts.rows}
    up, down = found["model.layers.0.up.weight"], found["model.layers.0.down.weight"]
    assert isinstance(up, Signs)
    assert isinstance(down, Signs)
    assert (up.plane, down.plane, down.flips) == ("angle", None, None)
    assert up.flips == pytest.approx(0.5, abs=0.05)
    assert up.bits >= up.flip_bits > 0.98
    assert 0 < down.bits <= 1.5
    assert found["model.norm.weight"] is None
    assert {mark.family for mark in sign_figures([facts])[0].marks} == {"template", "joint"}


def test_what_cannot_be_decoded_is_said() -> None:
    alone = read_facts(GOLDEN / "base.sbit")
    assert {type(row.signs) for row in alone.coded} == {Unmeasured}
    assert "its parent checkpoint was not given" in make_page([alone])
    assert "parent.sbit, needed by" in make_page([alone])
    bound_to = read_facts(GOLDEN / "base.sbit", base=GOLDEN / "parent.sbit")
    assert all(isinstance(row.signs, Signs) for row in bound_to.coded)


def test_damage_is_an_error(model: Path, tmp_path: Path) -> None:
    data = bytearray(model.read_bytes())
    with subbit.open(model) as file:
        data[file["model.layers.0.down.weight"].entry.offset + 9] ^= 1
    (tmp_path / "m.sbit").write_bytes(data)
    with pytest.raises(SubbitError, match="down"):
        read_facts(tmp_path / "m.sbit")


def test_errors_are_stated_or_counted(facts: Facts, model: Path) -> None:
    counted = read_facts(model, against=model.with_name("m.safetensors"))
    assert (facts.errors, counted.errors) == ("stated", "counted")
    assert [row.error for row in counted.rows] == pytest.approx([row.error for row in facts.rows])
    assert len(rate_figures([facts])[0].marks) == len(facts.coded) == 4
    assert rate_figures([read_facts(GOLDEN / "tiny-deadzone.sbit")]) == []
    assert bound(0.5) == 0.5


def test_signatures_are_shown_and_checked(model: Path, tmp_path: Path) -> None:
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    from cryptography.hazmat.primitives import serialization as forms

    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    private, public, file = (tmp_path / name for name in ("key.pem", "pub.pem", "m.sbit"))
    private.write_bytes(
        key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    )  # fmt: skip
    public.write_bytes(
        key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    )  # fmt: skip
    file.write_bytes(model.read_bytes())
    assert "none beside the file" in make_page([read_facts(file, measure=False)])
    subbit.sign(file, private)
    named = key.public_key().public_bytes_raw().hex()
    assert f"not checked here, by key <code>{named}" in make_page([read_facts(file, measure=False)])
    checked = read_facts(file, public_key=public, measure=False)
    assert "checked: every byte is what this key signed" in make_page([checked])
    assert checked.provenance.pieces[0].sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    file.with_name("m.sbit.sig").write_bytes(b"none")
    assert "one that this version cannot read" in make_page([read_facts(file, measure=False)])
    with pytest.raises(SubbitError, match="no signature"):
        read_facts(file, public_key=public)


def test_the_page_is_the_same_bytes(model: Path, tmp_path: Path) -> None:
    pages = [write_report([model], tmp_path / name).read_bytes() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]
    assert str(tmp_path).encode() not in pages[0]
    assert str(model.parent).encode() not in pages[0]
    with pytest.raises(UsageError, match="exists"):
        write_report([model], tmp_path / "a.html")
    with pytest.raises(UsageError, match="one file or two"):
        write_report([model] * 3, tmp_path / "c.html")


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    tensor = {"codec": 0, "dtype": "int8", "name": HOSTILE, "sections": [["data", 1]], "shape": [1]}
    strange = tensor | {"codec": 1, "name": f"{HOSTILE}.1.{HOSTILE}"}
    index = {
        "aliases": {f"{HOSTILE}tied": HOSTILE},
        "codecs": [{"id": "dense"}, {"id": HOSTILE, "knobs": {"signs": {"kind": HOSTILE}}}],
        "extras": [{"name": HOSTILE, "size": 1}],
        "metadata": {HOSTILE: HOSTILE, "subbit.base": HOSTILE},
        "tensors": sorted([tensor, strange], key=lambda entry: str(entry["name"])),
    }
    path = forge(tmp_path / "</title><script>x.sbit".replace("/", "∕"), index, [b"s", b"s", b"s"])
    markup = write_report([path, path], tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(markup)
    assert HOSTILE[:-1] in page.text
    assert "\u202e" not in markup
    assert "\\u202e" in markup
    assert len(page.of("script")) == 1
    assert not page.of("img")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]


def test_the_policy_lets_nothing_in(facts: Facts) -> None:
    markup = make_page([facts, facts])
    page = Page(markup)
    policy = next(meta["content"] for meta in page.of("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name in ("style", "script"):
        (content,) = re.findall(f"<{name}>(.*?)</{name}>", markup, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert not re.findall(r"https?:|//[a-z]|@import|\bsrc=", markup.replace("http-equiv", ""))
    assert {use["href"][0] for use in [*page.of("use"), *page.of("a")]} == {"#"}
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {use["href"][1:] for use in page.of("use")} | {a["href"][1:] for a in page.of("a")} <= set(ids)
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.of("svg"))
    assert all(attributes["tabindex"] == "0" for attributes in page.of("div") if attributes.get("role") == "region")


def test_two_files_are_compared(facts: Facts) -> None:
    other = read_facts(GOLDEN / "tiny-deadzone.sbit")
    page = Page(make_page([facts, other]))
    assert "A: m.sbit" in page.text
    assert "B: tiny-deadzone.sbit" in page.text
    assert f"{other.bytes - facts.bytes:+,}".replace("-", "−") in page.text
    assert "→ not there" in page.text
    same = Page(make_page([facts, facts]))
    assert "not there" not in same.text
    assert "+0.000" in same.text


def test_many_tensors_are_grouped(tmp_path: Path) -> None:
    names = sorted({*(f"t.{n}.w{n % 70}" for n in range(3000)), *(f"alone{n}" for n in range(2000))})
    tensors = [{"codec": 0, "dtype": "int8", "name": n, "sections": [["data", 1]], "shape": [1]} for n in names]
    path = forge(tmp_path / "many.sbit", {"codecs": [{"id": "dense"}], "tensors": tensors}, [b"s"] * len(names))
    facts = read_facts(path)
    layers, kinds = by_layer(facts.rows), by_kind(facts.rows)
    assert len(layers) <= MOST_LAYERS + MOST_KINDS + 1
    assert len(kinds) <= MOST_KINDS + 1
    for groups in ([layers], kinds.values()):
        assert sum(group.bytes for members in groups for group in members) == sum(row.bytes for row in facts.rows)
    page = make_page([facts])
    assert "too many for a page" in page
    assert len(page) < 1 << 20


@pytest.mark.parametrize("name", ["treemap", "tensors", "signs", "rate"])
def test_figures_are_plotted(facts: Facts, name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from subbit.analysis.report.plots import FIGURES, plot_figure

    assert name in FIGURES
    for number in (1, 2):
        plot_figure(facts, name, tmp_path / f"{number}.svg")
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()
    empty = read_facts(GOLDEN / "tiny-dense.sbit")
    if name != "treemap":
        with pytest.raises(SubbitError, match="tiny-dense"):
            plot_figure(empty, name, tmp_path / "3.svg")
        assert not (tmp_path / "3.svg").exists()
