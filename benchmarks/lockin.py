"""Template signs against ordinary ones: quality, flips, excursions, and both at half a bit, on a character model.

python -m benchmarks.lockin [VARIANT …] [--steps 450] [--seeds 0 1 2]    train, print, write results/lockin.json
python -m benchmarks.lockin --readme                                     put the stored tables into README.md

A run that is stored already is not repeated: an interrupted benchmark goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save_file

import subbit
from benchmarks.charlm import CharLM, Text, batches, nats, text
from benchmarks.lockin_tables import tables
from benchmarks.report import rewrite
from subbit.torch import lockin

RESULTS = Path(__file__).parent / "results" / "lockin.json"
README = Path(__file__).parent.parent / "README.md"

BATCH, BITS = 16, 0.5
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
"""Peak learning rates; the dense control at the first seed chooses one for all, on the validation part."""

VARIANTS: dict[str, dict[str, Any] | None] = {
    "dense": None,
    "hashed-project": {"template": "hashed", "gap": 0, "keep": "project"},
    "hashed-barrier": {"template": "hashed"},
    "lowrank16-project": {"template": "lowrank:16", "gap": 0, "keep": "project"},
    "angle-project": {"template": "angle", "gap": 0, "keep": "project"},
    "angle-barrier-correction4": {"template": "angle", "correction_rank": 4},
}
"""What `lockin.attach` is told; the defaults are a gap of .5 σ and a barrier of force 2."""


def train(variant: str, seed: int, steps: int, rate: float, parts: Text) -> dict[str, Any]:
    """Train one model and measure it: weights and batches depend on the seed alone, not on the variant."""
    start = time.perf_counter()
    torch.manual_seed(seed)
    model, options = CharLM(), VARIANTS[variant]
    lock = None if options is None else lockin.attach(model, seed=seed, **options)
    tracker = lockin.FlipTracker(model, rhos=(0.5, 1.0), step=rate) if lock is None else None
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.1, cycle_momentum=False)
    for windows in batches(parts.train, seed, steps, BATCH):
        loss = model.loss(windows)
        (loss if lock is None else loss + lock.penalty()).backward()
        optimizer.step()
        if lock is not None:
            lock.step()
        if tracker is not None:
            tracker.update()
        optimizer.zero_grad()
        schedule.step()
    run = {"variant": variant, "seed": seed, "steps": steps, "learning_rate": rate}
    run |= {"validation": nats(model, parts.validation), "test": nats(model, parts.test)}
    run["seconds"] = time.perf_counter() - start
    return run | _signs(lock, tracker) | {"stored": _stored(model, lock, parts)}


def _signs(lock: lockin.LockIn | None, tracker: lockin.FlipTracker | None) -> dict[str, Any]:
    """The share of signs that differ from the initial ones; without a template also all that the tracker counted."""
    if lock is not None:
        return {"flips": lock.flips().total}
    assert tracker is not None
    record = tracker.record()
    return {"flips": record["init_flips"] / record["weights"], "excursions": record["excursions"]}


def _stored(model: CharLM, lock: lockin.LockIn | None, parts: Text) -> dict[str, float]:
    """Through a file with `BITS` for each block weight, the factors of a correction within that; the test again."""
    again = CharLM()
    weights = _matrices(again)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        if lock is None:
            save_file(model.state_dict(), path)
        else:
            lock.save(path)
        report = subbit.compress(path, bits=BITS * weights / _matrices(model))
        tensors = {name: torch.from_numpy(array) for name, array in subbit.load(report.path).items()}
        size = report.path.stat().st_size
    again.load_state_dict(lockin.fold(tensors))
    every = sum(weight.numel() for weight in again.parameters())
    bits = {"bits": 8 * report.coded_bytes / weights, "file_bits": 8 * size / every}
    return bits | {"test": nats(again, parts.test)}


def _matrices(model: CharLM) -> int:
    """Numbers in the matrices of the blocks, factors of corrections included."""
    return sum(weight.numel() for weight in model.blocks.parameters() if weight.ndim > 1)


def tuned(steps: int, seed: int, parts: Text) -> float:
    """The learning rate of the dense control with the lowest loss on the validation part."""
    runs = [measured("dense", seed, steps, rate, parts) for rate in RATES]
    best = min(runs, key=lambda run: run["validation"])
    rate: float = best["learning_rate"]
    return rate


def measured(variant: str, seed: int, steps: int, rate: float, parts: Text) -> dict[str, Any]:
    """The stored run, or else a new one, which is stored at once."""
    asked = {"variant": variant, "seed": seed, "steps": steps, "learning_rate": rate}
    for run in stored_runs():
        if run.items() >= asked.items():
            return run
    run = train(variant, seed, steps, rate, parts)
    _progress(run)
    machine = {"python": platform.python_version(), "torch": torch.__version__, "subbit": subbit.__version__}
    results = {"version": 1, "machine": machine, "batch": BATCH, "runs": [*stored_runs(), run]}
    RESULTS.parent.mkdir(exist_ok=True)
    fresh = RESULTS.with_suffix(".new")
    fresh.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    fresh.replace(RESULTS)
    return run


def stored_runs() -> list[dict[str, Any]]:
    """All runs measured so far, oldest first."""
    runs: list[dict[str, Any]] = json.loads(RESULTS.read_text("utf-8"))["runs"] if RESULTS.exists() else []
    return runs


def _progress(run: dict[str, Any]) -> None:
    stored = run["stored"]
    print(
        f"  {run['variant']:32} seed {run['seed']} rate {run['learning_rate']:g}: validation {run['validation']:.4f} "
        f"test {run['test']:.4f} flips {run['flips']:.5f}; {stored['test']:.3f} at {stored['bits']:.3f} bits "
        f"({run['seconds']:.0f} s)",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lockin", description="Template signs in training.")
    parser.add_argument("variants", nargs="*", help=f"of {', '.join(VARIANTS)}; all of them where none is named")
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--readme", action="store_true", help="only put the stored tables into README.md")
    options = parser.parse_args(arguments)
    if unknown := set(options.variants) - set(VARIANTS):
        parser.error(f"no such variant: {', '.join(sorted(unknown))}")
    if not options.readme:
        torch.set_num_threads(1)  # sums in one order: the same figures every time
        parts = text()
        rate = tuned(options.steps, options.seeds[0], parts)
        for seed in options.seeds:  # outside, so that what an interruption leaves is balanced
            for variant in options.variants or VARIANTS:
                measured(variant, seed, options.steps, rate, parts)
        print(tables(stored_runs()))
    else:
        README.write_text(rewrite(README.read_text("utf-8"), "lockin", tables(stored_runs())), "utf-8")


if __name__ == "__main__":
    main()
