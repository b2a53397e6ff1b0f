"""Greedy text from packed beside dense weights: the same transformers model, in one process and by turns.

python -m benchmarks.generate [--case CASE] [--threads 1] [--turns 15]    measure, print, write results/generate.json
python -m benchmarks.generate --docs                        put its table into docs/

The model has the sizes of SmolLM2-135M and random weights, under a template's signs at half a bit: its text is rubbish,
only its speed is measured. Dense is the same file decoded to bfloat16; embedding, head and attention are the same code
in both. A turn writes a few tokens with each, one at a time, after a prompt; figures are medians over the turns, by the
thread's own clock where there is one thread, else by the wall's.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.shapes import run_cases
from benchmarks.signed import SMOLLM2, write_llama
from subbit.signs import Angle, Hashed, SignPlane

DENSE, PACKED = "torch, bf16", "packed"
PROMPT, TOKENS = 32, 8


def measure(config: dict[str, Any], plane: SignPlane, turns: int, threads: int) -> list[dict[str, Any]]:
    """A row a model: milliseconds a token, and how many times as fast as the dense one."""
    import torch

    from subbit.torch import load_model

    os.environ["SUBBIT_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    clock = time.thread_time if threads == 1 else time.perf_counter
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.sbit"
        write_llama(path, config, plane)
        models = {DENSE: load_model(path), PACKED: load_model(path, packed=True)}
        times: dict[str, list[float]] = {name: [] for name in models}
        for turn in range(turns + 1):
            for name, model in models.items():
                taken = _write(model, clock)
                if turn:
                    times[name].append(taken)
    return [
        {
            "name": name,
            "milliseconds_a_token": 1e3 * statistics.median(taken),
            "times": statistics.median(dense / own for dense, own in zip(times[DENSE], taken, strict=True)),
        }
        for name, taken in times.items()
    ]


def _write(model: Any, clock: Callable[[], float]) -> float:
    """Seconds a token, the prompt not counted."""
    import torch

    with torch.inference_mode():
        found = model(torch.arange(PROMPT)[None], use_cache=True)
        start = clock()
        for _ in range(TOKENS):
            token = found.logits[:, -1:].argmax(-1)
            found = model(token, past_key_values=found.past_key_values, use_cache=True)
        return (clock() - start) / TOKENS


CASES = {f"SmolLM2-135M, template ({plane.kind})": partial(measure, SMOLLM2, plane) for plane in (Angle(1), Hashed(1))}


def table(results: dict[str, Any]) -> str:
    """A row a case: how many times as many tokens a second as dense."""
    lines = ["| greedy, batch 1 | packed ÷ dense bf16 |", "|---|---:|"]
    for key, run in results["runs"].items():
        times = next(row["times"] for row in run["rows"] if row["name"] == PACKED)
        lines.append(f"| {key} | {times:.2f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    run_cases("generate", "Greedy text, packed beside dense.", CASES, table, arguments)


if __name__ == "__main__":
    main()
