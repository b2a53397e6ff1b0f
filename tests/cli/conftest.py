from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.process import SIDE, save, subbit


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `m.safetensors` and the `m.sbit` that the command line made of it; tests write elsewhere."""
    folder = tmp_path_factory.mktemp("home")
    save(folder / "m.safetensors")
    subbit("compress", "m.safetensors", cwd=folder).ok()
    return folder


@pytest.fixture(scope="session")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `m.safetensors`, for workers, what one process makes of it, and two tensors with a parent."""
    folder = tmp_path_factory.mktemp("handed")
    random = np.random.default_rng(1)
    matrices = {f"layers.{k}.weight": random.standard_normal((SIDE, SIDE)).astype(np.float32) for k in range(6)}
    save(folder / "m.safetensors", matrices | {"embed.weight": matrices["layers.0.weight"] + 1, "norm": np.ones(9)})
    few = {name: matrices[name] for name in ("layers.0.weight", "layers.1.weight")}
    save(folder / "few.safetensors", few)
    save(folder / "parent.safetensors", {name: (matrix * 0.9).astype(np.float32) for name, matrix in few.items()})
    subbit("compress", "m.safetensors", "-o", "alone.sbit", cwd=folder).ok()
    return folder
