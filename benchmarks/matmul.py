"""Multiplying by packed weights, beside torch's dense layers, in one process and by turns.

python -m benchmarks.matmul [--rows N --cols N] [--threads 1] [--turns 15]    measure, print, write results/matmul.json
python -m benchmarks.matmul --docs                                           put its table into docs/

x is (batch, columns), bfloat16. Ours is `SubbitLinear`; torch's is `F.linear`, in bfloat16 and, with such an x, in
float32, with as many threads. Each has several layers of the same weights at different places in memory, as a model
has: their code stays in the caches from one to the next, their weights do not. A turn runs all layers of everything
once; figures are medians over the turns of torch's bfloat16 time ÷ the other's, by the thread's own clock where there
is one thread, else by the wall's.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks.decode import encoded_subjects
from benchmarks.shapes import run
from subbit.packed import pack
from subbit.records import Encoded

BATCHES = (1, 2, 4, 8, 16, 32, 64)
LAYERS = 4
CODECS = (
    "template (angle) × vector 16 × 256",
    "template (hashed) × vector 16 × 256",
    "stored signs × vector 16 × 256",
    "trellis, 1",
    "trellis, 1, groups of 4",
    "trellis, 0.5, groups of 4",
    "deadzone, 0.5",
)
DENSE = "torch, bf16"


def subjects(rows: int, cols: int) -> Iterator[tuple[str, Callable[[int], Callable[[], Any]]]]:
    """Names, and what makes a product of a batch's size ready to be timed."""
    import torch

    from subbit.torch import SubbitLinear

    weight = torch.randn(rows, cols)
    for name, dtype in ((DENSE, torch.bfloat16), ("torch, f32", torch.float32)):
        layers = [partial(torch.nn.functional.linear, weight=weight.to(dtype, copy=True)) for _ in range(LAYERS)]
        yield name, _product(layers, cols, dtype)
    for name, _, encoded in encoded_subjects(rows, cols, CODECS):
        yield name, _product([SubbitLinear(pack(_copied(encoded))) for _ in range(LAYERS)], cols, torch.bfloat16)


def _copied(encoded: Encoded) -> Encoded:
    """The same weights elsewhere in memory."""
    return replace(encoded, sections={name: bytearray(part) for name, part in encoded.sections.items()})


def _product(layers: Sequence[Any], cols: int, dtype: Any) -> Callable[[int], Callable[[], Any]]:
    import torch

    def ready(batch: int) -> Callable[[], Any]:
        x = torch.randn(batch, cols, generator=torch.Generator().manual_seed(batch)).to(dtype)

        def product() -> None:
            with torch.inference_mode():
                for layer in layers:
                    layer(x)

        return product

    return ready


def measure(rows: int, cols: int, turns: int, threads: int) -> list[dict[str, Any]]:
    """A row a subject and batch: microseconds, and how many times as fast as torch in bfloat16."""
    import torch

    os.environ["SUBBIT_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    clock = time.thread_time if threads == 1 else time.perf_counter
    found = list(subjects(rows, cols))
    out = []
    for batch in BATCHES:
        products = {name: ready(batch) for name, ready in found}
        times: dict[str, list[float]] = {name: [] for name in products}
        for turn in range(turns + 1):
            for name, product in products.items():
                start = clock()
                product()
                if turn:
                    times[name].append((clock() - start) / LAYERS)
        for name, taken in times.items():
            ratios = [dense / own for dense, own in zip(times[DENSE], taken, strict=True)]
            row = {"name": name, "batch": batch, "microseconds": 1e6 * statistics.median(taken)}
            out.append(row | {"times": statistics.median(ratios)})
    return out


def table(results: dict[str, Any]) -> str:
    """A row a subject, a column a shape and batch."""
    runs = results["runs"]
    batches = sorted({row["batch"] for run in runs.values() for row in run["rows"]})
    lines = []
    for key, found in runs.items():
        lines += [f"| {key}, batch | " + " | ".join(map(str, batches)) + " |", "|---|" + "---:|" * len(batches)]
        for name in dict.fromkeys(row["name"] for row in found["rows"]):
            cells = {row["batch"]: f"{row['times']:.2f}" for row in found["rows"] if row["name"] == name}
            lines.append(f"| {name} | " + " | ".join(cells.get(batch, "") for batch in batches) + " |")
        lines.append("")
    return "\n".join(lines).rstrip()


def main(arguments: Sequence[str] | None = None) -> None:
    run("matmul", "Packed beside dense products.", measure, table, arguments)


if __name__ == "__main__":
    main()
