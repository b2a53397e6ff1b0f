"""Template signs on real images: accuracy of an MLP and a CNN beside their dense controls, and at half a bit.

python -m benchmarks.vision [VARIANT …] [--networks mlp cnn] [--seeds 0 1 2]    train, print, write results/vision.json
python -m benchmarks.vision --docs                                             put the stored table into docs/

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
from torch import Tensor, nn
from torch.nn import functional

import subbit
from benchmarks.images import FOLDS, NETWORKS, Images, Parts, batches, digits, hidden, split
from benchmarks.peers.base import UnavailableError
from benchmarks.report import publish
from benchmarks.vision_tables import tables
from subbit.torch import lockin

RESULTS = Path(__file__).parent / "results" / "vision.json"

BATCH, EPOCHS, BITS = 64, 10, 0.5
RATES, DECAYS = (2e-3, 5e-3, 1e-2, 2e-2), (0.05, 0.2, 0.5, 1.0)
"""Peak learning rates and weight decays; the dense control chooses for all, on the validation part."""
TUNING = (0, 1)
"""The folds, at the first seed, that it chooses with."""

VARIANTS: dict[str, dict[str, Any] | None] = {
    "dense": None,
    "hashed-project": {"template": "hashed", "gap": 0, "keep": "project"},
    "hashed-gap-project": {"template": "hashed", "keep": "project"},
    "hashed-barrier": {"template": "hashed"},
}
"""What `lockin.attach` is told; the defaults are a gap of .5 σ and a barrier of force 2."""


def train(asked: dict[str, Any], images: Images) -> dict[str, Any]:
    """Train one network and measure it: weights and batches depend on seed and fold, not on the variant."""
    start, parts = time.perf_counter(), split(images, asked["fold"])
    seed = FOLDS * asked["seed"] + asked["fold"]
    torch.manual_seed(seed)
    network, options = NETWORKS[asked["network"]](), VARIANTS[asked["variant"]]
    names = hidden(network)
    lock = None if options is None else lockin.attach(network, seed=seed, targets=names, **options)
    tracker = lockin.FlipTracker([(name, network.get_parameter(name)) for name in names], rhos=())
    rate, steps = asked["learning_rate"], len(parts.train.labels) // BATCH * EPOCHS
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=asked["weight_decay"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.1, cycle_momentum=False)
    for pixels, labels in batches(parts.train, seed, EPOCHS, BATCH):
        loss = functional.cross_entropy(network(pixels), labels)
        (loss if lock is None else loss + lock.penalty()).backward()
        optimizer.step()
        if lock is not None:
            lock.step()
        optimizer.zero_grad()
        schedule.step()
    tracker.update()
    run = asked | measure(network, parts) | {"flips": _flips(lock, tracker), "seconds": time.perf_counter() - start}
    return run | {"stored": stored(network, lock, asked["network"], parts)}


def measure(network: nn.Module, parts: Parts) -> dict[str, Any]:
    """Loss and accuracy on the validation part; of the test part how many there are and the numbers of the wrong."""
    chosen = logits(network, parts.validation.pixels)
    loss = functional.cross_entropy(chosen, parts.validation.labels).item()
    right = (chosen.argmax(1) == parts.validation.labels).float().mean().item()
    wrong = parts.tested[logits(network, parts.test.pixels).argmax(1) != parts.test.labels].tolist()
    return {"validation_loss": loss, "validation": right, "tested": len(parts.tested), "wrong": wrong}


@torch.no_grad()
def logits(network: nn.Module, pixels: Tensor) -> Tensor:
    """The outputs with batch normalization as in use, by the statistics that training has left."""
    outputs: Tensor = network.eval()(pixels)
    return outputs


def _flips(lock: lockin.LockIn | None, tracker: lockin.FlipTracker) -> float:
    """The share of template-signed weights whose sign is not the template's; for dense, of hidden ones that changed."""
    record = tracker.record()
    share: float = record["init_flips"] / record["weights"]
    return share if lock is None else lock.flips().total


def stored(network: nn.Module, lock: lockin.LockIn | None, kind: str, parts: Parts) -> dict[str, float]:
    """Through a file with `BITS` for each hidden weight, all others lossless, and the test part again.

    Batch normalization then takes its statistics anew, from the training part without labels: the coded weights'
    outputs have another scale, and with the old statistics a network guesses.
    """
    again = NETWORKS[kind]()
    names = hidden(again)
    counts = {name: weight.numel() for name, weight in again.named_parameters()}
    head = [name for name, weight in again.named_parameters() if weight.ndim > 1 and name not in names]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        if lock is None:
            save_file(network.state_dict(), path)
        else:
            lock.save(path)
        report = subbit.compress(path, bits=BITS, keep=head)
        again.load_state_dict({name: torch.from_numpy(array) for name, array in subbit.load(report.path).items()})
        size = report.path.stat().st_size
    renew_statistics(again, parts.train.pixels)
    bits = 8 * report.coded_bytes / sum(counts[name] for name in names)
    right = (logits(again, parts.test.pixels).argmax(1) == parts.test.labels).float().mean().item()
    return {"bits": bits, "file_bits": 8 * size / sum(counts.values()), "accuracy": right}


@torch.no_grad()
def renew_statistics(network: nn.Module, pixels: Tensor) -> None:
    """Set the running statistics of batch normalization to their mean over these pictures."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    network.train()
    for some in pixels.split(BATCH):
        network(some)


def tuned(network: str, seed: int, images: Images) -> dict[str, float]:
    """The dense control's best learning rate on the validation part, then its best weight decay at that rate."""

    def loss(rate: float, decay: float) -> float:
        runs = [measured(asked_for(network, "dense", seed, fold, rate, decay), images) for fold in TUNING]
        total: float = sum(run["validation_loss"] for run in runs)
        return total

    rate = min(RATES, key=lambda rate: loss(rate, DECAYS[0]))
    return {"rate": rate, "decay": min(DECAYS, key=lambda decay: loss(rate, decay))}


def asked_for(network: str, variant: str, seed: int, fold: int, rate: float, decay: float) -> dict[str, Any]:
    """What a run is known by."""
    who = {"network": network, "variant": variant, "seed": seed, "fold": fold}
    return who | {"learning_rate": rate, "weight_decay": decay}


def measured(asked: dict[str, Any], images: Images) -> dict[str, Any]:
    """The stored run, or else a new one, which is stored at once."""
    runs = stored_runs()
    for run in runs:
        if run.items() >= asked.items():
            return run
    run = train(asked, images)
    _progress(run)
    machine = {"python": platform.python_version(), "torch": torch.__version__, "subbit": subbit.__version__}
    head = json.dumps({"version": 1, "machine": machine, "batch": BATCH, "epochs": EPOCHS})[:-1]
    lines = ",\n".join(json.dumps(one) for one in [*runs, run])
    RESULTS.parent.mkdir(exist_ok=True)
    fresh = RESULTS.with_suffix(".new")
    fresh.write_text(f'{head}, "runs": [\n{lines}\n]}}\n', "utf-8")
    fresh.replace(RESULTS)
    return run


def stored_runs() -> list[dict[str, Any]]:
    """All runs measured so far, oldest first."""
    runs: list[dict[str, Any]] = json.loads(RESULTS.read_text("utf-8"))["runs"] if RESULTS.exists() else []
    return runs


def _progress(run: dict[str, Any]) -> None:
    kept = run["stored"]
    print(
        f"  {run['network']} {run['variant']:24} seed {run['seed']} fold {run['fold']} rate {run['learning_rate']:g} "
        f"decay {run['weight_decay']:g}: loss {run['validation_loss']:.4f}, {len(run['wrong'])} of {run['tested']} "
        f"wrong, flips {run['flips']:.5f}; {kept['accuracy']:.3f} at {kept['bits']:.3f} bits ({run['seconds']:.0f} s)",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vision", description="Template signs on images.")
    parser.add_argument("variants", nargs="*", help=f"of {', '.join(VARIANTS)}; all of them where none is named")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--docs", action="store_true", help="only put the stored table into docs/")
    options = parser.parse_args(arguments)
    if unknown := set(options.variants) - set(VARIANTS):
        parser.error(f"no such variant: {', '.join(sorted(unknown))}")
    if options.docs:
        publish("vision", tables(stored_runs()))
        return
    torch.set_num_threads(1)  # sums in one order: the same figures every time
    try:
        images = digits()
    except UnavailableError as reason:
        raise SystemExit(str(reason)) from None
    for network in options.networks:
        best = tuned(network, options.seeds[0], images)
        for seed in options.seeds:
            for fold in range(FOLDS):  # variants inside, so that what an interruption leaves is balanced
                for variant in options.variants or VARIANTS:
                    measured(asked_for(network, variant, seed, fold, **best), images)
    print(tables(stored_runs()))


if __name__ == "__main__":
    main()
