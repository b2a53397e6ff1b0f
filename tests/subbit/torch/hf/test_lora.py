"""Adapters of the peft package on packed layers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import subbit
from subbit.errors import UsageError
from subbit.model.folder import write_folder
from subbit.torch.packed import SubbitLinear

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")
hf = pytest.importorskip("subbit.torch.hf")


def test_adapters_learn_on_packed_layers_and_come_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2
    )
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "dense")
    subbit.compress(tmp_path / "dense", tmp_path / "model.sbit", bits=2.0, profile="speed")
    folder = write_folder(tmp_path / "model.sbit", tmp_path / "folder")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    text = torch.randint(0, 64, (4, 24))
    with torch.no_grad():
        before = model(text, labels=text).loss
    tuned = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"]))
    assert isinstance(tuned.base_model.model.model.layers[0].mlp.down_proj.base_layer, SubbitLinear)
    optimizer = torch.optim.Adam((p for p in tuned.parameters() if p.requires_grad), lr=0.02)
    for _ in range(20):
        loss = tuned(text, labels=text).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss < before - 0.05
    tuned.save_pretrained(tmp_path / "adapter")
    fresh = transformers.AutoModelForCausalLM.from_pretrained(folder)
    again = peft.PeftModel.from_pretrained(fresh, tmp_path / "adapter")
    with torch.no_grad():
        expected = tuned.eval()(text).logits
        assert torch.equal(again.eval()(text).logits, expected)
        with pytest.raises(UsageError, match="dequantize"):
            again.merge_and_unload()
        dense = transformers.AutoModelForCausalLM.from_pretrained(folder).dequantize()
        merged = peft.PeftModel.from_pretrained(dense, tmp_path / "adapter").merge_and_unload()
        torch.testing.assert_close(merged(text).logits, expected, rtol=1e-3, atol=1e-4)
