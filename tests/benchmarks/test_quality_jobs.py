"""Jobs: what they count, store, choose and show."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

import subbit
from benchmarks import report
from benchmarks.peers.base import Stored
from benchmarks.quality import __main__ as command
from benchmarks.quality import ours, plot, run, store, texts
from benchmarks.quality.jobs import SHIPPED, Job, all_jobs
from benchmarks.quality.peers import ALL, Peer
from benchmarks.quality.store import Results
from benchmarks.quality.tables import tables


class Line:
    """A model of one linear layer, whose figure is what it makes of ones."""

    checkpoint, shipped_bits, covered, weights, covered_weights, rest_bytes = None, 32.0, ("weight",), 2064, 2048, 32

    def __init__(self, path):
        self.checkpoint = path
        save_file({"weight": torch.randn(32, 64, generator=torch.manual_seed(0)), "bias": torch.zeros(16)}, path)
        self.tensors = load_file(path)

    def with_weights(self, replaced):
        return {**self.tensors, **replaced}["weight"]

    def from_file(self, path):
        return subbit.load(path)["weight"]

    def figures(self, module):
        return {"error": float(((module - self.tensors["weight"]) ** 2).mean())}


def test_a_job_counts_the_bytes_of_what_it_evaluates(tmp_path, monkeypatch):
    line = Line(tmp_path / "model.safetensors")
    monkeypatch.setattr(run, "opened", lambda name: line)
    monkeypatch.setitem(run.PEERS, "half", Peer(lambda weight, given: Stored(96, lambda: weight / 2), False, ALL))
    assert run.perform(Job("line", SHIPPED))["figures"] == {"error": 0}
    half = run.perform(Job("line", "half"))
    assert half["figures"]["error"] == pytest.approx(float((line.tensors["weight"] ** 2).mean()) / 4)
    assert (half["coded_bits"], half["bytes"], half["file_bits"]) == (0.375, 128, 8 * 128 / 2064)
    rounded = run.perform(Job("line", ours.UNIFORM))
    assert 2.25 < rounded["coded_bits"] < rounded["file_bits"] < 16
    assert 0.05 < rounded["figures"]["error"] < 0.6
    free = run.perform(Job("line", ours.DATA_FREE, 3.0))
    assert 2 < free["coded_bits"] <= 3
    assert free["figures"]["error"] < rounded["figures"]["error"]


def invented(job):
    """A result of the right form whose figures follow from the job."""
    if job.method == "llama.cpp Q1_0":
        return {"unavailable": "refuses: 576 columns"}
    if job.method == "hqq 1-bit":
        return {"unavailable": "not installed"}
    bits = job.bits or 5.0
    if job.model == "smollm2":
        lost = 0 if job.method == SHIPPED else 1 / bits + bool(job.without)
        figures = {
            text: {"perplexity": 30 * (1 + lost + (job.text not in (None, text))), "kl": lost, "tokens": 8176}
            for text in texts.TEXTS
        }
    elif job.model == "minilm":
        figures = {text: {"retrieval": 0.5, "agreement": bits / 5} for text in texts.TEXTS}
    else:
        figures = {"accuracy": bits / 5, "cross_entropy": 12345.6}
    sizes = {"coded_bits": bits, "file_bits": bits + 1, "bytes": 1, "compress_seconds": 7.2, "evaluate_seconds": 1.0}
    return {**sizes, "figures": figures}


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Invented runs for everything, and calibrated ones."""
    monkeypatch.setattr(ours, "RUNGS", {"feedback": {}})
    monkeypatch.setattr(store, "RESULTS", tmp_path / "quality.json")
    monkeypatch.setattr(command, "perform", invented)
    command.run(Results(), all_jobs())
    return Results()


def test_what_is_stored_is_not_run_again_but_what_was_missing_is(results):
    again = [job for job in all_jobs() if job not in results]
    assert {job.method for job in again} == {"hqq 1-bit"}
    assert json.loads(results.path.read_text("utf-8"))["machine"]["peers"]
    keys = [job.key for job in all_jobs()]
    assert len(set(keys)) == len(keys)
    assert "smollm2/subbit/1/wikitext2/without feedback" in keys
    assert "crepe/subbit/1/healed 2" in keys


def test_jobs_are_chosen_by_model_and_by_pattern():
    assert {job.model for job in command.chosen(["minilm"])} == {"minilm"}
    assert [job.key for job in command.chosen(["*/shipped"])] == [
        f"{model}/shipped" for model in ("smollm2", "minilm", "efficientnet", "crepe")
    ]
    with pytest.raises(SystemExit):
        command.main(["no such model"])


def test_tables_hold_multiples_in_and_out_of_domain(results):
    lines = tables(results).splitlines()
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in reversed(lines) if line.startswith("| ")}
    assert "(30.0 on wikitext2, 30.0 on shakespeare; its bits: 5.00, file 6.00)" in lines[0]
    assert rows["subbit, 0.5"] == (
        "| subbit, 0.5 | 0.500 | 1.500 | 3.00 × / 2.00 | 4.00 × / 2.00 | 3.00 × / 2.00 | 4.00 × / 2.00 | 7 |"
    )
    assert "2.00 × / 1.00 | 2.00 × / 1.00" in rows["subbit, no data, 1"]  # the same, whatever the text
    assert "subbit, 1 of the file, healed 20" in rows
    own = rows["subbit, 1, on text of its own"].split(" | ")
    assert own[3] == own[4] == "3.00 × / 1.00"
    assert "refuses | refuses" in rows["llama.cpp Q1_0"]
    assert "– | –" in rows["hqq 1-bit"]
    assert "subbit, 0.5, healed 20" in rows
    assert rows["nothing"] == "| nothing | 2.00 × / 1.00 |"
    assert rows["feedback"] == "| feedback | 3.00 × / 2.00 |"
    assert "| subbit, no data, 1 | 1.000 | 2.000 | 0.500 / 0.200 | 0.500 / 0.200 |" in lines
    assert "| subbit, no data, 1 | 1.000 | 2.000 | 0.200 / 12,346 |" in lines
    assert not tables(Results(results.path.with_name("none.json")))


def test_the_command_shows_what_is_stored(results, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.md"
    monkeypatch.setitem(report.PAGES, "quality", str(page))
    monkeypatch.setitem(report.PAGES, "summary", str(page))
    monkeypatch.setattr(plot, "FOLDER", tmp_path / "figures")
    page.write_text(
        "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in ("quality", "summary")), "utf-8"
    )
    command.main(["--docs"])
    assert tables(results) in page.read_text("utf-8")
    assert (tmp_path / "figures" / "perplexity.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    command.main(["smollm2", "--list"])
    assert capsys.readouterr().out.startswith("stored  smollm2/shipped\n")
