from __future__ import annotations

import json
import math

import pytest
import torch

from benchmarks import charlm, lockin, lockin_tables

CORRECTED = "angle-barrier-correction4"


@pytest.fixture
def parts(monkeypatch):
    """A short text and one learning rate."""
    monkeypatch.setattr(lockin, "RATES", (4e-3,))
    cut = charlm.Text(*(part[:3000] for part in charlm.text()))
    monkeypatch.setattr(lockin, "text", lambda: cut)
    return cut


def test_the_parts_of_the_text_share_no_paragraph_and_no_window():
    parts = charlm.text()
    assert sum(map(len, parts)) > 200_000
    assert 0.79 < len(parts.train) / sum(map(len, parts)) < 0.81
    paragraphs = [set(bytes(part.tolist()).split(b"\n\n")[1:-1]) for part in parts]
    assert not paragraphs[0] & paragraphs[1]
    assert not (paragraphs[0] | paragraphs[1]) & paragraphs[2]


def test_batches_are_those_of_their_seed():
    codes = torch.arange(1000)
    first, same, other = (torch.stack(list(charlm.batches(codes, seed, 2, 4))) for seed in (0, 0, 1))
    assert first.shape == (2, 4, charlm.CONTEXT + 1)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_nats_count_every_window_alike(parts):
    torch.manual_seed(0)
    model = charlm.CharLM()
    windows = parts.test.unfold(0, charlm.CONTEXT + 1, charlm.CONTEXT)
    each = [model.loss(window[None]).item() for window in windows]
    assert charlm.nats(model, parts.test) == pytest.approx(sum(each) / len(each), rel=1e-5)


def test_a_prediction_sees_nothing_that_comes_after_it(parts):
    torch.manual_seed(0)
    model = charlm.CharLM()
    x = torch.randn(1, 9, charlm.WIDTH, requires_grad=True)
    model.blocks[0](x)[0, 4].sum().backward()
    assert x.grad[0, :5].abs().sum(1).min() > 0
    assert x.grad[0, 5:].abs().max() == 0


@pytest.mark.parametrize("variant", ["hashed-project", CORRECTED])
def test_a_run_counts_flips_and_stays_within_half_a_bit(parts, variant):
    run = lockin.train(variant, 0, 2, 4e-3, parts)
    assert run["flips"] == 0
    assert math.isfinite(run["test"])
    assert run["test"] != run["validation"]
    assert 0.45 < run["stored"]["bits"] <= 0.5  # of the weights, whatever a correction adds
    assert run["stored"]["file_bits"] > run["stored"]["bits"]


def test_runs_are_stored_one_by_one_and_not_repeated(parts, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lockin, "RESULTS", tmp_path / "results" / "lockin.json")
    monkeypatch.setattr(lockin, "README", readme := tmp_path / "README.md")
    trained = []
    monkeypatch.setattr(lockin, "train", lambda *given, real=lockin.train: trained.append(given[:2]) or real(*given))
    lockin.main(["dense", "--steps", "2", "--seeds", "0"])
    lockin.main(["dense", "hashed-barrier", "--steps", "2", "--seeds", "0"])
    assert trained == [("dense", 0), ("hashed-barrier", 0)]
    stored = json.loads(lockin.RESULTS.read_text("utf-8"))
    assert [run["variant"] for run in stored["runs"]] == ["dense", "hashed-barrier"]
    assert 0 < stored["runs"][0]["flips"] < 0.5
    assert [found["rho"] for found in stored["runs"][0]["excursions"]] == [0.5, 1.0]
    readme.write_text("<!-- lockin:begin -->\n<!-- lockin:end -->\n", "utf-8")
    lockin.main(["--readme"])
    table = lockin_tables.tables(stored["runs"])
    assert table in readme.read_text("utf-8")
    assert table in capsys.readouterr().out
    with pytest.raises(SystemExit):
        lockin.main(["no such variant"])


def run(variant, seed, test, flips=0.0, rate=1e-3, validation=1.0):
    stored = {"bits": 0.5, "file_bits": 0.7, "test": test + 1}
    excursions = [{"rho": 0.5, "k": [60, 20, 10, 10] + [0] * 28}]
    asked = {"variant": variant, "seed": seed, "steps": 2, "learning_rate": rate}
    return asked | {"validation": validation, "test": test, "flips": flips, "stored": stored, "excursions": excursions}


def test_the_table_takes_the_rate_that_suits_the_dense_control_and_compares_seed_by_seed():
    runs = [run("dense", 0, 9.0, rate=2e-3, validation=2.0), run("dense", 0, 2.0, 0.3), run("dense", 1, 1.0, 0.3)]
    runs += [run("other", 0, 2.5), run("other", 1, 1.25, flips=1e-4)]
    text = lockin_tables.tables(runs)
    assert "at learning rate 0.001" in text
    assert "| dense | 2 | 1.500 ± 0.707 |  | 0.3 | 0.500 | 0.700 | 2.500 ± 0.707 |" in text
    assert "| other | 2 | 1.875 ± 0.884 | +0.375 ± 0.177 | 5.0e-05 | 0.500 | 0.700 | 2.875 ± 0.884 |" in text
    # 40 of 100 came back; 30 of them went on, 10 + 10 a second time, and all stopped: g = 30 / 70.
    assert "| 0.002 | 0.5 | 0.4 (0.3–0.5) | 0.43 " in text
    assert "| 0.4, 0.2, 0.1, 0 |" in text
