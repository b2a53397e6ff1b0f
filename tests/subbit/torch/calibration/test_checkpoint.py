from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import subbit
from subbit.model.statistics import Statistics
from subbit.torch import calibrate, calibrate_checkpoint
from subbit.torch.calibration import blocks, checkpoint, spool
from subbit.torch.calibration.loading import load_pretrained
from subbit.torch.calibration.texts import sample, windows
from subbit_formats.sources import open_source

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

WORDS = ["one", "bit", "a", "weight", "is", "less", "than", "two", "and", "more", "than", "none", "of", "them"]
TEXT = " ".join(WORDS[k * k % 7 + k % 6] for k in range(700))


def tokenizer() -> Any:
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    made.train_from_iterator([TEXT], tokenizers.trainers.BpeTrainer(vocab_size=48, special_tokens=["?"]))
    made.enable_truncation(5)  # as sentence encoders have it; windows must not be cut by it
    return made


def model(tied: bool = True) -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=48, hidden_size=32, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=tied, bos_token_id=1, eos_token_id=2, initializer_range=0.2,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("calibration")
    model().save_pretrained(home / "model")
    tokenizer().save(str(home / "model" / "tokenizer.json"))
    (home / "text.txt").write_text(TEXT)
    return home


@pytest.fixture(scope="module")
def found(folder: Path) -> Statistics:
    return calibrate_checkpoint(folder / "model", folder / "text.txt", tokens=320, window=32)


def alike(a: Statistics, b: Statistics) -> None:
    assert set(a) == set(b)
    for name in a:
        assert a[name].columns == pytest.approx(b[name].columns, rel=1e-3, abs=1e-5), name
        assert a[name].rows == pytest.approx(b[name].rows, rel=1e-3, abs=1e-9), name


def test_block_by_block_is_the_whole_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert blocks.block_list(model()) is not None
    monkeypatch.setattr(checkpoint, "fast_dtype", lambda device: None)
    found = calibrate_checkpoint(folder / "model", folder / "text.txt", tokens=320, window=32)
    ids = windows(folder / "text.txt", tokenizer_of(folder), 320, 32)
    whole, tied = calibrate(model(), [ids], ["*", "lm_head.weight"]), "model.embed_tokens.weight"
    found.check(open_source(folder / "model"))
    assert (found[tied].rows > whole[tied].rows * whole[tied].diagonal.mean()).all()  # its other role, too
    monkeypatch.setattr(checkpoint, "both_roles", lambda head, lookup: head)
    alike(calibrate_checkpoint(folder / "model", folder / "text.txt", tokens=320, window=32), whole)


def tokenizer_of(folder: Path) -> Any:
    return load_pretrained(folder / "model")[1]


def test_without_fisher(folder: Path, found: Statistics) -> None:
    half = calibrate_checkpoint(folder / "model", folder / "text.txt", tokens=320, window=32, fisher=False)
    for name in found:
        if "embed" not in name:  # a tied one has the columns of both roles in `found`
            assert half[name].columns == pytest.approx(found[name].columns, rel=1e-3, abs=1e-5)
        assert (half[name].rows == 1).all()


def test_what_does_not_fit_into_memory_goes_to_a_file(folder: Path, found: Statistics, monkeypatch: Any) -> None:
    monkeypatch.setattr(spool.Spool.__init__, "__defaults__", (1000,))
    alike(found, calibrate_checkpoint(folder / "model", folder / "text.txt", tokens=320, window=32))


def test_a_spool_gives_back_what_was_appended() -> None:
    kept = spool.Spool(1000)
    arrays = [np.full((k, 100), k, np.float32) for k in (0, 2, 3, 0, 4)] + [np.arange(7, dtype=np.uint16)]
    reads = [kept.keep(array) for array in arrays]
    assert kept[1] is arrays[1]
    assert kept[2] is not arrays[2]
    for again in (list(kept), kept[:], [read() for read in reads]):
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(again, arrays, strict=True))
    with pytest.raises(IndexError):
        kept[6]


def test_provenance_and_a_file(folder: Path, found: Statistics, tmp_path: Path) -> None:
    found.save(tmp_path / "s.safetensors")
    again = Statistics.load(tmp_path / "s.safetensors")
    expected = {"text": "text.txt", "tokens": "320", "window": "32", "fisher": "true", "seed": "0"}
    assert expected.items() <= again.provenance.items()
    assert {"text_hash", "model", "subbit", "torch", "transformers"} <= set(again.provenance)
    alike(again, found)


def test_a_compressed_file_is_calibrated_too(folder: Path, tmp_path: Path) -> None:
    subbit.compress(folder / "model", tmp_path / "m.sbit", bits=4)
    of_file = calibrate_checkpoint(tmp_path / "m.sbit", folder / "text.txt", tokens=320, window=32)
    subbit.decompress(tmp_path / "m.sbit", tmp_path / "m.safetensors")
    of_file.check(open_source(tmp_path / "m.safetensors"))
    with pytest.raises(subbit.SubbitError, match="another model"):
        of_file.check(open_source(folder / "model"))


def test_a_model_without_the_prefix_of_its_architecture(folder: Path, found: Statistics, tmp_path: Path) -> None:
    weights = load_file(folder / "model" / "model.safetensors")
    save_file({name.removeprefix("model."): array for name, array in weights.items()}, tmp_path / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / "model" / name).read_bytes())
    bare = calibrate_checkpoint(tmp_path, folder / "text.txt", tokens=320, window=32)
    assert {f"model.{name}" for name in bare} == set(found)
    bare.check(open_source(tmp_path))


def test_windows_are_spread_over_the_text(folder: Path) -> None:
    made = tokenizer_of(folder)
    ids = made.encode(TEXT, add_special_tokens=False).ids
    found = windows(folder / "text.txt", made, 480, 32)  # more than 8 bytes a token would need: all of it is read
    assert found.shape == (15, 32)
    assert found[0].tolist() == ids[:32]
    assert found[14].tolist() == ids[-32:]
    assert windows(folder / "text.txt", made, 40, 32).shape == (1, 32)


def test_windows_of_a_large_text_come_from_all_of_it(folder: Path, tmp_path: Path) -> None:
    parts = ["one bit é " * 1000, "two and more " * 1000, "none of them " * 1000]
    (tmp_path / "large.txt").write_text("".join(parts), encoding="utf-8")
    made = tokenizer_of(folder)
    shown = [made.decode(row.tolist()) for row in windows(tmp_path / "large.txt", made, 96, 32)]
    assert [next(word for word in ("bit", "two", "none") if word in text.replace(" ", "")) for text in shown] == [
        "bit", "two", "none",
    ]  # fmt: skip


def test_a_text_too_short_says_what_is_needed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("one bit")
    with pytest.raises(subbit.SubbitError, match=r"has \d tokens, and 64 are needed.*longer text") as caught:
        windows(tmp_path / "short.txt", tokenizer_of(folder), 64, 32)
    assert (caught.value.kind, caught.value.path) == ("text", str(tmp_path / "short.txt"))
    for tokens, window in ((31, 32), (5, 1)):
        with pytest.raises(subbit.UsageError, match="do not fill a window"):
            windows(tmp_path / "short.txt", tokenizer_of(folder), tokens, window)
    with pytest.raises(subbit.SubbitError, match="No such file"):
        windows(tmp_path / "absent.txt", tokenizer_of(folder), 64, 32)
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 9)
    with pytest.raises(subbit.SubbitError, match="UTF-8"):
        windows(tmp_path / "binary", tokenizer_of(folder), 64, 32)


def test_text_that_the_model_writes(folder: Path) -> None:
    first = sample(model(), 96, 16, seed=3)
    assert torch.equal(first, sample(model(), 96, 16, seed=3))
    assert not torch.equal(first, sample(model(), 96, 16, seed=4))
    assert (first[:, 0] == 1).all()
    assert len({tuple(row) for row in first.tolist()}) == 6
    with torch.no_grad():
        chances = model()(first[:, :-1]).logits.log_softmax(-1).gather(2, first[:, 1:, None])
    assert chances.mean() > model()(first[:, :-1]).logits.log_softmax(-1).mean() + 0.2  # likelier than chance
    found = calibrate_checkpoint(folder / "model", "self", tokens=64, window=16)
    assert found.provenance["text"] == "self"
    assert "text_hash" not in found.provenance


def test_first_tokens_where_the_model_names_none() -> None:
    made = model()
    made.config.bos_token_id = None
    assert len(set(sample(made, 96, 16)[:, 0].tolist())) > 1


def changed(folder: Path, home: Path, **settings: Any) -> Path:
    """The model's folder with other settings in its config.json; None removes a file."""
    home.mkdir(exist_ok=True)
    for path in (folder / "model").iterdir():
        (home / path.name).write_bytes(path.read_bytes())
    config = json.loads((home / "config.json").read_text()) | settings
    (home / "config.json").write_text(json.dumps(config))
    return home


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"num_hidden_layers": 4}, "names"),
        ({"intermediate_size": 48}, "shape"),
        ({"architectures": ["None"]}, "architecture"),
    ],
)
def test_weights_that_do_not_fit_their_configuration(folder: Path, tmp_path: Path, settings: Any, kind: str) -> None:
    with pytest.raises(subbit.SubbitError) as caught:
        calibrate_checkpoint(changed(folder, tmp_path, **settings), folder / "text.txt", tokens=320, window=32)
    assert (caught.value.kind, caught.value.path) == (kind, str(tmp_path))


@pytest.mark.parametrize("absent", ["config.json", "tokenizer.json"])
def test_a_checkpoint_without_configuration_or_tokenizer(folder: Path, tmp_path: Path, absent: str) -> None:
    (changed(folder, tmp_path) / absent).unlink()
    with pytest.raises(subbit.SubbitError, match=f"carries no {absent}") as caught:
        calibrate_checkpoint(tmp_path, folder / "text.txt", tokens=320, window=32)
    assert caught.value.kind == "extra"


def test_a_tokenizer_of_another_model(folder: Path, tmp_path: Path) -> None:
    words = {word: 90 + k for k, word in enumerate(dict.fromkeys(WORDS))}
    other = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0} | words, unk_token="?"))
    other.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    other.save(str(changed(folder, tmp_path) / "tokenizer.json"))
    with pytest.raises(subbit.SubbitError, match="the model knows 48"):
        calibrate_checkpoint(tmp_path, folder / "text.txt", tokens=320, window=32)
