"""Train two small language models on Python's help topics, one with template signs; squeeze both to half a bit.

python examples/train_template_lm.py        about two minutes on two cores

Both start from the same weights and see the same batches. The signs of the first are computed from a seed and never
stored; the second has ordinary signs.
"""

from __future__ import annotations

import copy
import math
import pydoc_data.topics
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_model
from torch import Tensor, nn

import subbit
from subbit.torch import attach, lockin

WIDTH, LAYERS, HEADS, CONTEXT, BATCH, STEPS, BITS = 128, 2, 4, 128, 16, 800, 0.5
OUTPUT = Path(".demo")


class CharLM(nn.Module):
    """A transformer over ASCII codes, 0.4 M weights; the output head is the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.pos_embed = nn.Embedding(128, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        layer = partial(nn.TransformerEncoderLayer, WIDTH, HEADS, 4 * WIDTH, 0.0, batch_first=True, norm_first=True)
        self.blocks = nn.ModuleList(layer(activation="gelu") for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        for weight in self.parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=0.5 / math.sqrt(weight.shape[1]))

    def loss(self, windows: Tensor) -> Tensor:
        """Mean nats a character over windows of CONTEXT + 1."""
        x = self.embed(windows[:, :-1]) + self.pos_embed.weight
        mask = nn.Transformer.generate_square_subsequent_mask(CONTEXT)
        for block in self.blocks:
            x = block(x, src_mask=mask, is_causal=True)
        logits = self.norm(x) @ self.embed.weight.T
        return nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


def corpus() -> tuple[Tensor, Tensor]:
    """ASCII codes of the help topics: nine tenths to train on, windows of the last tenth to test on."""
    text = "\n".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))
    codes = torch.tensor(list(text.encode("ascii", "replace")))
    cut = len(codes) * 9 // 10
    return codes[:cut], codes[cut:].unfold(0, CONTEXT + 1, CONTEXT + 1)


def train(model: CharLM, codes: Tensor, lock: lockin.LockIn | None = None) -> None:
    """The usual loop, with three calls of `lock` in it."""
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, STEPS, pct_start=0.1, cycle_momentum=False)
    generator = torch.Generator().manual_seed(0)
    for step in range(1, STEPS + 1):
        starts = torch.randint(len(codes) - CONTEXT, (BATCH, 1), generator=generator)
        loss = model.loss(codes[starts + torch.arange(CONTEXT + 1)])
        (loss + lock.penalty() if lock else loss).backward()
        optimizer.step()
        if lock:
            lock.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 100 == 0:
            print(f"  step {step:4d}  loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def result(model: CharLM, checkpoint: Path, windows: Tensor) -> str:
    """Perplexity a character as trained, and after a round trip through a .sbit file."""
    before = math.exp(model.loss(windows).item())
    report = subbit.compress(checkpoint, bits=BITS, force=True)
    attach(model, report.path)
    after, bits = math.exp(model.loss(windows).item()), report.coded_bits_per_weight
    return f"perplexity {before:.3f} as trained, {after:.3f} at {bits:.3f} bits a weight"


if __name__ == "__main__":
    torch.manual_seed(0)
    OUTPUT.mkdir(exist_ok=True)
    codes, windows = corpus()
    ordinary = copy.deepcopy(model := CharLM())
    lock = lockin.attach(model, template="hashed", seed=0)
    print("Template signs")
    train(model, codes, lock)
    print("Ordinary signs")
    train(ordinary, codes)
    path = lock.save(OUTPUT / "template.safetensors", force=True)
    print(f"\nTemplate signs, {lock.flips().total:.3%} flipped: {result(model, path, windows)}")
    save_model(ordinary, str(OUTPUT / "ordinary.safetensors"))
    print(f"Ordinary signs: {result(ordinary, OUTPUT / 'ordinary.safetensors', windows)}")
