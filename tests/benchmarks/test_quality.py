from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from benchmarks.peers import llama_cpp, quanto
from benchmarks.peers.base import UnavailableError
from benchmarks.quality import texts
from benchmarks.quality.inputs import mean_squares
from benchmarks.quality.likelihood import Teacher, hidden_states, likelihood
from benchmarks.quality.models.crepe import CrepeTiny, pitch, tones
from benchmarks.quality.models.efficientnet import EfficientNet, EfficientNetLite0
from benchmarks.quality.models.minilm import spearman


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
        llama_cpp.libggml()
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
