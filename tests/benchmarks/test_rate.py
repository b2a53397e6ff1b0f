from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import data, methods, ours, rate, report
from benchmarks.peers import scalar_ans
from benchmarks.peers.base import UnavailableError
from subbit.signs import Angle, Hashed


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(data, "SIDE", 256)


def weights():
    random = np.random.default_rng(3)
    return {name: random.standard_normal((128, 192)).astype(np.float32) for name in ("b", "a")}


def test_bits_are_those_of_the_file_and_errors_those_of_what_it_holds(tmp_path):
    path, given = tmp_path / "model.sbit", weights()
    file = ours.through_file(given, path, bits=0.8)
    row, _ = rate._run(methods.Method("ours", lambda *_: file), given, tmp_path, check=True)
    assert row["bytes"] == path.stat().st_size
    assert row["bits"] == 8 * row["bytes"] / (2 * 128 * 192)
    lost = sum(((given[name] - array).astype(float) ** 2).sum() for name, array in file.decode().items())
    assert row["error"] == pytest.approx(lost / sum((w.astype(float) ** 2).sum() for w in given.values()))
    assert 0.2 < row["error"] < 0.6


def test_decoding_reads_the_file_and_nothing_else(tmp_path):
    path = tmp_path / "model.sbit"
    file = ours.through_file(weights(), path, bits=0.8)
    other = {name: 2 * weight for name, weight in weights().items()}
    before = file.decode()["a"]
    ours.through_file(other, path, bits=0.8)
    assert not np.array_equal(file.decode()["a"], before)


def test_every_turn_runs_every_method_and_a_missing_one_says_why():
    turns = []

    def missing(*_):
        raise UnavailableError("refuses: too narrow")

    def exact(given, path):
        turns.append(len(given))
        return methods.File(4, lambda: given)

    rows = rate.measure(weights(), [methods.Method("exact", exact), methods.Method("missing", missing)], 2)
    assert turns == [1, 2, 2]  # a corner first, uncounted
    assert rows[0]["bits"] == 32 / (2 * 128 * 192)
    assert rows[0]["error"] == 0
    assert rows[0]["decode_in_copies"] > 0
    assert rows[1] == {"method": "missing", "unavailable": "refuses: too narrow"}


def test_data_are_the_same_every_time_and_templates_have_their_signs(small):
    assert data.synth()["weight"].tobytes() == data.synth()["weight"].tobytes()
    right, other = (data.template(plane)["weight"] for plane in (Angle(seed=1), Hashed(seed=1)))
    assert np.array_equal(np.abs(right), np.abs(other))
    assert 0.4 < np.mean(np.signbit(right) == np.signbit(other)) < 0.6
    flipped = data.template(Angle(seed=1), flips=0.01)["weight"]
    assert 0.005 < np.mean(np.signbit(right) != np.signbit(flipped)) < 0.015
    normal = data.gaussian()["weight"]
    assert data.relative_error({"weight": normal}, {"weight": np.zeros_like(normal)}) == 1


def test_a_template_costs_next_to_nothing(small, tmp_path):
    given = data.DATASETS["template-hashed"]()
    chosen = {method.name: method for method in ours.methods_for("template-hashed", given)}
    file = chosen["subbit template × scales"].encode(given, tmp_path / "model.sbit")
    assert 8 * file.size / 256**2 < 0.25
    assert data.relative_error(given, file.decode()) == pytest.approx(1 - 2 / np.pi, abs=0.01)
    file = chosen["subbit compress, 0.5"].encode(given, tmp_path / "model.sbit")
    assert data.relative_error(given, file.decode()) < 0.3  # the declaration was found and used


@pytest.mark.parametrize("bits", [0.5, 1.0])
def test_the_bar_stays_within_its_budget_and_decodes(bits):
    pytest.importorskip("constriction")
    weight = np.random.default_rng(1).standard_normal((512, 512)).astype(np.float32)
    stored = scalar_ans.encode(weight, bits)
    assert bits * 0.99 < 8 * stored.size / weight.size < bits * 1.01
    error = data.relative_error({"w": weight}, {"w": stored.decode()})
    assert 2 ** (-2 * bits) < error < 2 ** (-2 * bits) + 0.16


def test_peers_that_are_installed_decode_what_they_encoded(tmp_path):
    given = {"w": np.random.default_rng(1).standard_normal((64, 1024)).astype(np.float32) * data.SCALE}
    for peer in methods.PEERS:
        if peer.name.startswith(("llama.cpp Q", "hqq")):
            try:
                file = peer.encode(given, tmp_path / "unused")
            except UnavailableError:
                continue
            assert 1 < 8 * file.size / 65536 < 2.7
            assert data.relative_error(given, file.decode()) < 1.2


RESULTS = {
    "version": 1,
    "data": {
        "synth": {
            "weights": 1e6,
            "rows": [
                {"method": "one", "bits": 0.5, "error": 0.25, "encode_seconds": 1, "decode_seconds": 0.01}
                | {"decode_in_copies": 2.0},
                {"method": "two", "unavailable": "refuses: 3 columns"},
                {"method": "three", "unavailable": "not installed"},
            ],
        },
    },
}


def test_tables_show_figures_refusals_and_absences():
    lines = report.tables(RESULTS).splitlines()
    assert lines[2] == "| one | 0.500 / 0.250 | 200 | 2 |"
    assert lines[3] == "| two | refuses |  |  |"
    assert lines[4] == "| three | – |  |  |"


def test_a_page_changes_between_its_markers_only():
    text = "head\n<!-- rate:begin -->\nold\n<!-- rate:end -->\ntail\n"
    assert report.rewrite(text, "rate", "new") == text.replace("old", "new")
    for broken in ("no markers", text + text, "<!-- rate:end --><!-- rate:begin -->"):
        with pytest.raises(SystemExit, match="rate:begin"):
            report.rewrite(broken, "rate", "new")


def test_the_docs_option_writes_the_stored_table(tmp_path, monkeypatch):
    results, page = tmp_path / "rate.json", tmp_path / "rate.md"
    results.write_text(json.dumps(RESULTS), "utf-8")
    page.write_text("# subbit\n<!-- rate:begin -->\n<!-- rate:end -->\n", "utf-8")
    monkeypatch.setattr(rate, "RESULTS", results)
    monkeypatch.setitem(report.PAGES, "rate", str(page))
    rate.main(["--docs"])
    assert report.tables(RESULTS) in page.read_text("utf-8")
    with pytest.raises(SystemExit):
        rate.main(["no-such-data"])
