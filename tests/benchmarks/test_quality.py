from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

import subbit
from benchmarks.peers import llama_cpp, quanto
from benchmarks.peers.base import Stored, UnavailableError
from benchmarks.quality import __main__ as command
from benchmarks.quality import ours, plot, run, store, texts
from benchmarks.quality.inputs import mean_squares
from benchmarks.quality.jobs import SHIPPED, Job, all_jobs
from benchmarks.quality.likelihood import Teacher, hidden_states, likelihood
from benchmarks.quality.models.crepe import CrepeTiny, pitch, tones
from benchmarks.quality.models.efficientnet import EfficientNet, EfficientNetLite0
from benchmarks.quality.models.minilm import spearman
from benchmarks.quality.peers import ALL, Peer
from benchmarks.quality.store import Results
from benchmarks.quality.tables import tables


class Characters:
    """A tokenizer whose tokens are the codes of characters."""

    def encode(self, text):
        return type("Encoded", (), {"ids": [ord(letter) for letter in text]})


ARTICLES = "".join(f" \n = Article {n} = \n \n The text of article {n} . \n" * 3 for n in range(300))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "_FOLDER", tmp_path)
    (tmp_path / "wikitext2-valid.txt").write_text(ARTICLES, "utf-8")
    (tmp_path / "tinyshakespeare.txt").write_text("A:\nOne.\n\nB:\nTwo.\n\n" * 500, "utf-8")
    return tmp_path


@pytest.mark.parametrize("name", texts.TEXTS)
def test_halves_never_overlap_and_nothing_is_lost(folder, name):
    whole = (folder / texts.TEXTS[name]).read_text("utf-8")
    calibration, evaluation = texts.halves(name)
    assert calibration + evaluation == whole
    assert 0.5 <= len(calibration) / len(whole) < 0.52
    assert evaluation.startswith("= Article" if name == "wikitext2" else ("A:", "B:"))


def test_a_missing_text_is_said_to_be_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "_FOLDER", tmp_path)
    with pytest.raises(UnavailableError, match=r"no wikitext2-valid.txt in ../shared/data beside the repository"):
        texts.halves("wikitext2")


def test_windows_are_spread_over_the_text_and_do_not_overlap():
    text = "".join(map(chr, range(1000, 1000 + 10 * texts.WINDOW + 7)))
    found = texts.windows(text, Characters(), 4)
    assert found.shape == (4, texts.WINDOW)
    assert len(found.unique()) == found.numel()
    assert found[-1].max() > 1000 + 7 * texts.WINDOW
    assert torch.equal(texts.windows(text, Characters(), 99), texts.windows(text, Characters(), 10))


def test_paragraphs_are_cut_in_the_middle():
    text = "too short\n\na b c d e f\n\n1 2 3 4 5 6 7"
    assert texts.paragraphs(text, 9, 6) == [("a b c", "d e f"), ("1 2 3", "4 5 6 7")]


@pytest.fixture(scope="module")
def llama():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2
    )
    return [transformers.LlamaForCausalLM(config).eval() for _ in range(2)]


def test_likelihood_is_what_a_direct_computation_finds(llama):
    teacher, model = llama
    windows = torch.randint(50, (3, 16))
    with torch.inference_mode():
        own, their = (each(windows).logits[:, :-1].double() for each in (model, teacher))
        nats = functional.cross_entropy(own.flatten(0, 1), windows[:, 1:].flatten()).item()
        shares = their.softmax(-1)
        kl = (shares * (their.log_softmax(-1) - own.log_softmax(-1))).sum(-1).mean().item()
    reference = Teacher(hidden_states(teacher, windows), teacher.lm_head.weight.detach())
    found = likelihood(model, windows, reference)
    assert found["tokens"] == 45
    assert found["perplexity"] == pytest.approx(math.exp(nats), rel=1e-5)
    assert found["kl"] == pytest.approx(kl, rel=1e-4)
    assert likelihood(teacher, windows, reference)["kl"] == pytest.approx(0, abs=1e-6)


def test_mean_squares_are_those_of_what_layers_read():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(5, 7, 3)
    found = mean_squares(model, [x[:2], x[2:]])
    assert found["0.weight"] == pytest.approx(x.square().mean((0, 1)).numpy(), rel=1e-5)
    inside = model[:2](x).detach()
    assert found["2.weight"] == pytest.approx(inside.square().mean((0, 1)).numpy(), rel=1e-5)
    assert not model[0]._forward_pre_hooks


def test_llama_cpp_falls_back_where_rows_are_no_whole_blocks():
    try:
        llama_cpp.library()
    except UnavailableError as reason:
        pytest.skip(str(reason))
    weight = np.random.default_rng(0).standard_normal((8, 576)).astype(np.float32)
    for kind, cols, bits in (("Q2_K", 512, 2.625), ("Q2_K", 576, 4.5), ("Q2_K", 570, 16)):
        stored = llama_cpp.encode_as_file(np.ascontiguousarray(weight[:, :cols]), kind)
        assert 8 * stored.size == bits * 8 * cols
        assert stored.decode().shape == (8, cols)
    assert llama_cpp.FALLBACKS["IQ1_S"] == "IQ4_NL"
    with pytest.raises(UnavailableError, match="refuses: 576 columns"):
        llama_cpp.encode_as_file(weight, "Q1_0")
    flat = llama_cpp.encode_flat(weight, "Q1_0")
    assert 8 * flat.size == 1.125 * weight.size
    assert 0.2 < np.mean((flat.decode() - weight) ** 2) < 0.5
    even = np.arange(576) % 2 == 0
    coded = [llama_cpp.encode_flat(weight, "Q2_K", np.where(even, scale, 1)) for scale in (1, 1e4)]
    errors = [np.mean((stored.decode() - weight)[:, even] ** 2, axis=1) for stored in coded]
    assert (errors[1] < errors[0]).all()  # what is important is coded better, in every row


def test_quanto_groups_as_its_modules_do():
    assert [quanto.group_size(cols) for cols in (27, 128, 256, 576, 320, 160, 150)] == [
        None,
        None,
        128,
        96,
        64,
        32,
        None,
    ]
    try:
        quanto.version()
    except UnavailableError as reason:
        pytest.skip(str(reason))
    weight = np.random.default_rng(0).standard_normal((4, 576)).astype(np.float32)
    stored = quanto.encode(weight)
    assert 8 * stored.size == 4 * 576 * (2 + 32 / 96)
    assert 0.01 < np.mean((stored.decode() - weight) ** 2) < 0.4


def test_pitches_of_tones_are_found_in_activations_that_show_them():
    frames, cents = tones(50, seed=1)
    assert frames.shape == (50, 1024)
    assert frames.mean(1).abs().max() < 1e-5
    spectrum = torch.fft.rfft(frames * torch.hann_window(1024)).abs()
    loudest = spectrum[25:].argmax(1) * 16000 / 1024
    assert (1200 * torch.log2(loudest / 10) - cents[25:]).abs().max() < 100
    bins = torch.arange(360)
    shown = torch.exp(-(((20 * bins + 1997.3794) - cents[:, None]) ** 2) / (2 * 25**2))
    assert (pitch(shown) - cents).abs().max() < 1


def test_architectures_have_the_sizes_of_the_published_ones():
    sizes = [sum(weight.numel() for weight in model().parameters()) for model in (EfficientNetLite0, CrepeTiny)]
    assert sizes == [4_652_008, 486_552]
    assert CrepeTiny().eval()(torch.randn(2, 1024)).shape == (2, 360)


def test_rank_correlation_ignores_all_but_the_order():
    x = torch.randn(6, 7)
    assert spearman(x, x**3) == pytest.approx(1)
    assert spearman(x, -x) == pytest.approx(-1)


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


def test_calibration_never_sees_what_is_evaluated():
    seen, evaluated = tones(99, seed=1)[1], tones(100, seed=0)[1]
    assert len(set(seen.tolist()) & set(evaluated.tolist())) <= 2  # the ends of the range
    try:
        model = EfficientNet()
    except UnavailableError as reason:
        pytest.skip(str(reason))
    pytest.importorskip("PIL")
    calibration, pictures = torch.cat(model.batches(None)), model._evaluated[0]
    assert calibration.shape == (40, 3, 224, 224)
    assert not any((pictures == picture).all((1, 2, 3)).any() for picture in calibration)


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
    monkeypatch.setattr(ours, "CALIBRATES", ("smollm2", "minilm", "crepe"))
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
    assert "smollm2/subbit/0.5/wikitext2/without feedback" in keys
    assert "crepe/subbit/1/healed 5" in keys


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
    assert rows["nothing"] == "| nothing | 3.00 × / 2.00 | 2.00 × / 1.00 |"
    assert rows["feedback"] == "| feedback | 4.00 × / 3.00 | 3.00 × / 2.00 |"
    assert "| subbit, no data, 1 | 1.000 | 2.000 | 0.500 / 0.200 | 0.500 / 0.200 |" in lines
    assert "| subbit, no data, 1 | 1.000 | 2.000 | 0.200 / 12,346 |" in lines
    assert not tables(Results(results.path.with_name("none.json")))


def test_the_command_shows_what_is_stored(results, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(command, "README", readme := tmp_path / "README.md")
    monkeypatch.setattr(plot, "FOLDER", tmp_path / "figures")
    readme.write_text("<!-- quality:begin -->\n<!-- quality:end -->\n", "utf-8")
    command.main(["--readme"])
    assert tables(results) in readme.read_text("utf-8")
    assert (tmp_path / "figures" / "perplexity.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    command.main(["smollm2", "--list"])
    assert capsys.readouterr().out.startswith("stored  smollm2/shipped\n")
