from __future__ import annotations

import torch

from benchmarks import coded
from benchmarks.charlm import text
from benchmarks.coded_tables import tables
from benchmarks.lockin.jobs import Job
from benchmarks.lockin.training import train


def test_a_tuning_is_measured_on_what_the_file_holds(monkeypatch):
    monkeypatch.setattr(coded, "nats", lambda model, codes: model.loss(codes[:1161].unfold(0, 129, 128)).item())
    parts = text()
    for options in coded.MODELS.values():
        trained = train(Job(0, 3, 4e-3, 0.01, batch=1, **options), parts)
        weight = trained.model.blocks[0].up.weight
        before = weight.detach().clone()
        found = coded.tune(trained, 0.5, 0, 2, parts)
        assert 0.4 < found["bits"] <= 0.5 < found["file_bits"]
        assert torch.equal(trained.model.blocks[0].up.weight, before)
        assert "bits" not in coded.tune(trained, None, 0, 2, parts)


def test_the_table_takes_differences_seed_by_seed():
    def run(signs: str, asked: float | None, seed: int, test: float) -> dict[str, object]:
        stored = {"bits": asked, "file_bits": 1.4} if asked else {}
        start = {"trained": 9, "steps": 5, "seed": seed, "signs": signs, "asked": asked, "before": 3.0}
        return start | stored | {"test": test}

    runs = [run(coded_signs, bits, seed, test + seed) for coded_signs, bits, seed, test in (
        ("ordinary signs", None, 0, 1.0), ("ordinary signs", None, 1, 1.5),
        ("ordinary signs", 0.5, 0, 2.0), ("ordinary signs", 0.5, 1, 2.5),
        ("hashed template", 0.5, 0, 1.25), ("hashed template", 0.5, 1, 1.75),
    )]  # fmt: skip
    lines = tables(runs).splitlines()
    assert lines[0].startswith("9 steps of training, then 5 of tuning")
    assert lines[-1].endswith("| +0.250 ± 0.000 | -0.750 ± 0.000 |")
    assert lines[-3].startswith("| ordinary signs | – | – |")
