"""Train a small language model with template signs on Python's help topics, and squeeze it to half a bit a weight.

python examples/train_template_lm.py        about two minutes on two cores

Its signs are computed from a seed and never stored. Once trained, it is coded as it is, which hurts; then it learns
for some more steps to live with its codes, and the file holds exactly the weights that it learned with.
"""

from __future__ import annotations

import math
import pydoc_data.topics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

import subbit
from subbit.torch import attach, lockin

WIDTH, LAYERS, HEADS, CONTEXT, BATCH = 128, 2, 4, 128, 8
STEPS, TUNING, RATE, BITS = 900, 300, 4e-3, 0.5
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


def train(model: CharLM, codes: Tensor, steps: int, penalty: Callable[[], Tensor], after: Callable[[], None]) -> None:
    """The usual loop: `penalty` is added to the loss, `after` follows each step of the optimizer."""
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.1, cycle_momentum=False)
    for step in range(1, steps + 1):
        starts = torch.randint(len(codes) - CONTEXT, (BATCH, 1))
        loss = model.loss(codes[starts + torch.arange(CONTEXT + 1)])
        (loss + penalty()).backward()
        optimizer.step()
        after()
        optimizer.zero_grad()
        schedule.step()
        if step % 200 == 0:
            print(f"  step {step:4d}  loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def perplexity(windows: Tensor, model: CharLM | None = None, file: Path | None = None) -> float:
    """Perplexity a character, of a model or of a fresh one that is filled from a file."""
    model = model or CharLM()
    if file:
        attach(model, file)
    return math.exp(model.loss(windows).item())


if __name__ == "__main__":
    torch.manual_seed(0)
    OUTPUT.mkdir(exist_ok=True)
    codes, windows = corpus()
    lock = lockin.attach(model := CharLM(), template="hashed", seed=0)
    train(model, codes, STEPS, lock.penalty, lock.step)
    print(f"as trained, {lock.flips().total:.3%} of the signs flipped: perplexity {perplexity(windows, model):.3f}")
    plain = subbit.compress(lock.save(OUTPUT / "template.safetensors", force=True), bits=BITS, force=True)
    print(f"coded, {plain.coded_bits_per_weight:.3f} bits a weight: {perplexity(windows, file=plain.path):.3f}")
    quantized = lockin.quantize(lock, subbit.LowBit(BITS - 0.04))  # the rest is for the file's index
    train(model, codes, TUNING, lambda: torch.zeros(()), quantized.step)
    tuned = quantized.to_sbit(OUTPUT / "tuned.sbit", force=True)
    print(f"tuned with its codes, {tuned.coded_bits_per_weight:.3f} bits: {perplexity(windows, file=tuned.path):.3f}")
