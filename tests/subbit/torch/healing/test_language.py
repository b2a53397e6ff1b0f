from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import subbit
from subbit.torch import attach, heal, load_model
from tests.subbit.torch.healing.conftest import compressed

transformers = pytest.importorskip("transformers")


def tiny(vocabulary: int = 64) -> Any:
    """A language model with logits that are far from uniform."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 1 if weight.ndim < 2 else 6
    return model


def windows(count: int = 16) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(64, (2, 24), generator=generator) for _ in range(count)]


def losses(model: Any, teacher: Any, data: list[torch.Tensor]) -> tuple[float, float]:
    """KL a token and perplexity, the plain way in float32."""
    kl, surprise = [], []
    with torch.no_grad():
        for ids in data:
            q, p = (m(ids).logits.log_softmax(-1) for m in (model, teacher))
            kl.append(((p - q) * p.exp()).sum(-1).flatten())
            surprise.append(-q[:, :-1].gather(2, ids[:, 1:, None]).flatten())
    return float(torch.cat(kl).mean()), math.exp(float(torch.cat(surprise).mean()))


def test_kl_to_the_teacher_falls_and_is_what_the_report_says(tmp_path: Path) -> None:
    teacher, data = tiny(), windows()
    path = compressed(teacher, tmp_path / "lm.sbit", bits=2.0, skip="*embed*")
    held, student = [data[4], data[12]], tiny()
    attach(student, path, strict=False)
    first, fresh = losses(student, teacher, held), windows(20)[16:]
    before = losses(student, teacher, fresh)[0]
    report = heal(path, teacher, data, steps=60, rate=0.02)
    attach(student, report.path, strict=False)
    for figures, plain in ((report.before, first), (report.after, losses(student, teacher, held))):
        assert figures.loss == pytest.approx(plain[0], rel=0.1)
        assert figures.perplexity == pytest.approx(plain[1], rel=0.05)
    assert losses(student, teacher, fresh)[0] < 0.8 * before


def test_padding_does_not_count(tmp_path: Path) -> None:
    teacher = tiny()
    path = compressed(teacher, tmp_path / "lm.sbit", bits=3.0, skip="*embed*")
    whole = [{"input_ids": ids, "attention_mask": torch.ones_like(ids)} for ids in windows()]
    padded = []
    for batch in whole:
        junk = torch.randint(64, (2, 8))
        ids, zeros = torch.cat([batch["input_ids"], junk], 1), torch.zeros_like(junk)
        padded.append({"input_ids": ids, "attention_mask": torch.cat([batch["attention_mask"], zeros], 1)})
    first = heal(path, teacher, whole, steps=3, output=tmp_path / "a.sbit")
    second = heal(path, teacher, padded, steps=3, output=tmp_path / "b.sbit")
    assert second.before.loss == pytest.approx(first.before.loss, rel=0.02)
    assert second.before.perplexity == pytest.approx(first.before.perplexity, rel=0.02)


def test_a_file_and_a_text(folder: Path) -> None:
    report = heal(
        folder / "model.sbit", folder / "model", folder / "text.txt", steps=8, rank=1, output=folder / "ranked.sbit"
    )
    assert report.after.loss < report.before.loss
    assert isinstance(load_model(report.path), transformers.LlamaForCausalLM)


def test_texts_that_do_not_do(folder: Path) -> None:
    (folder / "short.txt").write_text("too short")
    (folder / "binary.txt").write_bytes(b"\xff\xfe\x00" * 100)
    for name, words in (("short.txt", "needed"), ("binary.txt", "UTF-8"), ("none.txt", "No such file")):
        with pytest.raises(subbit.SubbitError, match=words) as refused:
            heal(folder / "model.sbit", folder / "model", folder / name, steps=8, output=folder / "none.sbit")
        assert refused.value.kind == "text"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a tokenizer of letters, its compressed file, and a text."""
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("lm")
    model = tiny()
    model.config.max_position_embeddings = 32
    model.save_pretrained(folder / "model")
    letters = {letter: k for k, letter in enumerate("abcdefghijklmnopqrstuvwxyz .,\n")}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(letters, []))
    tokenizer.save(str(folder / "model" / "tokenizer.json"))
    subbit.compress(folder / "model", folder / "model.sbit", bits=4)
    (folder / "text.txt").write_text("a text of no great length, written once. " * 20)
    return folder
