"""Codes in the loop: templates against ordinary signs at a quarter, a half and one stored bit, on the character model.

python -m benchmarks.coded [--seeds 0 1 2] [--steps 1000] [--workers 2]    train, tune, print, write results/coded.json
python -m benchmarks.coded --docs                                          put the stored table into docs/

Each model is trained as `benchmarks.lockin` does; then every tuning starts from the same weights and sees the same
text: the control without codes, the others with `lockin.quantize`. What is stored already is not repeated.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.charlm import CharLM, Text, batches, nats, text
from benchmarks.coded_tables import tables
from benchmarks.lockin.groups import barrier
from benchmarks.lockin.jobs import Job
from benchmarks.lockin.training import Trained, optimizer_of, schedule_of, train
from benchmarks.report import publish
from subbit import DeadZone, LowBit
from subbit.torch import lockin
from subbit_formats.sbit import open_reader

RESULTS = Path(__file__).parent / "results" / "coded.json"

TRAINED, RATE, DECAY = 1000, 4e-3, 0.01
"""Steps, learning rate and weight decay before and during the tuning: the best of `benchmarks.lockin` for dense."""
BATCH = 8
MODELS: dict[str, dict[str, Any]] = {"ordinary signs": {}, "hashed template": barrier("hashed")}
BITS = (0.25, 0.5, 1.0)


def tune(trained: Trained, bits: float | None, seed: int, steps: int, parts: Text) -> dict[str, Any]:
    """Tune a copy of the model, with codes of `bits` all-in or without, and measure what the file holds."""
    model, lock = copy.deepcopy((trained.model, trained.lock))
    quantized = _quantized(model, lock, bits) if bits else None
    before = nats(model, parts.test)
    job = Job(seed, steps, RATE, DECAY, batch=BATCH)
    optimizer = optimizer_of(model, job)
    schedule = schedule_of(optimizer, job)
    for windows in batches(parts.train, 100 + seed, steps, BATCH):
        loss = model.loss(windows)
        (loss if quantized or lock is None else loss + lock.penalty()).backward()
        optimizer.step()
        if quantized:
            quantized.step()
        elif lock:
            lock.step()
        optimizer.zero_grad()
        schedule.step()
    found = {"before": before, "validation": nats(model, parts.validation), "test": nats(model, parts.test)}
    return found | (_stored(model, quantized) if quantized else {})


def _quantized(model: CharLM, lock: lockin.LockIn | None, bits: float) -> lockin.Quantized:
    """Codes at the rate that leaves room for what a file adds to them: names, knobs, checksums, padding."""

    def coded(model: CharLM, lock: lockin.LockIn | None, rate: float) -> lockin.Quantized:
        return lockin.quantize(lock, LowBit(rate)) if lock else lockin.quantize(model, DeadZone(rate))

    with TemporaryDirectory() as folder:
        path = coded(*copy.deepcopy((model, lock)), bits).to_sbit(Path(folder) / "model.sbit").path
        with open_reader(path) as file:
            sections = sum(sum(tensor.sections.values()) for tensor in file.tensors.values() if tensor.covered)
            added = 8 * (file.covered_bytes - sections) / file.covered_weights
    return coded(model, lock, bits - added)


def _stored(model: CharLM, quantized: lockin.Quantized) -> dict[str, float]:
    """Counted bytes; `to_sbit` itself makes sure that the file decodes to the weights that were measured."""
    with TemporaryDirectory() as folder:
        report = quantized.to_sbit(Path(folder) / "model.sbit")
    return {"bits": report.coded_bits_per_weight, "file_bits": report.bits_per_weight}


def measure(seed: int, signs: str, steps: int) -> list[dict[str, Any]]:
    """Train one model, then tune it without codes and at every number of bits."""
    torch.set_num_threads(1)
    parts = text()
    trained = train(Job(seed, TRAINED, RATE, DECAY, batch=BATCH, **MODELS[signs]), parts)
    start = {"trained": TRAINED, "steps": steps, "seed": seed, "signs": signs}
    return [start | {"asked": bits} | tune(trained, bits, seed, steps, parts) for bits in (None, *BITS)]


def run(seeds: Sequence[int], steps: int, workers: int) -> None:
    """Measure what is missing, in processes of one thread each, and store it model by model."""
    done = {(run["seed"], run["signs"]) for run in stored() if (run["trained"], run["steps"]) == (TRAINED, steps)}
    missing = [key for key in product(seeds, MODELS) if key not in done]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, min(workers, len(missing))), mp_context=context) as pool:
        for future in as_completed(pool.submit(measure, *key, steps) for key in missing):
            runs = sorted([*stored(), *future.result()], key=lambda run: (run["steps"], run["seed"], run["signs"]))
            fresh = RESULTS.with_suffix(".new")
            fresh.write_text(json.dumps({"version": 1, "runs": runs}, indent=1) + "\n", "utf-8")
            fresh.replace(RESULTS)
            print(tables(future.result()), file=sys.stderr, flush=True)


def stored() -> list[dict[str, Any]]:
    """All that was measured so far."""
    runs: list[dict[str, Any]] = json.loads(RESULTS.read_text("utf-8"))["runs"] if RESULTS.exists() else []
    return runs


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run, show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coded", description="Codes in the loop.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1000, help="of tuning")
    parser.add_argument("--workers", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--docs", action="store_true", help="only put the stored table into docs/")
    options = parser.parse_args(arguments)
    if options.docs:
        publish("coded", tables(stored()))
    else:
        run(options.seeds, options.steps, options.workers)
        print(tables(stored()))


if __name__ == "__main__":
    main()
